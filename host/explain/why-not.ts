/** Why a row is not there: of each rule that could give it, how far its body gets. */
import type { BestTables, Literal, Rule, TableKey } from '../compiler/stratified.ts';
import { WHY_NOT_RULES_MAX } from '../limits.ts';
import type { Row, Value } from '../value/value.ts';
import { plainRule } from './best-instance.ts';
import { isAggregateRule, matchHead } from './evidence.ts';
import type { Evidence, Pattern } from './evidence.ts';
import { failingLiterals } from './failing.ts';
import type { Failing } from './failing.ts';
import { aggregateRows, ruleName } from './proof.ts';
import type { RuleName } from './proof.ts';

export type RuleFailure =
  /** The head has another constant, or one value where the row has two. */
  | { readonly kind: 'head'; readonly rule: RuleName; readonly column: number }
  | ({ readonly kind: 'body'; readonly rule: RuleName } & Failing)
  /** The body holds for the group, its aggregates are others. */
  | { readonly kind: 'aggregate'; readonly rule: RuleName; readonly found: readonly Row[] };

export interface WhyNot {
  readonly table: TableKey;
  readonly row: Pattern;
  /** No rule: rows come from outside. */
  readonly isBase: boolean;
  /** Those that come nearest stand first. */
  readonly rules: readonly RuleFailure[];
  /** Further rules, at which nobody looked. */
  readonly rulesLeft: number;
  /** Facts of the text: it is none of them. */
  readonly facts: number;
  /** Rows of the table that agree with it in most columns. */
  readonly near: readonly Row[];
}

/** Rows of a table that are shown beside one that is not there. */
const NEAR_ROWS_MAX = 5;
const AGGREGATE_ROWS_MAX = 5;

/** Undefined where a row matches. */
export async function whyNot(
  evidence: Evidence,
  table: TableKey,
  row: Pattern,
): Promise<WhyNot | undefined> {
  const index = evidence.find(table);
  const nothing = { table, row, isBase: true, rules: [], rulesLeft: 0, facts: 0, near: [] };
  if (index === undefined) return nothing;
  if ((await rowsLike(evidence, index, row, 1)).length > 0) return undefined;
  const rules = evidence.rulesOf(index);
  const facts = evidence.factCount(index);
  const failures: RuleFailure[] = [];
  for (const rule of rules.slice(0, WHY_NOT_RULES_MAX)) {
    if (evidence.isTired) break;
    failures.push(await ruleFailure(evidence, rule, row));
  }
  const rulesLeft = rules.length - failures.length;
  failures.sort((a, b) => distance(a) - distance(b));
  const isBase = rules.length + facts === 0;
  const near = evidence.isTired ? [] : await nearRows(evidence, index, row);
  return { table, row, isBase, rules: failures, rulesLeft, facts, near };
}

async function ruleFailure(evidence: Evidence, rule: Rule, row: Pattern): Promise<RuleFailure> {
  const best = evidence.componentOf(rule.head)?.best;
  const isBest = best !== undefined && rule.body.some((one) => isOf(best, one));
  // A value is reached or not; whether it is the best of its group is another question.
  const plain = isBest ? plainRule(rule) : rule;
  const known = matchHead(plain, row);
  const name = ruleName(evidence, rule);
  if (known === undefined) return { kind: 'head', rule: name, column: wrongColumn(plain, row) };
  const body = { literals: rule.body, variables: rule.variables };
  const failing = await failingLiterals(evidence, body, known);
  if (failing !== undefined) return { kind: 'body', rule: name, ...failing };
  if (best !== undefined) {
    const column = best.columns.get(rule.head);
    const group = row.map((value, at) => (at === column ? undefined : value));
    const found = await rowsLike(evidence, rule.head, group, AGGREGATE_ROWS_MAX);
    return { kind: 'aggregate', rule: name, found };
  }
  if (!isAggregateRule(rule)) throw new Error('a rule whose body holds gives its row');
  const any = row.map(() => undefined);
  const found = await aggregateRows(evidence, rule, any, known, AGGREGATE_ROWS_MAX);
  return { kind: 'aggregate', rule: name, found };
}

function isOf(best: BestTables, literal: Literal): boolean {
  return literal.kind === 'atom' && best.columns.has(literal.table);
}

function wrongColumn(rule: Rule, row: Pattern): number {
  for (let width = 1; width < row.length; width++) {
    const part = row.map((value, column) => (column < width ? value : undefined));
    if (matchHead(rule, part) === undefined) return width - 1;
  }
  return row.length - 1;
}

/** How much is missing: literals; a head that does not fit is further than any body. */
function distance(failure: RuleFailure): number {
  if (failure.kind === 'aggregate') return 0;
  return failure.kind === 'head' ? Number.MAX_SAFE_INTEGER : failure.failing.length;
}

/** Rows that have the values of the pattern. */
export async function rowsLike(
  evidence: Evidence,
  table: number,
  pattern: Pattern,
  rowsMax: number,
): Promise<Row[]> {
  const columns = pattern.map((_, column) => column);
  const values = new Map<number, Value>();
  pattern.forEach((value, column) => {
    if (value !== undefined) values.set(column, value);
  });
  const terms = columns.map((index) => ({ kind: 'variable', index }) as const);
  const span = { start: 0, end: 0 };
  const literals = [{ kind: 'atom', table, negated: false, terms, span } as const];
  const outputs = columns.filter((column) => !values.has(column));
  const body = { literals, variables: columns.map((column) => `column ${column}`) };
  const found = await evidence.solutions(body, values, outputs, rowsMax - 1);
  return found.map((solution) => {
    const all = new Map(values);
    outputs.forEach((column, place) => all.set(column, solution[place] as Value));
    return columns.map((column) => all.get(column) as Value);
  });
}

/** Those that differ in one column, the last ones first; else any. */
async function nearRows(evidence: Evidence, table: number, row: Pattern): Promise<Row[]> {
  const near: Row[] = [];
  for (let column = row.length - 1; column >= 0 && near.length < NEAR_ROWS_MAX; column--) {
    if (row[column] === undefined || row.length === 1) continue;
    const pattern = row.map((value, at) => (at === column ? undefined : value));
    near.push(...(await rowsLike(evidence, table, pattern, NEAR_ROWS_MAX - near.length)));
  }
  if (near.length > 0) return near;
  return rowsLike(
    evidence,
    table,
    row.map(() => undefined),
    NEAR_ROWS_MAX,
  );
}
