/*
 * Exact sums of floats: a fixed-point number of 2176 bits in two's complement, wide enough for
 * every finite double times 2^64 (Kulisch, Computer Arithmetic and Validity, 2013, chapter 8).
 * Adding and taking away are exact, so the sum does not depend on order or on what was deleted
 * meanwhile; it is rounded once, to nearest, ties to even.
 *
 *   limb i (64 bits) has the weight 2^(64·i − 1074)
 */
import { allocateZeroed, release } from './memory';

const LIMBS: u32 = 34;
export const EXACT_SUM_BYTES: u32 = LIMBS * 8;
/** Bit of weight 2^0. */
const ONE_BIT: u32 = 1074;

export function createExactSum(): u32 {
  return allocateZeroed(EXACT_SUM_BYTES);
}

export function destroyExactSum(sum: u32): void {
  release(sum, EXACT_SUM_BYTES);
}

/** Adds `low` + `high` · 2^64 at limb `limb`, carrying on; `negative` subtracts. */
function addAt(sum: u32, limb: u32, low: u64, high: u64, negative: bool): void {
  let word = low;
  let carry: u64 = 0;
  let pending = high;
  for (let i = limb; i < LIMBS; i++) {
    const at = sum + (i << 3);
    const old = load<u64>(at);
    if (negative) {
      const first = old - word;
      const borrow: u64 = old < word ? 1 : 0;
      const result = first - carry;
      carry = borrow | (first < carry ? 1 : 0);
      store<u64>(at, result);
    } else {
      const first = old + word;
      const over: u64 = first < word ? 1 : 0;
      const result = first + carry;
      carry = over | (result < carry ? 1 : 0);
      store<u64>(at, result);
    }
    word = pending;
    pending = 0;
    if (word == 0 && carry == 0) return;
  }
}

/** Adds a finite float, or takes it away. */
export function addFloat(sum: u32, value: f64, takeAway: bool): void {
  const bits = reinterpret<u64>(value);
  const exponent = ((bits >> 52) & 0x7ff) as u32;
  let mantissa = bits & 0x000fffffffffffff;
  if (exponent != 0) mantissa |= 0x0010000000000000;
  // A subnormal has the scale of exponent 1: its last bit is 2^−1074.
  const shift = exponent == 0 ? 0 : exponent - 1;
  const offset = shift & 63;
  const high = offset == 0 ? 0 : mantissa >> (64 - offset);
  addAt(sum, shift >> 6, mantissa << offset, high, (bits >> 63 != 0) != takeAway);
}

/** Adds a 128-bit int in two's complement. */
export function addInt128(sum: u32, low: u64, high: i64): void {
  const negative = high < 0;
  let lowWord = low;
  let highWord = high as u64;
  if (negative) {
    lowWord = 0 - low;
    highWord = ~highWord + (low == 0 ? 1 : 0);
  }
  const limb = ONE_BIT >> 6;
  const offset = ONE_BIT & 63;
  addAt(sum, limb, (lowWord << offset) as u64, (lowWord >> (64 - offset)) as u64, negative);
  addAt(sum, limb + 1, (highWord << offset) as u64, (highWord >> (64 - offset)) as u64, negative);
}

function negate(sum: u32): void {
  let carry: u64 = 1;
  for (let i: u32 = 0; i < LIMBS; i++) {
    const word = ~load<u64>(sum + (i << 3)) + carry;
    carry = carry != 0 && word == 0 ? 1 : 0;
    store<u64>(sum + (i << 3), word);
  }
}

/** The 64 bits from bit `from` on; bits outside the number are 0. */
function bitsFrom(sum: u32, from: u32): u64 {
  const limb = from >> 6;
  const offset = from & 63;
  let word = load<u64>(sum + (limb << 3)) >> offset;
  if (offset != 0 && limb + 1 < LIMBS) word |= load<u64>(sum + ((limb + 1) << 3)) << (64 - offset);
  return word;
}

function anyBitBelow(sum: u32, bit: u32): bool {
  for (let i: u32 = 0; i < bit >> 6; i++) if (load<u64>(sum + (i << 3)) != 0) return true;
  const offset = bit & 63;
  return offset != 0 && load<u64>(sum + ((bit >> 6) << 3)) << (64 - offset) != 0;
}

/** Divides a sum that is not negative by `divisor`; answers whether something was left over. */
function divide(sum: u32, divisor: u32): bool {
  let rest: u64 = 0;
  for (let at: i32 = (LIMBS as i32) * 2 - 1; at >= 0; at--) {
    const word = (rest << 32) | (load<u32>(sum + ((at as u32) << 2)) as u64);
    store<u32>(sum + ((at as u32) << 2), (word / (divisor as u64)) as u32);
    rest = word % (divisor as u64);
  }
  return rest != 0;
}

function shiftLeft(sum: u32, bits: u32): void {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < LIMBS; i++) {
    const word = load<u64>(sum + (i << 3));
    store<u64>(sum + (i << 3), (word << bits) | carry);
    carry = word >> (64 - bits);
  }
}

/** The correctly rounded float, maybe infinite. Works on a copy's place: `sum` is destroyed. */
export function roundExactSum(sum: u32): f64 {
  const negative = load<i64>(sum + EXACT_SUM_BYTES - 8) < 0;
  if (negative) negate(sum);
  return roundMagnitude(sum, 0, negative);
}

/** Bits of a quotient behind the last one that a float can have: one rounds, one tells of more. */
const QUOTIENT_BITS: u32 = 2;

/** The float nearest to sum / count: divided exactly, rounded once. Destroys `sum`. */
export function roundExactMean(sum: u32, count: u32): f64 {
  const negative = load<i64>(sum + EXACT_SUM_BYTES - 8) < 0;
  if (negative) negate(sum);
  // 2^1024 · 2^28 rows · 2^1074 leave more than these bits free at the top.
  shiftLeft(sum, QUOTIENT_BITS);
  if (divide(sum, count)) store<u64>(sum, load<u64>(sum) | 1);
  return roundMagnitude(sum, QUOTIENT_BITS, negative);
}

/** A number of limbs whose bit `finest` has the weight 2^−1074; it is not negative. */
function roundMagnitude(sum: u32, finest: u32, negative: bool): f64 {
  let top = LIMBS;
  while (top > 0 && load<u64>(sum + ((top - 1) << 3)) == 0) top -= 1;
  if (top == 0) return 0;
  const highest = ((top - 1) << 6) + 63 - (clz<u64>(load<u64>(sum + ((top - 1) << 3))) as u32);
  // Subnormals end at the finest bit, whatever their first one.
  const last = highest < finest + 52 ? finest : highest - 52;
  let magnitude = bitsFrom(sum, last) & 0x001fffffffffffff;
  const half = last != 0 && (bitsFrom(sum, last - 1) & 1) != 0;
  if (half && ((magnitude & 1) != 0 || anyBitBelow(sum, last - 1))) magnitude += 1;
  // The bits of a subnormal are the float; a carry out of the mantissa raises the exponent itself.
  const steps = (last - finest) as u64;
  if (steps >= 0x7fe) magnitude = 0x7ff0000000000000;
  else magnitude += steps << 52;
  return reinterpret<f64>(magnitude | (negative ? 0x8000000000000000 : 0));
}
