/**
 * An instance of a rule of tables with best values (engine-as/best.ts) whose rows of the component
 * come before its head: by value, of equal values by rank. Which of the rows have the head's value
 * is not known, so every choice is a question of its own: those have their value given and a bound
 * on their ranks, of the others the value has to be another one, and no worse.
 */
import { valueOperand } from '../compiler/monotone.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { BestTables, Operand, Rule, TableKey, Term } from '../compiler/stratified.ts';
import { PROOF_TIES_MAX } from '../limits.ts';
import { sameValue } from '../value/value.ts';
import type { Value } from '../value/value.ts';
import { substitute } from './evidence.ts';
import type { Body, Evidence, Guard, Known } from './evidence.ts';

export interface BestHead {
  readonly best: BestTables;
  readonly value: Value;
  readonly rank: number;
}

/** The rule with the value itself in place of its `min` or `max`. */
export function plainRule(rule: Rule): Rule {
  return { ...rule, headTerms: rule.headTerms.map((term) => valueOperand(term) ?? term) };
}

/** Undefined where there is none, or none among as many choices as are tried. */
export async function solveBest(
  evidence: Evidence,
  body: Body,
  known: Known,
  { best, value, rank }: BestHead,
): Promise<Known | undefined> {
  const columns = new Map<TableKey, number>();
  for (const [table, column] of best.columns) columns.set(evidence.key(table), column);
  const values = body.literals.flatMap((literal): Term[] => {
    if (literal.kind !== 'atom') return [];
    const { table, terms } = substitute(literal, known);
    const column = columns.get(tableKey(evidence.table(table)));
    return column === undefined ? [] : [terms[column] as Term];
  });
  const open = [
    ...new Set(values.flatMap((term) => (term.kind === 'variable' ? [term.index] : []))),
  ];
  const isRanked = (table: TableKey, terms: readonly Term[]): boolean => {
    const term = terms[columns.get(table) ?? -1];
    return term?.kind === 'constant' && sameValue(term.value, value);
  };
  const head: Operand = { kind: 'constant', value };
  const operator = best.function === 'min' ? 'not before' : 'not behind';
  let tried = 0;
  for (const equal of subsetsBySize(open)) {
    if (++tried > PROOF_TIES_MAX) break;
    const given = new Map(known);
    for (const index of equal) given.set(index, value);
    const guards: Guard[] = [];
    for (const term of values) {
      if (term.kind === 'wildcard' || (term.kind === 'variable' && given.has(term.index))) continue;
      guards.push({ kind: 'comparison', operator, left: head, right: term });
      if (term.kind === 'variable') {
        guards.push({ kind: 'comparison', operator: '!=', left: term, right: head });
      }
    }
    const found = await evidence.solve(body, given, { before: { rank, isRanked, guards } });
    if (found !== undefined) return found;
  }
  return undefined;
}

function* subsetsBySize(items: readonly number[]): Generator<readonly number[]> {
  const pick = function* (from: number, size: number): Generator<number[]> {
    if (size === 0) return yield [];
    for (let at = from; at <= items.length - size; at++) {
      for (const rest of pick(at + 1, size - 1)) yield [items[at] as number, ...rest];
    }
  };
  for (let size = 0; size <= items.length; size++) yield* pick(0, size);
}
