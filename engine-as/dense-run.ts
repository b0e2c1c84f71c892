/*
 * The rules of a round over bits (dense.ts): nested loops over numbers, which stop after any number
 * of steps and go on later.
 */
import { ROW_LIVE, STATUS_DONE, STATUS_MORE, STATUS_OUT_OF_MEMORY } from './abi';
import { streamRow, streamRows } from './aggregate-stream';
import {
  addNumbers,
  addRow,
  hasBit,
  nextBit,
  NO_BIT,
  openBits,
  poolEnded,
  recordOf,
  setBit,
} from './bit-matrix';
import { compare } from './compute';
import { isListed, valuesFrom } from './dense-list';
import {
  DENSE_BIT,
  DENSE_BITS,
  DENSE_COMPARE,
  DENSE_EMIT_BIT,
  DENSE_EMIT_COUNT,
  DENSE_EMIT_LIST,
  DENSE_EMIT_SOLUTION,
  DENSE_FILLED,
  DENSE_IMAGE,
  DENSE_LIST,
  DENSE_LISTED,
  DENSE_PAIRS,
  DENSE_PROBE,
  DENSE_ROWS,
  DENSE_SAME,
  DENSE_SCAN,
  DenseOp,
  DenseTable,
  DenseVersion,
  matrixOf,
  NO_OP,
  NONE,
  operationAt,
  REGISTERS,
  ROW_ZERO,
} from './dense-plan';
import { countBit, countNumbers, isCounting } from './dense-count';
import { isSweeping, letWait } from './dense-sweep';
import { hashCells } from './hash';
import { NOT_FOUND } from './id-set';
import { countSteps, stepCount } from './steps';
import { cellAt, numberOf, Numbering } from './numbering';
import { findRow } from './relation';
import { rowAddress } from './row-store';
import { wordAt } from './vector';

let numbering: Numbering = changetype<Numbering>(0);
/** The operation at which the run paused, and whether it is entered forwards. */
let pausedAt: u32 = 0;
let forwards: bool = false;
/** The driving row as a whole. */
let tailRecord: u32 = 0;
/** Where rows go one by one (dense-sweep.ts): the one whose turn it is. */
let drivingRow: u32 = 0;
let drivingRecord: u32 = 0;
/** A scan stopped behind many rows without one to take. */
let scanPaused: bool = false;
const SCAN_ROWS: u32 = 4096;

const registers: u32 = memory.data(REGISTERS * 4, 8) as u32;
const cellBuffer: u32 = memory.data(64 * 4, 8) as u32;

/** The row that the next runs are driven by, where rows go one by one. */
export function driveBy(row: u32, record: u32): void {
  drivingRow = row;
  drivingRecord = record;
}

/** Begins a run: go on with `runVersion`. */
export function startVersion(version: DenseVersion, domain: Numbering): void {
  numbering = domain;
  pausedAt = 0;
  forwards = true;
  setRegister(ROW_ZERO, 0);
  for (let i: u32 = 0; i < version.constantCount; i++) {
    const pair = version.constants + (i << 3);
    setRegister(load<u32>(pair), numberOf(numbering, load<u32>(pair, 4)));
  }
}

export function setRegister(register: u32, number: u32): void {
  store<u32>(registers + (register << 2), number);
}

export function registerAt(number: u32): u32 {
  return register(number);
}

function register(number: u32): u32 {
  return load<u32>(registers + (number << 2));
}

/** Runs until the version ends or `limit` steps were done. */
export function runVersion(version: DenseVersion, limit: u64): u32 {
  let place = pausedAt;
  while (place != NO_OP) {
    const op = operationAt(version, place);
    let ok: bool = false;
    if (op.kind <= DENSE_SCAN) {
      if (stepCount >= limit) {
        pausedAt = place;
        return STATUS_MORE;
      }
      countSteps(1);
      if (forwards) open(op);
      ok = advance(op);
      if (scanPaused) {
        scanPaused = false;
        forwards = false;
        continue;
      }
    } else if (op.kind < DENSE_EMIT_BIT) ok = test(op);
    else if (op.kind >= DENSE_EMIT_SOLUTION) {
      const status = solve(op);
      if (status != 0) return status;
    } else {
      add(op);
      if (poolEnded) return STATUS_OUT_OF_MEMORY;
    }
    forwards = ok;
    place = ok ? place + 1 : op.back;
  }
  return STATUS_DONE;
}

function bitsOf(op: DenseOp): u32 {
  return (changetype<usize>(op) + offsetof<DenseOp>('bits')) as u32;
}

function open(op: DenseOp): void {
  op.place = 0;
  switch (op.kind as i32) {
    case DENSE_PAIRS:
      openBits(bitsOf(op), isSweeping ? drivingRecord : 0);
      break;
    case DENSE_BITS: {
      const table = op.table;
      const matrix = matrixOf(table.all0, table.all1, op.index);
      openBits(bitsOf(op), recordOf(matrix, register(op.key)));
      break;
    }
    case DENSE_LIST: {
      const key = op.key == NONE ? 0 : register(op.key);
      op.place = valuesFrom(op.list, key);
      op.end = valuesFrom(op.list, key + 1);
      break;
    }
    case DENSE_SCAN:
      op.end = op.list.relation.top;
      break;
    default:
      break;
  }
}

function advance(op: DenseOp): bool {
  switch (op.kind as i32) {
    case DENSE_PAIRS: {
      if (isSweeping) return nextPair(op);
      const matrix = op.table.recent0;
      while (true) {
        const column = nextBit(bitsOf(op));
        if (column != NO_BIT) {
          setRegister(op.output, column);
          return true;
        }
        if (op.place == matrix.filled.length) return false;
        const row = wordAt(matrix.filled, op.place);
        op.place += 1;
        setRegister(op.key, row);
        openBits(bitsOf(op), recordOf(matrix, row));
      }
    }
    case DENSE_ROWS: {
      if (isSweeping) {
        if (op.place != 0) return false;
        op.place = 1;
        setRegister(op.output, drivingRow);
        tailRecord = drivingRecord;
        return true;
      }
      const table = op.table;
      const matrix = matrixOf(table.recent0, table.recent1, op.index);
      if (op.place == matrix.filled.length) return false;
      const row = wordAt(matrix.filled, op.place);
      op.place += 1;
      setRegister(op.output, row);
      tailRecord = recordOf(matrix, row);
      return true;
    }
    case DENSE_BITS: {
      const column = nextBit(bitsOf(op));
      if (column == NO_BIT) return false;
      setRegister(op.output, column);
      return true;
    }
    case DENSE_SCAN:
      return advanceScan(op);
    default:
      if (op.place == op.end) return false;
      setRegister(op.output, load<u32>(op.place));
      op.place += 4;
      return true;
  }
}

/** The next pair of the driving row, which stands by the table's main column. */
function nextPair(op: DenseOp): bool {
  const column = nextBit(bitsOf(op));
  if (column == NO_BIT) return false;
  const isByFirst = op.table.main == 0;
  setRegister(op.key, isByFirst ? drivingRow : column);
  setRegister(op.output, isByFirst ? column : drivingRow);
  return true;
}

function advanceScan(op: DenseOp): bool {
  const list = op.list;
  const relation = list.relation;
  const from = op.place;
  const end = min(op.end, from + SCAN_ROWS);
  for (let place = from; place < end; place++) {
    const row = rowAddress(relation, place);
    if (!isListed(list, row)) continue;
    const cells = row + relation.cellsAt;
    const pairsEnd = list.pairs + (list.pairCount << 3);
    for (let pair = list.pairs; pair < pairsEnd; pair += 8) {
      const cell = load<u32>(cells + (load<u32>(pair) << 2));
      setRegister(load<u32>(pair, 4), numberOf(numbering, cell));
    }
    op.place = place + 1;
    countSteps(place - from);
    return true;
  }
  op.place = end;
  countSteps(end - from);
  scanPaused = end < op.end;
  return false;
}

export function test(op: DenseOp): bool {
  switch (op.kind as i32) {
    case DENSE_SAME:
      return register(op.key) == register(op.output);
    case DENSE_COMPARE:
      return compare(
        op.operator,
        cellAt(numbering, register(op.key)),
        cellAt(numbering, register(op.output)),
      );
    case DENSE_BIT:
      return hasBit(op.table.all0, register(op.key), register(op.output));
    case DENSE_FILLED: {
      const matrix = matrixOf(op.table.all0, op.table.all1, op.index);
      return recordOf(matrix, register(op.key)) != 0;
    }
    case DENSE_LISTED: {
      const key = op.key == NONE ? 0 : register(op.key);
      const starts = op.list.starts + (key << 2);
      return (load<u32>(starts) == load<u32>(starts, 4)) == op.isAbsent;
    }
    case DENSE_IMAGE:
      return hasBit(op.list.matrix, register(op.key), register(op.output)) != op.isAbsent;
    case DENSE_PROBE:
      return probe(op) != op.isAbsent;
    default:
      setRegister(op.output, register(op.key));
      return true;
  }
}

function probe(op: DenseOp): bool {
  const relation = op.relation;
  for (let i: u32 = 0; i < relation.arity; i++) {
    const cell = cellAt(numbering, register(load<u32>(op.registers + (i << 2))));
    store<u32>(cellBuffer + (i << 2), cell);
  }
  const id = findRow(relation, cellBuffer, hashCells(cellBuffer, relation.arity));
  return id != NOT_FOUND && (load<u32>(rowAddress(relation, id)) & ROW_LIVE) != 0;
}

/** The end of an aggregate's rule: one solution more, or as many as a list has values. */
function solve(op: DenseOp): u32 {
  const arity = op.solutionArity;
  for (let i: u32 = 0; i < arity; i++) {
    const from = load<u32>(op.registers + (i << 2));
    store<u32>(cellBuffer + (i << 2), from == NONE ? 0 : cellAt(numbering, register(from)));
  }
  if (op.kind == DENSE_EMIT_SOLUTION) return streamRow(cellBuffer, 1);
  const key = op.key == NONE ? 0 : register(op.key);
  const count = (valuesFrom(op.list, key + 1) - valuesFrom(op.list, key)) >> 2;
  return count == 0 ? 0 : streamRows(cellBuffer, count);
}

/** The end of a rule: what it found goes to what is next. */
function add(op: DenseOp): void {
  const head = op.head;
  if (op.kind == DENSE_EMIT_BIT) {
    addBit(head, register(op.key), register(op.output));
    return;
  }
  if (op.kind == DENSE_EMIT_LIST) {
    const key = op.key == NONE ? 0 : register(op.key);
    const end = valuesFrom(op.list, key + 1);
    const row = register(op.headRow);
    let value = valuesFrom(op.list, key);
    countSteps((end - value) >> 2);
    if (isCounting && op.headIndex == 0) countNumbers(head.next0, row, value, end);
    else if (op.headIndex == 0 && head.main == 0) {
      if (value == end) return;
      addNumbers(head.next0, head.all0, row, value, end);
      if (isSweeping && recordOf(head.next0, row) != 0) letWait(head, row);
    } else if (op.headIndex == 0)
      for (; value < end; value += 4) addBit(head, row, load<u32>(value));
    else for (; value < end; value += 4) addBit(head, load<u32>(value), row);
    return;
  }
  let record = tailRecord;
  if (!op.addsTail) {
    const table = op.table;
    record = recordOf(matrixOf(table.all0, table.all1, op.index), register(op.key));
  }
  if (record == 0) return;
  const next = matrixOf(head.next0, head.next1, op.headIndex);
  const all = matrixOf(head.all0, head.all1, op.headIndex);
  const row = register(op.headRow);
  countSteps(addRow(next, all, row, record) >> 1);
  if (isSweeping && recordOf(next, row) != 0) letWait(head, row);
}

function addBit(head: DenseTable, row: u32, column: u32): void {
  if (isCounting) {
    countBit(head.next0, row, column);
    return;
  }
  const isByFirst = head.main == 0;
  const at = isByFirst ? row : column;
  const bit = isByFirst ? column : row;
  if (hasBit(matrixOf(head.all0, head.all1, head.main), at, bit)) return;
  setBit(matrixOf(head.next0, head.next1, head.main), at, bit);
  if (isSweeping) letWait(head, at);
}
