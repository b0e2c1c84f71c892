/*
 * Arithmetic on cells. Ints stay ints and fail on overflow, an int with a float gives a float,
 * division by zero fails, what is no number fails, a float that is not finite fails. `/` truncates,
 * `%` takes the sign of the dividend.
 */
import {
  COMPARE_EQUAL,
  COMPARE_GREATER,
  COMPARE_GREATER_EQUAL,
  COMPARE_LESS,
  COMPARE_LESS_EQUAL,
  COMPARE_NOT_BEFORE,
  COMPARE_NOT_BEHIND,
  COMPARE_NOT_EQUAL,
  COMPUTE_ADD,
  COMPUTE_DIVIDE,
  COMPUTE_MULTIPLY,
  COMPUTE_SUBTRACT,
} from './abi';
import {
  compareByValue,
  compareCells,
  floatOf,
  internFloat,
  internInt,
  intOf,
  isFloat,
  isInt,
} from './value-table';

/** A cell that no value has: the call failed. NO_CELL is the answer without memory. */
export const FAILED: u32 = 0xfffffffc;

export function compare(operator: u32, left: u32, right: u32): bool {
  switch (operator as i32) {
    case COMPARE_EQUAL:
      return left == right;
    case COMPARE_NOT_EQUAL:
      return left != right;
    case COMPARE_LESS:
      return compareByValue(left, right) < 0;
    case COMPARE_LESS_EQUAL:
      return compareByValue(left, right) <= 0;
    case COMPARE_GREATER:
      return compareByValue(left, right) > 0;
    case COMPARE_GREATER_EQUAL:
      return compareByValue(left, right) >= 0;
    case COMPARE_NOT_BEFORE:
      return compareCells(left, right) >= 0;
    case COMPARE_NOT_BEHIND:
      return compareCells(left, right) <= 0;
    default:
      return false;
  }
}

/** Of pairs of registers: true where one of them is not equal. */
export function differ(pairs: u32, count: u32, frame: u32): bool {
  for (const end = pairs + (count << 3); pairs < end; pairs += 8)
    if (load<u32>(frame + load<u32>(pairs)) != load<u32>(frame + load<u32>(pairs, 4))) return true;
  return false;
}

function multiplyInts(a: i64, b: i64): u32 {
  const product = a * b;
  if (
    a != 0 &&
    ((a == -1 && b == i64.MIN_VALUE) || (b == -1 && a == i64.MIN_VALUE) || product / a != b)
  ) {
    return FAILED;
  }
  return internInt(product);
}

function computeInts(operator: u32, a: i64, b: i64): u32 {
  if (operator == COMPUTE_ADD) {
    const sum = a + b;
    return ((a ^ sum) & (b ^ sum)) < 0 ? FAILED : internInt(sum);
  }
  if (operator == COMPUTE_SUBTRACT) {
    const difference = a - b;
    return ((a ^ b) & (a ^ difference)) < 0 ? FAILED : internInt(difference);
  }
  if (operator == COMPUTE_MULTIPLY) return multiplyInts(a, b);
  if (b == 0) return FAILED;
  if (b == -1) {
    if (operator != COMPUTE_DIVIDE) return internInt(0);
    return a == i64.MIN_VALUE ? FAILED : internInt(-a);
  }
  return internInt(operator == COMPUTE_DIVIDE ? a / b : a % b);
}

/** C's fmod for finite a and b ≠ 0: exact, with the dividend's sign. */
function remainder(a: f64, b: f64): f64 {
  return a % b;
}

function asFloat(cell: u32): f64 {
  return isFloat(cell) ? floatOf(cell) : (intOf(cell) as f64);
}

function computeFloats(operator: u32, a: f64, b: f64): u32 {
  let result: f64;
  if (operator == COMPUTE_ADD) result = a + b;
  else if (operator == COMPUTE_SUBTRACT) result = a - b;
  else if (operator == COMPUTE_MULTIPLY) result = a * b;
  else if (b == 0) return FAILED;
  else result = operator == COMPUTE_DIVIDE ? a / b : remainder(a, b);
  return isFinite(result) ? internFloat(result) : FAILED;
}

/** The result's cell, FAILED, or NO_CELL without memory. */
export function compute(operator: u32, left: u32, right: u32): u32 {
  const leftInt = isInt(left);
  const rightInt = isInt(right);
  if (leftInt && rightInt) return computeInts(operator, intOf(left), intOf(right));
  if ((!leftInt && !isFloat(left)) || (!rightInt && !isFloat(right))) return FAILED;
  return computeFloats(operator, asFloat(left), asFloat(right));
}
