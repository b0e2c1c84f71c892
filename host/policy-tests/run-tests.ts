/**
 * Runs tests of policies: the rows of a test are put into the base tables of one engine, what is
 * expected is asked for, the rows are taken back. An engine of its own for each test would give
 * the same and cost a start each.
 */
import type { PolicyTest, TableRows, TestStep } from '../compiler/compile-tests.ts';
import { lower } from '../compiler/lower.ts';
import type { Plan } from '../compiler/plan.ts';
import { tableKey } from '../compiler/stratified.ts';
import type {
  StratifiedProgram,
  StratifiedQuery,
  Table,
  TableKey,
} from '../compiler/stratified.ts';
import type { Engine, TableChange, TransactionResult } from '../engine/engine.ts';
import { Evidence } from '../explain/evidence.ts';
import type { Failing } from '../explain/failing.ts';
import { failingLiterals } from '../explain/failing.ts';
import { prove } from '../explain/proof.ts';
import type { Proof } from '../explain/proof.ts';
import { whyNot } from '../explain/why-not.ts';
import type { WhyNot } from '../explain/why-not.ts';
import { NOW_TABLE, nowTableChange } from '../replica/now-row.ts';
import { decodeRows, encodeRows } from '../value/row-block.ts';
import { compareRows } from '../value/value.ts';
import type { Row } from '../value/value.ts';
import { Coverage } from './coverage.ts';

/** The time of a test that gives none: 2000-01-01 00:00:00. */
export const TEST_TIME_MS = Date.UTC(2000, 0, 1);

/** Of one table that was to have exactly some rows. */
export interface TableDifference {
  readonly table: TableKey;
  readonly missing: readonly Row[];
  readonly unexpected: readonly Row[];
  /** Rows that are there as expected. */
  readonly matching: number;
}

export type StepFailure =
  | {
      readonly kind: 'holds';
      readonly step: TestStep;
      readonly query: StratifiedQuery;
      readonly failing: Failing;
      /** For rows that are not there. */
      readonly whyNot: readonly WhyNot[];
      /** For rows that are there and must not. */
      readonly proofs: readonly Proof[];
    }
  | {
      readonly kind: 'only';
      readonly step: TestStep;
      readonly tables: readonly TableDifference[];
      readonly whyNot: readonly WhyNot[];
      readonly proofs: readonly Proof[];
    };

export interface TestResult {
  readonly test: PolicyTest;
  readonly failures: readonly StepFailure[];
  /** The engine could not evaluate the rows of the test. */
  readonly error?: string;
  /** Calls that failed (overflow, division by zero …), which no step of the test asks for. */
  readonly failedCalls: readonly Row[];
  readonly ms: number;
}

export function isPassed({ failures, error }: TestResult): boolean {
  return failures.length === 0 && error === undefined;
}

export interface TestRun {
  readonly results: readonly TestResult[];
  readonly coverage: Coverage | undefined;
}

export interface TestRunOptions {
  readonly coverage?: boolean;
  /** Milliseconds of a monotone clock. */
  readonly now: () => number;
}

/** Rows of one failure that are explained. */
const EXPLAINED_ROWS_MAX = 3;
const PROOF_NODES_SHOWN_MAX = 20;
const ERRORS_TABLE: TableKey = 'system:errors';

/** `engine` is new; the caller closes it. */
export async function runTests(
  program: StratifiedProgram,
  tests: readonly PolicyTest[],
  engine: Engine,
  options: TestRunOptions,
): Promise<TestRun> {
  return new Runner(program, engine, options).run(tests);
}

class Runner {
  readonly #engine: Engine;
  readonly #plan: Plan;
  readonly #evidence: Evidence;
  readonly #options: TestRunOptions;
  readonly #coverage: Coverage | undefined;
  readonly #readsNow: boolean;

  constructor(program: StratifiedProgram, engine: Engine, options: TestRunOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#plan = lower(program);
    this.#evidence = new Evidence(engine, this.#plan);
    this.#coverage = options.coverage === true ? new Coverage(this.#evidence) : undefined;
    this.#readsNow = program.tables.some((table) => tableKey(table) === NOW_TABLE);
  }

  async run(tests: readonly PolicyTest[]): Promise<TestRun> {
    const results: TestResult[] = [];
    const started = await this.#engine.transact({ plan: this.#plan, changes: [] });
    for (const test of tests) {
      const start = this.#options.now();
      const result = started.ok ? await this.#test(test) : failed(test, started);
      results.push({ ...result, ms: this.#options.now() - start });
    }
    return { results, coverage: this.#coverage };
  }

  async #test(test: PolicyTest): Promise<Omit<TestResult, 'ms'>> {
    const time = this.#readsNow ? [nowTableChange(test.timeMs ?? TEST_TIME_MS)] : [];
    const given = await this.#change([...time, ...test.given.map((one) => change(one, 'insert'))]);
    if (!given.ok) return failed(test, given);
    const failures: StepFailure[] = [];
    for (const step of test.steps) {
      const failure = await this.#step(step);
      if (failure !== undefined) failures.push(failure);
    }
    const failedCalls = asksForErrors(test)
      ? []
      : decodeRows(await this.#engine.rows(ERRORS_TABLE));
    await this.#coverage?.add();
    const taken = await this.#change(test.given.map((one) => change(one, 'delete')));
    // Less rows than before fit; what does not is a defect.
    if (!taken.ok) throw new Error(taken.message);
    return { test, failures, failedCalls };
  }

  #change(changes: readonly TableChange[]): Promise<TransactionResult> {
    return this.#engine.transact({ changes, withoutDeltas: true });
  }

  async #step(step: TestStep): Promise<StepFailure | undefined> {
    const { expectation } = step;
    if (expectation.kind === 'only') return this.#only(step, expectation.tables);
    const { query } = expectation;
    const tables = query.tables === undefined ? {} : { tables: query.tables };
    const evidence = new Evidence(this.#engine, this.#plan, tables);
    const body = { literals: query.body, variables: query.variables };
    const failing = await failingLiterals(evidence, body, new Map());
    if (failing === undefined) return undefined;
    const missing = failing.failing.flatMap(({ literal, why }) =>
      literal.kind === 'atom' && why === 'missing' ? [literal] : [],
    );
    const reasons: WhyNot[] = [];
    for (const { table, terms } of missing.slice(0, EXPLAINED_ROWS_MAX)) {
      const row = terms.map((term) => (term.kind === 'constant' ? term.value : undefined));
      const reason = await whyNot(evidence, evidence.key(table), row);
      if (reason !== undefined) reasons.push(reason);
    }
    const proofs: Proof[] = [];
    for (const { literal, row } of failing.failing.slice(0, EXPLAINED_ROWS_MAX)) {
      if (literal.kind !== 'atom' || row === undefined) continue;
      proofs.push(...(await this.#proof(evidence, evidence.key(literal.table), row)));
    }
    return { kind: 'holds', step, query, failing, whyNot: reasons, proofs };
  }

  async #only(step: TestStep, tables: readonly TableRows[]): Promise<StepFailure | undefined> {
    const differences: TableDifference[] = [];
    const reasons: WhyNot[] = [];
    const proofs: Proof[] = [];
    for (const { table, rows: expected } of tables) {
      const found = decodeRows(await this.#engine.rows(table));
      const missing = minus(expected, found);
      const unexpected = minus(found, expected);
      if (missing.length + unexpected.length === 0) continue;
      const matching = found.length - unexpected.length;
      differences.push({ table, missing, unexpected, matching });
      for (const row of missing.slice(0, EXPLAINED_ROWS_MAX)) {
        const reason = await whyNot(this.#evidence, table, row);
        if (reason !== undefined) reasons.push(reason);
      }
      for (const row of unexpected.slice(0, EXPLAINED_ROWS_MAX)) {
        proofs.push(...(await this.#proof(this.#evidence, table, row)));
      }
    }
    if (differences.length === 0) return undefined;
    return { kind: 'only', step, tables: differences, whyNot: reasons, proofs };
  }

  async #proof(evidence: Evidence, table: TableKey, row: Row): Promise<Proof[]> {
    const proof = await prove(evidence, table, row, { nodesMax: PROOF_NODES_SHOWN_MAX });
    return proof === undefined ? [] : [proof];
  }
}

function failed(
  test: PolicyTest,
  result: TransactionResult & { ok: false },
): Omit<TestResult, 'ms'> {
  return { test, failures: [], failedCalls: [], error: result.message };
}

function change({ table, arity, rows }: TableRows, kind: 'insert' | 'delete'): TableChange {
  return { table, [kind]: encodeRows(arity, rows) };
}

function asksForErrors({ steps }: PolicyTest): boolean {
  const isErrors = (table: Table | undefined): boolean =>
    table !== undefined && tableKey(table) === ERRORS_TABLE;
  return steps.some(({ expectation }) => {
    if (expectation.kind === 'only') {
      return expectation.tables.some(({ table }) => table === ERRORS_TABLE);
    }
    const { body, tables = [] } = expectation.query;
    return body.some((one) => one.kind === 'atom' && isErrors(tables[one.table]));
  });
}

/** Rows of `a` that are not in `b`, distinct and sorted. */
function minus(a: readonly Row[], b: readonly Row[]): Row[] {
  const sorted = [...b].sort(compareRows);
  const rest = [...a].sort(compareRows);
  let at = 0;
  return rest.filter((row, index) => {
    const previous = rest[index - 1];
    if (previous !== undefined && compareRows(previous, row) === 0) return false;
    while (at < sorted.length && compareRows(sorted[at] as Row, row) < 0) at++;
    return sorted[at] === undefined || compareRows(sorted[at] as Row, row) !== 0;
  });
}
