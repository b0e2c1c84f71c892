/*
 * Tests of a head's columns that wait until a row of bits is finished (dense-once.ts): a table of
 * which there are bits is taken from it, or kept of it, as a whole.
 */
import { COMPARE_NOT_EQUAL } from './abi';
import {
  BITS_CURSOR_BYTES,
  clearInRow,
  maskRow,
  nextBit,
  NO_BIT,
  openBits,
  recordOf,
} from './bit-matrix';
import {
  DENSE_COMPARE,
  DENSE_IMAGE,
  DENSE_LISTED,
  DENSE_PROBE,
  DenseOp,
  DenseVersion,
  operationAt,
} from './dense-plan';
import { registerAt, setRegister, test } from './dense-run';
import { sabotage, SABOTAGE_FILTERS } from './sabotage';
import { countSteps } from './steps';

const walk: u32 = memory.data(BITS_CURSOR_BYTES, 8) as u32;

/** Takes away the bits of a finished row that do not pass; false where none does. */
export function passes(version: DenseVersion, row: u32, record: u32): bool {
  if (version.filterCount == 0 || sabotage == SABOTAGE_FILTERS) return true;
  setRegister(version.headRow, row);
  for (let i: u32 = 0; i < version.filterCount; i++) {
    const op = operationAt(version, version.filterFrom + i);
    if (!readsRegister(op, version.headColumn)) {
      if (!test(op)) return false;
    } else filterBits(op, version.headColumn, record);
  }
  return true;
}

function readsRegister(op: DenseOp, register: u32): bool {
  if (op.kind == DENSE_LISTED) return op.key == register;
  if (op.kind != DENSE_PROBE) return op.key == register || op.output == register;
  for (let i: u32 = 0; i < op.relation.arity; i++)
    if (load<u32>(op.registers + (i << 2)) == register) return true;
  return false;
}

function filterBits(op: DenseOp, column: u32, record: u32): void {
  const other = op.key == column ? op.output : op.key;
  if (op.kind == DENSE_IMAGE && other != column && op.output == column) {
    maskRow(record, recordOf(op.list.matrix, registerAt(other)), op.isAbsent);
    return;
  }
  if (op.kind == DENSE_COMPARE && op.operator == COMPARE_NOT_EQUAL && other != column) {
    clearInRow(record, registerAt(other));
    return;
  }
  let work: u32 = 0;
  openBits(walk, record);
  for (let bit = nextBit(walk); bit != NO_BIT; bit = nextBit(walk)) {
    setRegister(column, bit);
    if (!test(op)) clearInRow(record, bit);
    work += 1;
  }
  countSteps(work);
}
