/*
 * Weights over bits (dense-once.ts): how often each bit of a matrix was added, as a binary number
 * whose digits stand in one matrix each, the lowest first. One more is added as by hand, with a
 * carry into the next digit; on average it ends at the second one.
 */
import { WEIGHT_BITS } from './abi';
import { addOrCarry, BitMatrix, createMatrix, destroyMatrix, hasBit, isWhole } from './bit-matrix';
import { DensePlan, denseVersionAt } from './dense-plan';
import { Relation } from './row-store';
import { sabotage, SABOTAGE_WEIGHTS } from './sabotage';

/** Columns that go on to the next digit. */
const CARRIED_BYTES: u32 = 4096;
const carried: u32 = memory.data(4096, 4) as u32;
const oneColumn: u32 = memory.data(4, 4) as u32;
const digits: u32 = memory.data(WEIGHT_BITS * 4, 4) as u32;
let digitCount: u32 = 0;
/** Additions are counted. */
export let isCounting: bool = false;
/** A weight got more digits than it can have, or there was no memory for one. */
export let countEnded: bool = false;

/** Weights can be told: no base row stands, and no rule has tests that others have not. */
export function mayCount(plan: DensePlan, head: Relation): bool {
  if (head.top != 0) return false;
  if (plan.versionCount == 1) return true;
  for (let i: u32 = 0; i < plan.versionCount; i++) {
    if (denseVersionAt(plan, i).filterCount != 0) return false;
  }
  return true;
}

export function beginCount(): void {
  isCounting = true;
  countEnded = false;
  digitCount = 0;
}

/** Gives the digits back, in front of their pool. */
export function dropCount(): void {
  for (let i: u32 = 0; i < digitCount; i++) destroyMatrix(digitAt(i));
  digitCount = 0;
  isCounting = false;
}

function digitAt(digit: u32): BitMatrix {
  return changetype<BitMatrix>(load<u32>(digits + (digit << 2)) as usize);
}

function addDigit(): bool {
  if (digitCount == (WEIGHT_BITS as u32)) return false;
  const matrix = createMatrix();
  store<u32>(digits + (digitCount << 2), changetype<usize>(matrix) as u32);
  digitCount += 1;
  if (isWhole(matrix)) return true;
  digitCount -= 1;
  destroyMatrix(matrix);
  return false;
}

/** Adds a bit to a matrix, and one to its weight. */
export function countBit(to: BitMatrix, row: u32, column: u32): void {
  store<u32>(oneColumn, column);
  countNumbers(to, row, oneColumn, oneColumn + 4);
}

/** Adds those of a list of columns to a row. */
export function countNumbers(to: BitMatrix, row: u32, from: u32, end: u32): void {
  while (from < end) {
    const stop = min(end, from + CARRIED_BYTES);
    let carriedEnd = addOrCarry(to, row, from, stop, carried, false);
    for (let digit: u32 = 0; carriedEnd != carried; digit++) {
      if (digit == digitCount && !addDigit()) {
        countEnded = true;
        return;
      }
      carriedEnd = addOrCarry(digitAt(digit), row, carried, carriedEnd, carried, true);
    }
    from = stop;
  }
}

/** How often a bit that there is was added. */
export function weightOf(row: u32, column: u32): u32 {
  if (sabotage == SABOTAGE_WEIGHTS) return 1;
  let more: u32 = 0;
  for (let digit: u32 = 0; digit < digitCount; digit++) {
    if (hasBit(digitAt(digit), row, column)) more |= 1 << digit;
  }
  return more + 1;
}
