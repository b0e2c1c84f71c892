/** Aggregates of the reference: one row a group of solutions, or a failure in its place. */
import type { Aggregate, Operand, Rule } from '../../host/compiler/stratified.ts';
import { CaucusError } from '../../host/errors.ts';
import { List } from '../../host/value/composite.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import { compareValues, sameValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { exactMean, exactSum } from './arithmetic.ts';
import { rowKey } from './row-set.ts';

/** An aggregate that has no value, as printed (`sum(x)`), and the head's other arguments. */
export interface AggregateFailure {
  readonly text: string;
  readonly group: Row;
}

/** `solutions`: distinct in the rule's named variables; value by variable index. */
export function aggregateGroups(
  rule: Rule,
  solutions: readonly Row[],
): { rows: Row[]; failures: AggregateFailure[] } {
  const groupTerms = rule.headTerms.filter((term): term is Operand => term.kind !== 'aggregate');
  const groups = new Map<string, Row[]>();
  for (const solution of solutions) {
    const key = rowKey(groupTerms.map((term) => valueIn(solution, term)));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [solution]);
    else group.push(solution);
  }
  const rows: Row[] = [];
  const failures: AggregateFailure[] = [];
  for (const group of groups.values()) {
    const first = group[0] as Row;
    const row = rule.headTerms.map((term) => {
      if (term.kind !== 'aggregate') return valueIn(first, term);
      const value = aggregate(term, group);
      if (value === undefined) {
        const keys = groupTerms.map((one) => valueIn(first, one));
        failures.push({ text: aggregateText(rule, term), group: keys });
      }
      return value;
    });
    if (!row.includes(undefined)) rows.push(row as Row);
  }
  return { rows, failures };
}

function aggregate(
  { function: name, argument, key }: Aggregate,
  group: readonly Row[],
): Value | undefined {
  if (argument === undefined) return BigInt(group.length);
  const values = group.map((solution) => valueIn(solution, argument));
  switch (name) {
    case 'argmin':
    case 'argmax': {
      const keys = group.map((solution) => valueIn(solution, key ?? argument));
      const isBetter = (a: number, b: number): boolean => {
        const order = compareValues(keys[a] as Value, keys[b] as Value);
        if (order === 0) return compareValues(values[a] as Value, values[b] as Value) < 0;
        return order < 0 === (name === 'argmin');
      };
      const best = [...keys.keys()].reduce((a, b) => (isBetter(b, a) ? b : a));
      return values[best];
    }
    case 'avg':
      return exactMean(values);
    case 'count':
      return BigInt(group.length);
    case 'sum':
      return exactSum(values);
    case 'min':
      return values.reduce((a, b) => (compareValues(b, a) < 0 ? b : a));
    case 'max':
      return values.reduce((a, b) => (compareValues(b, a) > 0 ? b : a));
    case 'collect':
      return listOf([...values].sort(compareValues));
  }
}

/** Each of the sorted values once; undefined where a value cannot have as many levels or bytes. */
function listOf(sorted: readonly Value[]): Value | undefined {
  const items = sorted.filter(
    (value, at) => at === 0 || !sameValue(value, sorted[at - 1] as Value),
  );
  try {
    const list = new List(items);
    encodeRows(1, [[list]]);
    return list;
  } catch (error) {
    if (error instanceof CaucusError) return undefined;
    throw error;
  }
}

function aggregateText(rule: Rule, { function: name, argument }: Aggregate): string {
  return `${name}(${argument === undefined ? '' : rule.variables[argument.index]})`;
}

function valueIn(solution: Row, operand: Operand): Value {
  return operand.kind === 'constant' ? operand.value : (solution[operand.index] as Value);
}
