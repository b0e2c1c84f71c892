/** What the text of a body says of the range of a number, without any knowledge of rows. */
import type { Literal, Operand } from './stratified.ts';

export type Side = '>=' | '<=';

/** A number on this side of the limit, or a variable that the body compares with such a number. */
export function isWithin(
  body: readonly Literal[],
  operand: Operand,
  wanted: Side,
  limit: number,
): boolean {
  const fits = (one: Operand): boolean => {
    if (one.kind !== 'constant' || !isNumber(one.value)) return false;
    return wanted === '>=' ? one.value >= limit : one.value <= limit;
  };
  if (operand.kind === 'constant') return fits(operand);
  const [from, to] = wanted === '>=' ? ['>', '<'] : ['<', '>'];
  const isOperand = (one: Operand): boolean =>
    one.kind === 'variable' && one.index === operand.index;
  return body.some((literal) => {
    if (literal.kind !== 'comparison') return false;
    const { operator, left, right } = literal;
    if (operator === '=')
      return (isOperand(left) && fits(right)) || (isOperand(right) && fits(left));
    return (
      (isOperand(left) && operator.startsWith(from) && fits(right)) ||
      (isOperand(right) && operator.startsWith(to) && fits(left))
    );
  });
}

export function isNumberOf(operand: Operand, number: number): boolean {
  if (operand.kind !== 'constant' || !isNumber(operand.value)) return false;
  return Number(operand.value) === number;
}

function isNumber(value: unknown): value is bigint | number {
  return typeof value === 'bigint' || typeof value === 'number';
}
