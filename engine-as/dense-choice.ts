/*
 * Whether a unit outside recursion is better off with bits (dense-once.ts): before anything is
 * made, by what its rules read and would derive one by one; when its values have numbers, by how
 * empty the rows of bits would be.
 */
import { isForcedToBits, LAYOUT_LEAVE, layout } from './bits-choice';
import { recordBytesOf } from './bit-matrix';
import { isListed } from './dense-list';
import { isConstantOf } from './dense-once-translate';
import {
  DENSE_EMIT_LIST,
  DENSE_LIST,
  DENSE_SCAN,
  DenseList,
  DensePlan,
  DenseVersion,
  denseVersionAt,
  FORM_IMAGE,
  listAt,
  NONE,
  operationAt,
} from './dense-plan';
import { rowsOf } from './dense-translate';
import { addNumber, createNumbering, destroyNumbering } from './numbering';
import { Relation, rowAddress } from './row-store';

/** With fewer derivations a unit is done before its lists are made. */
const DERIVATIONS_MIN: f64 = 512;
/** Rows that are read to make lists cost a part of a derivation. */
const READS_OF_DERIVATION: f64 = 8;
/** Bytes of bits for each derivation, and in any case. */
const BIT_BYTES_OF_DERIVATION: f64 = 16;
const BIT_BYTES_MIN: f64 = 0x100000;
/** Rows that are looked at to guess how many values a column has, and of each value at least. */
const SAMPLE_ROWS: u32 = 2048;
const VALUE_ROWS_MIN: f64 = 16;

/** Derivations one by one would cost more than the lists of a plan. */
export function isWorthwhile(plan: DensePlan): bool {
  let reads: f64 = 0;
  for (let i: u32 = 0; i < plan.listCount; i++) reads += rowsOf(listAt(plan, i).relation);
  return plan.derivations >= DERIVATIONS_MIN && plan.derivations * READS_OF_DERIVATION >= reads;
}

/** False where rows of bits, over `size` values, would be mostly empty. Null: there is no head. */
export function isDenseEnough(plan: DensePlan, head: Relation, size: u32): bool {
  if (isForcedToBits()) return layout != LAYOUT_LEAVE;
  const found = derivationsOver(plan, size);
  const isPair = changetype<usize>(head) != 0 && head.arity == 2;
  let rows: f64 = 1;
  for (let i: u32 = 0; isPair && i < plan.versionCount; i++)
    rows += min<f64>(rowsOfBits(denseVersionAt(plan, i), size), found);
  for (let i: u32 = 0; i < plan.listCount; i++) {
    const list = listAt(plan, i);
    const isPair = list.form == FORM_IMAGE && list.keyColumn != NONE;
    if (isPair) rows += min(size, list.relation.top) as f64;
  }
  const bytes = rows * (recordBytesOf(size) as f64);
  return bytes <= max(BIT_BYTES_MIN, found * BIT_BYTES_OF_DERIVATION);
}

/** About how many rows of bits a rule gives, of `size` at most. */
function rowsOfBits(version: DenseVersion, size: u32): f64 {
  if (isConstantOf(version, version.headRow)) return 1;
  const first = operationAt(version, 0);
  if (version.filterFrom == 0 || first.kind != DENSE_SCAN) return size as f64;
  const list = first.list;
  for (let i: u32 = 0; i < list.pairCount; i++) {
    const pair = list.pairs + (i << 3);
    if (load<u32>(pair, 4) == version.headRow) return valuesAmong(list, load<u32>(pair), size);
  }
  return size as f64;
}

/** About how many values a column has, as far as some of the rows tell. */
function valuesAmong(list: DenseList, column: u32, size: u32): f64 {
  const relation = list.relation;
  const step = max<u32>(relation.top / SAMPLE_ROWS, 1);
  const values = createNumbering();
  if (changetype<usize>(values) == 0) return size as f64;
  let taken: f64 = 0;
  for (let id: u32 = 0; id < relation.top; id += step) {
    const row = rowAddress(relation, id);
    if (!isListed(list, row)) continue;
    addNumber(values, load<u32>(row + relation.cellsAt + (column << 2)));
    taken += 1;
  }
  const count = values.length as f64;
  destroyNumbering(values);
  // Where most rows of the sample share their value with others, it has seen nearly all values.
  return count * VALUE_ROWS_MIN <= taken ? count * 2 : (size as f64);
}

/** As `derivations` of the plan, if keys are as many as there are values. */
function derivationsOver(plan: DensePlan, size: u32): f64 {
  let sum: f64 = 0;
  for (let i: u32 = 0; i < plan.versionCount; i++) {
    const version = denseVersionAt(plan, i);
    let found: f64 = 1;
    for (let j: u32 = 0; j < version.filterFrom; j++) {
      const op = operationAt(version, j);
      const isScan = op.kind == DENSE_SCAN;
      if (!isScan && op.kind != DENSE_LIST && op.kind != DENSE_EMIT_LIST) continue;
      const rows = op.list.relation.top as f64;
      found *= isScan || op.key == NONE ? rows : max(1, rows / (size as f64));
    }
    sum += found;
  }
  return sum;
}
