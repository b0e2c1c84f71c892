/**
 * Tests of policies → rows to give and bodies to expect, over the program of all policies of the
 * catalog. Only those who run or check tests come here: a served policy's tests are read and left
 * alone, so that a change of another policy cannot make this one invalid through them.
 */
import type { Row, Value } from '../value/value.ts';
import type { Catalog } from './catalog.ts';
import { compile } from './compile.ts';
import type { Compilation, CompileOptions } from './compile.ts';
import { DiagnosticList } from './diagnostic.ts';
import type { Diagnostic } from './diagnostic.ts';
import { withoutAliases } from './imports.ts';
import { parsePolicy } from './parser.ts';
import { printStep } from './printer.ts';
import { resolveQuery } from './query.ts';
import type { Span } from './source-text.ts';
import { tableKey } from './stratified.ts';
import type { StratifiedProgram, StratifiedQuery, Table, TableKey } from './stratified.ts';
import type {
  AtomNode,
  ExpectNode,
  ExpressionNode,
  GivenNode,
  QueryTree,
  TestNode,
} from './syntax-tree.ts';

export interface TableRows {
  readonly table: TableKey;
  readonly arity: number;
  readonly rows: readonly Row[];
}

/** `only`: the tables have these rows and no others; else the body has a solution. */
export type Expectation =
  | { readonly kind: 'holds'; readonly query: StratifiedQuery }
  | { readonly kind: 'only'; readonly tables: readonly TableRows[] };

export interface TestStep {
  /** From 1, in the text of the policy. */
  readonly line: number;
  /** As printed. */
  readonly text: string;
  readonly expectation: Expectation;
}

export interface PolicyTest {
  readonly policy: string;
  readonly name: string;
  readonly line: number;
  readonly given: readonly TableRows[];
  /** Milliseconds since the epoch; absent where the test does not give it. */
  readonly timeMs?: number;
  readonly steps: readonly TestStep[];
}

export interface TestCompilation extends Compilation {
  /** In the order of policy names and texts; those in error are left out. */
  readonly tests: readonly PolicyTest[];
}

export function compileWithTests(catalog: Catalog, options: CompileOptions = {}): TestCompilation {
  const parsed = catalog.policies.map(({ name, text }) => ({
    name,
    text,
    tests: withoutAliases(parsePolicy(text, new DiagnosticList(text))).statements.filter(isTest),
  }));
  // What a test gives rows to is a table, whoever else defines it.
  const externalTables = new Set(options.externalTables);
  for (const { name, tests } of parsed) {
    for (const atom of tests.flatMap(givenAtoms)) {
      externalTables.add(`${atom.name.owner ?? name}:${atom.name.name}`);
    }
  }
  const { program, diagnostics } = compile(catalog, { ...options, externalTables });
  if (program === undefined) return { program, diagnostics, tests: [] };
  const all: Diagnostic[] = [...diagnostics];
  const tests: PolicyTest[] = [];
  for (const { name, text, tests: nodes } of parsed) {
    const found = new DiagnosticList(text, name);
    tests.push(...new TestResolver(program, catalog, name, externalTables, found).tests(nodes));
    all.push(...found.finish());
  }
  const hasErrors = all.some((one) => one.severity === 'error');
  return { program: hasErrors ? undefined : program, diagnostics: all, tests };
}

function isTest(statement: { readonly kind: string }): statement is TestNode {
  return statement.kind === 'test';
}

function givenAtoms(test: TestNode): readonly AtomNode[] {
  return test.steps.flatMap((step) => (step.kind === 'given' ? step.rows : []));
}

class TestResolver {
  readonly #program: StratifiedProgram;
  readonly #catalog: Catalog;
  readonly #policy: string;
  readonly #external: ReadonlySet<TableKey>;
  readonly #diagnostics: DiagnosticList;

  constructor(
    program: StratifiedProgram,
    catalog: Catalog,
    policy: string,
    external: ReadonlySet<TableKey>,
    diagnostics: DiagnosticList,
  ) {
    this.#program = program;
    this.#catalog = catalog;
    this.#policy = policy;
    this.#external = external;
    this.#diagnostics = diagnostics;
  }

  tests(nodes: readonly TestNode[]): PolicyTest[] {
    const seen = new Map<string, number>();
    return nodes.flatMap((node) => {
      const { line } = this.#diagnostics.source.position(node.span.start);
      const first = seen.get(node.name);
      if (first !== undefined) {
        const message = `the test \`${node.name}\` is already on line ${first}`;
        this.#diagnostics.error('duplicate-name', node.nameSpan, message, 'rename one of them');
      }
      seen.set(node.name, line);
      const errors = this.#diagnostics.errorCount;
      const test = this.#test(node, line);
      return this.#diagnostics.errorCount > errors ? [] : [test];
    });
  }

  #test(node: TestNode, line: number): PolicyTest {
    const given: GivenNode[] = [];
    const steps: TestStep[] = [];
    let timeMs: number | undefined;
    for (const step of node.steps) {
      if (step.kind === 'given') {
        if (step.now !== undefined) timeMs = this.#time(step.now, timeMs);
        given.push(step);
      } else steps.push(...this.#step(step));
    }
    if (steps.length === 0 && !node.steps.some((step) => step.kind === 'expect')) {
      const note = 'add `expect …`: a test that expects nothing cannot fail';
      this.#diagnostics.error('bad-test', node.nameSpan, 'the test expects nothing', note);
    }
    const rows = this.#rows(given.flatMap((step) => step.rows));
    const time = timeMs === undefined ? {} : { timeMs };
    return { policy: this.#policy, name: node.name, line, given: rows, ...time, steps };
  }

  #time(now: GivenNode['now'] & {}, before: number | undefined): number | undefined {
    const { text, span } = now;
    const timeMs = Date.parse(`${text.replace(' ', 'T')}Z`);
    const isTime = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text) && isRealTime(text, timeMs);
    if (!isTime || timeMs <= 0) {
      const note = 'write it in UTC, after 1970, as `"2031-05-01 00:00:00"`';
      this.#diagnostics.error('bad-test', span, `\`${text}\` is no time`, note);
    } else if (before !== undefined) {
      const note = 'write another test for another time';
      this.#diagnostics.error('bad-test', span, 'the test has a time already', note);
    }
    return timeMs;
  }

  #step(node: ExpectNode): TestStep[] {
    const { line } = this.#diagnostics.source.position(node.span.start);
    const text = printStep(node);
    if (node.only) {
      const atoms = node.body.flatMap((one) => (one.kind === 'atom' ? [one.atom] : []));
      return [{ line, text, expectation: { kind: 'only', tables: this.#rows(atoms, true) } }];
    }
    const query = this.#resolved(node);
    return query === undefined ? [] : [{ line, text, expectation: { kind: 'holds', query } }];
  }

  /** Atoms of constants by their tables. */
  #rows(atoms: readonly AtomNode[], isExpected = false): TableRows[] {
    const found = new Map<TableKey, { table: TableKey; arity: number; rows: Row[] }>();
    for (const atom of atoms) {
      const errors = this.#diagnostics.errorCount;
      this.#checkGround(atom);
      if (!isExpected) this.#checkGiven(atom);
      if (this.#diagnostics.errorCount > errors) continue;
      const read = this.#row(atom, isExpected);
      if (read === undefined) continue;
      const known = found.get(read.key) ?? { table: read.key, arity: read.row.length, rows: [] };
      known.rows.push(read.row);
      found.set(read.key, known);
    }
    return [...found.values()];
  }

  #row(atom: AtomNode, isExpected: boolean): { key: TableKey; row: Row } | undefined {
    const { span } = atom;
    const body = [{ kind: 'atom', negated: false, atom, span } as const];
    const tree = { body, span };
    const query = this.#resolved(tree);
    const [literal] = query?.body ?? [];
    if (query === undefined || literal?.kind !== 'atom') return undefined;
    const table = query.tables[literal.table] as Table;
    if (literal.table >= this.#program.tables.length && !isExpected) {
      const note = 'a table is there once a rule reads or defines it, or a declaration names it';
      const message = `no rule reads \`${tableKey(table)}\``;
      this.#diagnostics.error('unknown-table', atom.name.span, message, note);
      return undefined;
    }
    if (isExpected && literal.terms.some((term) => term.kind === 'wildcard')) {
      const note = 'write all of them; `expect t(id="a")` asks whether there is such a row';
      const message = 'a row that is expected with `only` has all its columns';
      this.#diagnostics.error('column-arguments', span, message, note);
      return undefined;
    }
    // What a column reference leaves out of a wide table does not matter to the test.
    const row = literal.terms.map((term): Value => (term.kind === 'constant' ? term.value : null));
    return { key: tableKey(table), row };
  }

  #resolved(tree: QueryTree): ReturnType<typeof resolveQuery> {
    const options = { policy: this.#policy, externalTables: this.#external };
    return resolveQuery(this.#program, this.#catalog, tree, options, this.#diagnostics);
  }

  #checkGiven(atom: AtomNode): void {
    if (atom.modal !== undefined) {
      const note = 'give the rows that its rules read, and `expect` it';
      const message = 'an action is derived, it cannot be given';
      this.#diagnostics.error('bad-test', atom.span, message, note);
    } else if (atom.name.owner === 'system') {
      const note = 'the time is given by `given now "2031-05-01 00:00:00"`';
      const message = `the system keeps \`system:${atom.name.name}\` itself`;
      this.#diagnostics.error('bad-test', atom.span, message, note);
    }
  }

  #checkGround(atom: AtomNode): void {
    const bad = atom.arguments.find(({ value }) => value.kind !== 'constant');
    if (bad === undefined) return;
    const span: Span = bad.span;
    const note = 'columns that do not matter are left out by naming the others, as in `t(id="a")`';
    const what = describeTerm(bad.value);
    this.#diagnostics.error('fact-not-ground', span, `a row has constants only, not ${what}`, note);
  }
}

function describeTerm(node: ExpressionNode): string {
  switch (node.kind) {
    case 'variable':
      return `the variable \`${node.name}\``;
    case 'wildcard':
      return '`_`';
    default:
      return 'a computation';
  }
}

/** `Date.parse` takes February 30 as March 1. */
function isRealTime(text: string, timeMs: number): boolean {
  if (Number.isNaN(timeMs)) return false;
  return new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ') === text;
}
