/**
 * Runs a case on three engines side by side: the one under test, kept up to date; the same kind,
 * from scratch after every step; and the reference. Blocks have one encoding, so equal rows are
 * equal bytes.
 */
import type { Plan, PlanOptions } from '../../host/compiler/plan.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { StratifiedProgram, TableKey } from '../../host/compiler/stratified.ts';
import type {
  Engine,
  TableChange,
  Transaction,
  TransactionResult,
} from '../../host/engine/engine.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row } from '../../host/value/value.ts';
import { aritiesOf, NaiveEngine } from '../oracle/naive-engine.ts';
import { ERRORS_TABLE } from '../oracle/naive-evaluator.ts';
import { rowKey } from '../oracle/row-set.ts';
import { compileGenerated, compileGeneratedQuery } from '../support/compile-program.ts';
import type { GeneratedProgram } from '../support/program-generator.ts';
import type { RowBatch } from '../support/update-generator.ts';
import { problemOfProofs } from './check-proofs.ts';
import type { EngineKind } from './engine-kind.ts';
import { NAIVE } from './engine-kind.ts';
import { emptyEngine } from './engine-pool.ts';
import { withoutStatements } from './fuzz-case.ts';
import type { FuzzCase, FuzzStep } from './fuzz-case.ts';

/** The first thing that differs. */
export interface Difference {
  /** Index of the step after which it shows. */
  readonly step: number;
  readonly what: string;
}

export interface CheckOptions {
  /** From scratch after every so many steps, and after the last one; 0: never. */
  readonly scratchEvery: number;
}

/** Thrown where the case itself is not valid: it does not compile. */
export class InvalidCase extends Error {}

const ROWS_SHOWN_MAX = 12;

export async function checkCase(
  kind: EngineKind,
  fuzzCase: FuzzCase,
  options: CheckOptions,
): Promise<Difference | undefined> {
  const run = new CaseRun(kind, fuzzCase, await kind.create());
  let step = 0;
  try {
    for (; step < fuzzCase.steps.length; step++) {
      const isLast = step === fuzzCase.steps.length - 1;
      const { scratchEvery } = options;
      const fromScratch = scratchEvery > 0 && (isLast || step % scratchEvery === 0);
      await run.step(fuzzCase.steps[step] as FuzzStep, fromScratch);
    }
    step = fuzzCase.steps.length - 1;
    await run.explain();
  } catch (error) {
    if (error instanceof InvalidCase) throw error;
    if (error instanceof Mismatch) return { step, what: error.message };
    return { step, what: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  } finally {
    run.close();
  }
  return undefined;
}

class Mismatch extends Error {}

class CaseRun {
  readonly #kind: EngineKind;
  readonly #case: FuzzCase;
  readonly #engine: Engine;
  readonly #reference = new NaiveEngine();
  #program: StratifiedProgram | undefined;
  #options: PlanOptions = {};
  #arities: ReadonlyMap<TableKey, number> = new Map();
  /** Of the program in force. */
  #plans = new Map<string, Plan>();
  #scratch: Engine | undefined;
  #scratchCount = 0;

  constructor(kind: EngineKind, fuzzCase: FuzzCase, engine: Engine) {
    this.#kind = kind;
    this.#case = fuzzCase;
    this.#engine = engine;
  }

  async step(step: FuzzStep, fromScratch: boolean): Promise<void> {
    const before = step.dryRun ? await this.#snapshot() : undefined;
    const previous = {
      program: this.#program,
      options: this.#options,
      arities: this.#arities,
      plans: this.#plans,
    };
    const isNewProgram = this.#compileFor(step);
    const changes = this.#changesOf(step.batch);
    const dryRun = step.dryRun ? { dryRun: true } : {};
    const transactionFor = (kind: EngineKind): Transaction => ({
      changes,
      ...dryRun,
      ...(isNewProgram ? { plan: this.#plan(kind) } : {}),
    });
    const expected = await this.#reference.transact(transactionFor(NAIVE));
    const actual = await this.#engine.transact(transactionFor(this.#kind));
    sameDeltas(actual, expected);
    if (before !== undefined) {
      this.#program = previous.program;
      this.#options = previous.options;
      this.#arities = previous.arities;
      this.#plans = previous.plans;
      same('state after a dry run', await this.#snapshot(), before);
      return;
    }
    for (const [table, arity] of this.#arities)
      await this.#sameTable(table, arity, this.#engine, '');
    for (const query of step.queries) await this.#sameQuery(query);
    if (fromScratch) await this.#fromScratch();
  }

  async explain(): Promise<void> {
    const { prove } = this.#kind;
    if (prove === undefined || this.#program === undefined) return;
    const problem = await problemOfProofs(prove, {
      engine: this.#engine,
      plan: this.#plan(this.#kind),
      program: this.#program,
      reference: this.#reference,
    });
    if (problem !== '') throw new Mismatch(problem);
  }

  close(): void {
    this.#engine.close();
    this.#scratch?.close();
    this.#reference.close();
  }

  /**
   * True when the step has a new program; one that does not compile without a statement is not
   * taken.
   */
  #compileFor(step: FuzzStep): boolean {
    if (this.#program === undefined) {
      this.#compile(step.disabled ?? []);
      return true;
    }
    if (step.disabled === undefined) return false;
    try {
      this.#compile(step.disabled);
      return true;
    } catch (error) {
      if (error instanceof InvalidCase) return false;
      throw error;
    }
  }

  #compile(disabled: readonly number[]): void {
    const { program, views, watched } = this.#case;
    const generated = withoutStatements(program, disabled);
    this.#program = compile(generated);
    const keys = watched
      ?.map((index) => program.tables[index])
      .filter((table) => table !== undefined);
    this.#options = {
      watched: keys === undefined ? 'all' : new Set(keys.map(tableKey)),
      digest: new Set(program.tables.map(tableKey)),
      views: views.flatMap((text, index) => {
        const query = compileGeneratedQuery(this.#compiled(), generated, text);
        return query === undefined ? [] : [{ name: `v${index}`, query }];
      }),
    };
    this.#plans = new Map();
    this.#arities = aritiesOf(this.#program, this.#options);
  }

  #compiled(): StratifiedProgram {
    if (this.#program === undefined) throw new Error('no program before the first step');
    return this.#program;
  }

  /** Rows of tables that the program in force has; others have nowhere to go. */
  #changesOf(batch: RowBatch): TableChange[] {
    return batch
      .filter((change) => this.#arities.has(change.table))
      .map((change) => ({
        table: change.table,
        ...(change.replace ? { replace: true } : {}),
        ...(change.delete.length > 0 ? { delete: encodeRows(change.arity, change.delete) } : {}),
        ...(change.insert.length > 0 ? { insert: encodeRows(change.arity, change.insert) } : {}),
      }));
  }

  #plan(kind: EngineKind, batchOnly = false): Plan {
    const key = `${kind.name} ${batchOnly}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      // Without a digest, rows that nothing reads may stay bits.
      const { digest: _, ...others } = this.#options;
      const options = batchOnly
        ? { ...others, watched: new Set<string>(), batchOnly }
        : this.#options;
      plan = kind.lower(this.#compiled(), options);
      this.#plans.set(key, plan);
    }
    return plan;
  }

  /** An engine without a program is empty: one of them serves all evaluations of a case. */
  async #fromScratch(): Promise<void> {
    const changes: TableChange[] = [];
    for (const table of this.#compiled().tables) {
      const insert = await this.#reference.rows(tableKey(table), { base: true });
      if (insert.count > 0) changes.push({ table: tableKey(table), insert });
    }
    this.#scratch ??= await this.#kind.create();
    const scratch = this.#scratch;
    await emptyEngine(this.#kind, scratch);
    // Both ways to evaluate from scratch, in turns.
    this.#scratchCount++;
    const batchOnly = this.#scratchCount % 2 === 0;
    const plan = this.#plan(this.#kind, batchOnly);
    expectSuccess(await scratch.transact({ plan, changes }), 'from scratch');
    for (const [table, arity] of this.#arities) {
      await this.#sameTable(table, arity, scratch, ' from scratch');
    }
    if (!batchOnly) same('digest from scratch', scratch.digest(), this.#engine.digest());
  }

  async #sameTable(table: TableKey, arity: number, engine: Engine, where: string): Promise<void> {
    for (const base of [false, true]) {
      if (base && (table === ERRORS_TABLE || table.startsWith('$'))) continue;
      const expected = await this.#reference.rows(table, { base });
      const actual = await engine.rows(table, { base });
      sameBlock(`${base ? 'base rows of ' : ''}${table}${where}`, actual, expected, arity);
    }
    same(`count of ${table}${where}`, engine.count(table), this.#reference.count(table));
  }

  async #sameQuery(text: string): Promise<void> {
    const { program } = this.#case;
    const query = compileGeneratedQuery(this.#compiled(), program, text);
    if (query === undefined) return;
    const expected = await this.#reference.query(NAIVE.lowerQuery(this.#plan(NAIVE), query));
    const plan = this.#kind.lowerQuery(this.#plan(this.#kind), query);
    const actual = await this.#engine.query(plan);
    sameBlock(`query ${text}`, actual.rows, expected.rows, query.outputs.length);
    if (expected.rows.count < 2) return;
    const first = await this.#engine.query(plan, { rowsMax: 1 });
    same(`rows of query ${text} with \`rowsMax\``, first.rows.count, 1);
    same(`\`truncated\` of query ${text}`, first.truncated, true);
  }

  /** All that a dry run must leave as it was. */
  async #snapshot(): Promise<string> {
    const parts = [this.#engine.digest()];
    for (const table of this.#arities.keys()) {
      const rows = decodeRows(await this.#engine.rows(table));
      parts.push(`${table}: ${rows.map(rowKey).join(' ')}`);
    }
    return parts.join('\n');
  }
}

function compile(program: GeneratedProgram): StratifiedProgram {
  try {
    return compileGenerated(program);
  } catch (error) {
    throw new InvalidCase(error instanceof Error ? error.message : String(error));
  }
}

function expectSuccess(result: TransactionResult, where: string): void {
  if (!result.ok)
    throw new Mismatch(`${where}: the transaction failed with ${result.code}: ${result.message}`);
}

function sameDeltas(actual: TransactionResult, expected: TransactionResult): void {
  expectSuccess(expected, 'reference');
  expectSuccess(actual, 'engine');
  if (!actual.ok || !expected.ok) return;
  const deltas = new Map(actual.deltas.map((delta) => [delta.table, delta]));
  same('tables with two deltas', actual.deltas.length - deltas.size, 0);
  for (const { table, insert, delete: remove } of expected.deltas) {
    const delta = deltas.get(table);
    const none = encodeRows(insert.arity, []);
    sameBlock(`rows that ${table} gains`, delta?.insert ?? none, insert, insert.arity);
    sameBlock(`rows that ${table} loses`, delta?.delete ?? none, remove, remove.arity);
    deltas.delete(table);
  }
  for (const { table, insert, delete: remove } of deltas.values()) {
    const none = encodeRows(insert.arity, []);
    sameBlock(`rows that ${table} gains`, insert, none, insert.arity);
    sameBlock(`rows that ${table} loses`, remove, none, remove.arity);
    throw new Mismatch(`${table} has a delta without rows`);
  }
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Mismatch(`${what}:\n  ${actual}\ninstead of\n  ${expected}`);
}

function sameBlock(what: string, actual: RowBlock, expected: RowBlock, arity: number): void {
  const isSame =
    actual.count === expected.count &&
    (actual.count === 0 || (actual.arity === arity && expected.arity === arity)) &&
    Buffer.compare(actual.bytes, expected.bytes) === 0;
  if (isSame) return;
  const [rows, expectedRows] = [decodeRows(actual), decodeRows(expected)];
  const keys = new Set(rows.map(rowKey));
  const expectedKeys = new Set(expectedRows.map(rowKey));
  const missing = expectedRows.filter((row) => !keys.has(rowKey(row)));
  const extra = rows.filter((row) => !expectedKeys.has(rowKey(row)));
  const parts = [
    what,
    `  missing: ${printRows(missing)}`,
    `  too many: ${printRows(extra)}`,
    `  got ${rows.length} rows of arity ${actual.arity}: ${printRows(rows)}`,
  ];
  throw new Mismatch(parts.join('\n'));
}

function printRows(rows: readonly Row[]): string {
  const shown = rows.slice(0, ROWS_SHOWN_MAX).map((row) => `(${row.map(formatValue).join(', ')})`);
  return `${shown.join(' ')}${rows.length > ROWS_SHOWN_MAX ? ' …' : ''}` || 'none';
}
