/**
 * Arithmetic of the reference: ints exact within 64 bits, floats as IEEE 754, no value = failure.
 */
import type { ComputeOperator } from '../../host/compiler/stratified.ts';
import { INT_MAX, INT_MIN } from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';

/** `undefined` is a failure: overflow, division by zero, something that is no number. */
export function compute(operator: ComputeOperator, left: Value, right: Value): Value | undefined {
  if (typeof left === 'bigint' && typeof right === 'bigint') {
    const isDivision = operator === '/' || operator === '%';
    if (isDivision && right === 0n) return undefined;
    return fitInt(computeInts(operator, left, right));
  }
  const [a, b] = [toFloat(left), toFloat(right)];
  if (a === undefined || b === undefined) return undefined;
  return fitFloat(computeFloats(operator, a, b));
}

function computeInts(operator: ComputeOperator, a: bigint, b: bigint): bigint {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
  }
}

function computeFloats(operator: ComputeOperator, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
  }
}

/** Numbers of a mixed operation are floats; an int beyond 2^53 is rounded to the nearest one. */
function toFloat(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'bigint' ? Number(value) : undefined;
}

function fitInt(value: bigint): bigint | undefined {
  return value >= INT_MIN && value <= INT_MAX ? value : undefined;
}

function fitFloat(value: number): number | undefined {
  if (!Number.isFinite(value)) return undefined;
  return value === 0 ? 0 : value;
}

/** Every finite float is a whole number of these: 2^-1074. */
const FLOAT_SCALE_BITS = 1074;
const FLOAT_PRECISION_BITS = 53;

/**
 * The exact sum: of ints an int, with a float among them the float nearest to it (ties to even).
 */
export function exactSum(values: readonly Value[]): Value | undefined {
  const sum = scaledSum(values);
  if (sum === undefined) return undefined;
  if (values.every((value) => typeof value === 'bigint'))
    return fitInt(sum >> BigInt(FLOAT_SCALE_BITS));
  return fitFloat(nearestFloat(sum, 1n));
}

/** The float nearest to the exact sum divided by the number of values. */
export function exactMean(values: readonly Value[]): Value | undefined {
  const sum = scaledSum(values);
  return sum === undefined ? undefined : fitFloat(nearestFloat(sum, BigInt(values.length)));
}

/** The sum as a multiple of 2^-1074; undefined where one of the values is no number. */
function scaledSum(values: readonly Value[]): bigint | undefined {
  let scaled = 0n;
  for (const value of values) {
    if (typeof value === 'bigint') scaled += value << BigInt(FLOAT_SCALE_BITS);
    else if (typeof value === 'number') scaled += scaleFloat(value);
    else return undefined;
  }
  return scaled;
}

/** The float as a multiple of 2^-1074, exact. */
function scaleFloat(value: number): bigint {
  let mantissa = value;
  let shift = 0;
  // Halving an even multiple is exact; a whole number is reached by doubling, at most 1074 times.
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    shift++;
  }
  return BigInt(mantissa) << BigInt(FLOAT_SCALE_BITS - shift);
}

/** Of scaled / count. */
function nearestFloat(scaled: bigint, count: bigint): number {
  const magnitude = scaled < 0n ? -scaled : scaled;
  const bits = (magnitude / count).toString(2).length;
  const excess = Math.max(0, bits - FLOAT_PRECISION_BITS);
  const unit = count << BigInt(excess);
  let kept = magnitude / unit;
  const twice = (magnitude - kept * unit) * 2n;
  if (twice > unit || (twice === unit && kept % 2n === 1n)) kept += 1n;
  const exponent = excess - FLOAT_SCALE_BITS;
  if (exponent > 1023) return scaled < 0n ? -Infinity : Infinity;
  // In two steps: 2^-1074 alone has one bit.
  const float = Number(kept) * 2 ** Math.max(exponent, -1022) * 2 ** Math.min(0, exponent + 1022);
  return scaled < 0n ? -float : float;
}
