/*
 * What an evaluation over bits (dense.ts) leaves behind: bits that nobody needs as rows stay with
 * their relations (kept-bits.ts); where rounds of rows follow, all bits become rows.
 */
import { ROW_LIVE } from './abi';
import {
  BitMatrix,
  BITS_CURSOR_BYTES,
  detachRow,
  hasBit,
  nextBit,
  NO_BIT,
  openBits,
} from './bit-matrix';
import { DensePlan, DenseTable, matrixOf, tableAt } from './dense-plan';
import { isSweeping, wasDriven } from './dense-sweep';
import { countAppended } from './emit';
import { clearPresent, createKeptPool, keepBits, releaseKeptPool } from './kept-bits';
import { leaveUnlisted } from './listing';
import { cellAt, destroyNumbering, Numbering, numberOf } from './numbering';
import { appendRow } from './relation';
import { rowAddress } from './row-store';
import { push, wordAt } from './vector';

const walk: u32 = memory.data(BITS_CURSOR_BYTES, 8) as u32;

export const KEPT_NOTHING: u32 = 0;
const KEPT: u32 = 1;
export const KEPT_FAILED: u32 = 2;

/**
 * Where all is found: bits that nobody needs as rows stay with their relations, and so does the
 * numbering (KEPT). KEPT_FAILED without memory: the numbering is gone, too.
 */
export function keepTables(plan: DensePlan, numbering: Numbering): u32 {
  let isKept: bool = false;
  for (let i: u32 = 0; i < plan.tableCount; i++) isKept = isKept || tableAt(plan, i).keeps;
  if (!isKept) return KEPT_NOTHING;
  for (let i: u32 = 0; i < plan.tableCount; i++) {
    const table = tableAt(plan, i);
    if (table.keeps) clearPresent(table.relation, numbering, allOf(table), table.main);
  }
  const pool = createKeptPool(numbering);
  if (changetype<usize>(pool) == 0) {
    destroyNumbering(numbering);
    return KEPT_FAILED;
  }
  let isDone: bool = true;
  for (let i: u32 = 0; i < plan.tableCount && isDone; i++) {
    const table = tableAt(plan, i);
    if (!table.keeps) continue;
    isDone = keepBits(table.relation, pool, allOf(table), table.main, table.foundRows);
    if (!isDone) continue;
    if (table.main == 0) table.all0 = changetype<BitMatrix>(0);
    else table.all1 = changetype<BitMatrix>(0);
  }
  releaseKeptPool(pool);
  return isDone ? KEPT : KEPT_FAILED;
}

function allOf(table: DenseTable): BitMatrix {
  return matrixOf(table.all0, table.all1, table.main);
}

/**
 * Where rounds of rows follow: bits become rows, last those that the rules have not seen, with the
 * rank of a turn that is next.
 */
export function makeRows(plan: DensePlan, numbering: Numbering, rank: u32): bool {
  const none = changetype<BitMatrix>(0);
  for (let i: u32 = 0; i < plan.tableCount; i++) {
    const table = tableAt(plan, i);
    const relation = table.relation;
    const all = allOf(table);
    if (isSweeping && !queuePresent(table, numbering)) return false;
    if (table.keeps) clearPresent(relation, numbering, all, table.main);
    if (isSweeping) {
      const last = matrixOf(table.next0, table.next1, table.main);
      if (table.keeps && !appendBits(table, numbering, all, none, 0)) return false;
      table.newFrom = relation.top;
      if (!appendBits(table, numbering, last, none, rank)) return false;
      if (countAppended(relation, relation.top - table.newFrom, rank) != 0) return false;
    } else if (table.keeps) {
      const last = matrixOf(table.recent0, table.recent1, table.main);
      if (!appendBits(table, numbering, all, last, 0)) return false;
      table.newFrom = relation.top;
      if (!appendBits(table, numbering, last, none, 0)) return false;
    }
  }
  return true;
}

/** Rows of the relation that have not had their turn are pending ones. */
function queuePresent(table: DenseTable, numbering: Numbering): bool {
  const relation = table.relation;
  for (let id: u32 = 0; id < relation.top; id++) {
    const row = rowAddress(relation, id);
    if ((load<u32>(row) & ROW_LIVE) == 0) continue;
    const cells = row + relation.cellsAt;
    const isUnary = relation.arity == 1;
    const at = isUnary ? 0 : numberOf(numbering, load<u32>(cells + (table.main << 2)));
    if (!wasDriven(table, at) && !push(relation.pending, (id << 1) | 1)) return false;
  }
  return true;
}

/** Appends the rows of all bits of a matrix but for those of another one. */
function appendBits(
  table: DenseTable,
  numbering: Numbering,
  matrix: BitMatrix,
  without: BitMatrix,
  rank: u32,
): bool {
  const relation = table.relation;
  const isUnary = relation.arity == 1;
  const isByFirst = table.main == 0;
  leaveUnlisted(relation);
  for (let i: u32 = 0; i < matrix.filled.length; i++) {
    const row = wordAt(matrix.filled, i);
    // A row that went may be in the list still, or twice.
    openBits(walk, detachRow(matrix, row));
    for (let column = nextBit(walk); column != NO_BIT; column = nextBit(walk)) {
      if (changetype<usize>(without) != 0 && hasBit(without, row, column)) continue;
      const rowCell = cellAt(numbering, row);
      const columnCell = cellAt(numbering, column);
      const first = isUnary || !isByFirst ? columnCell : rowCell;
      if (!appendRow(relation, first, isByFirst ? columnCell : rowCell, rank)) return false;
    }
  }
  return true;
}
