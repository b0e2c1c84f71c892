/*
 * The sum of a group, from which sum and avg come, in a slot of its state (aggregate.ts):
 *
 *   | – | non-numbers | floats | exact sum | int sum, 128 bits |
 *
 * Ints and floats are added apart, both exactly, so that deletes take back what inserts gave.
 */
import { FAILED } from './compute';
import {
  addFloat,
  addInt128,
  createExactSum,
  EXACT_SUM_BYTES,
  roundExactMean,
  roundExactSum,
} from './exact-sum';
import { allocateZeroed, release } from './memory';
import { floatOf, internFloat, internInt, intOf, isFloat, isInt, NO_CELL } from './value-table';

/** False without memory. */
export function addToSum(slot: u32, cell: u32, takeAway: bool): bool {
  if (isInt(cell)) {
    const value = intOf(cell);
    const low = load<u64>(slot, 16);
    const high = load<i64>(slot, 24);
    const wide: i64 = value < 0 ? -1 : 0;
    const word = value as u64;
    if (takeAway) {
      store<u64>(slot, low - word, 16);
      store<i64>(slot, high - wide - (low < word ? 1 : 0), 24);
    } else {
      const sum = low + word;
      store<u64>(slot, sum, 16);
      store<i64>(slot, high + wide + (sum < word ? 1 : 0), 24);
    }
    return true;
  }
  if (!isFloat(cell)) {
    store<u32>(slot, load<u32>(slot, 4) + (takeAway ? -1 : 1), 4);
    return true;
  }
  if (load<u32>(slot, 12) == 0) {
    const sum = createExactSum();
    if (sum == 0) return false;
    store<u32>(slot, sum, 12);
  }
  addFloat(load<u32>(slot, 12), floatOf(cell), takeAway);
  store<u32>(slot, load<u32>(slot, 8) + (takeAway ? -1 : 1), 8);
  return true;
}

/** The sum of a group of `rows` rows, or its mean. */
export function sumCell(slot: u32, rows: u32, isMean: bool): u32 {
  if (load<u32>(slot, 4) != 0) return FAILED;
  const low = load<u64>(slot, 16);
  const high = load<i64>(slot, 24);
  if (load<u32>(slot, 8) == 0 && !isMean) {
    return high == (low as i64) >> 63 ? internInt(low as i64) : FAILED;
  }
  const copy = allocateZeroed(EXACT_SUM_BYTES);
  if (copy == 0) return NO_CELL;
  if (load<u32>(slot, 12) != 0) memory.copy(copy, load<u32>(slot, 12), EXACT_SUM_BYTES);
  addInt128(copy, low, high);
  const value = isMean ? roundExactMean(copy, rows) : roundExactSum(copy);
  release(copy, EXACT_SUM_BYTES);
  return isFinite(value) ? internFloat(value) : FAILED;
}
