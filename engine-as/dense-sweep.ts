/*
 * The order of an evaluation over bits whose rows need no ranks: instead of rounds over all that is
 * new, one row of bits at a time goes through the rules, with all that was added to it until then
 * (chaotic iteration). Rows wait in the order in which values flow along the lists of the rules:
 * the reverse postorder of a depth-first search (cf. Kam and Ullman, "Global data flow analysis and
 * iterative algorithms", JACM 1976), so that without circles each row comes once, when it is whole.
 */
import { NO_BIT } from './bit-matrix';
import { valuesFrom } from './dense-list';
import {
  DENSE_EMIT_ROW,
  DENSE_LIST,
  DENSE_PAIRS,
  DENSE_ROWS,
  DenseList,
  DensePlan,
  DenseTable,
  denseVersionAt,
  DenseVersion,
  needBit,
  operationAt,
  tableAt,
} from './dense-plan';
import { NOT_FOUND } from './id-set';
import { allocate, allocateZeroed, release } from './memory';
import { countSteps } from './steps';

/** Bytes of a frame of the search: row, version, place in its list. */
const FRAME_BYTES: u32 = 12;
const ON_STACK: u32 = NOT_FOUND - 1;

let plan: DensePlan = changetype<DensePlan>(0);
let size: u32 = 0;
/** Place of each row in the order, and the row at each place. */
let places: u32 = 0;
let rowsByPlace: u32 = 0;
/** Words of a table's set of waiting rows, and of the summary before them. */
let words: u32 = 0;
let summaryWords: u32 = 0;
/** Rows that wait, in all tables. */
export let waitingRows: u32 = 0;
/** Evaluations that went row by row, since the engine started. */
export let sweeps: u32 = 0;
/** The evaluation under way goes row by row. */
export let isSweeping: bool = false;

/** True when the rules of a plan can be driven by one row of bits at a time. */
export function maySweep(dense: DensePlan, isAgain: bool): bool {
  for (let i: u32 = 0; i < dense.tableCount; i++) {
    const table = tableAt(dense, i);
    if (!table.relation.fresh && !isAgain) return false;
    if (table.needsNext != needBit(table.main)) return false;
  }
  for (let i: u32 = 0; i < dense.versionCount; i++) {
    const version = denseVersionAt(dense, i);
    const first = operationAt(version, 0);
    const isWhole = first.kind == DENSE_ROWS && first.index == version.source.main;
    if (!isWhole && first.kind != DENSE_PAIRS) return false;
  }
  return true;
}

/** Sets up the order over a domain of `rows` values, when the lists stand; false without memory. */
export function beginSweep(dense: DensePlan, rows: u32): bool {
  plan = dense;
  size = rows;
  words = (rows + 63) >> 6;
  summaryWords = (words + 63) >> 6;
  waitingRows = 0;
  isSweeping = true;
  sweeps += 1;
  places = allocate(max<u32>(size << 2, 4));
  rowsByPlace = allocate(max<u32>(size << 2, 4));
  if (places == 0 || rowsByPlace == 0) return false;
  for (let i: u32 = 0; i < dense.tableCount; i++) {
    const table = tableAt(dense, i);
    table.waiting = allocateZeroed(waitingBytes());
    table.driven = allocateZeroed(words << 3);
    if (table.waiting == 0 || table.driven == 0) return false;
  }
  for (let i: u32 = 0; i < dense.versionCount; i++) {
    const version = denseVersionAt(dense, i);
    version.flow = flowOf(version);
  }
  return orderRows();
}

export function endSweep(): void {
  if (!isSweeping) return;
  release(places, max<u32>(size << 2, 4));
  release(rowsByPlace, max<u32>(size << 2, 4));
  for (let i: u32 = 0; i < plan.tableCount; i++) {
    const table = tableAt(plan, i);
    release(table.waiting, waitingBytes());
    release(table.driven, words << 3);
    table.waiting = 0;
    table.driven = 0;
  }
  places = 0;
  rowsByPlace = 0;
  isSweeping = false;
}

function waitingBytes(): u32 {
  return (words + summaryWords) << 3;
}

function flowOf(version: DenseVersion): DenseList {
  const none = changetype<DenseList>(0);
  const first = operationAt(version, 0);
  if (first.kind != DENSE_ROWS) return none;
  const last = operationAt(version, version.count - 1);
  if (last.kind != DENSE_EMIT_ROW || !last.addsTail) return none;
  for (let i: u32 = 1; i < version.count; i++) {
    const op = operationAt(version, i);
    if (op.kind == DENSE_LIST && op.key == first.output && op.output == last.headRow)
      return op.list;
  }
  return none;
}

function orderRows(): bool {
  memory.fill(places, 0xff, size << 2);
  const stackBytes = (size + 1) * FRAME_BYTES;
  const stack = allocate(stackBytes);
  if (stack == 0) return false;
  let left = size;
  let work: u32 = size;
  for (let root: u32 = 0; root < size; root++) {
    if (load<u32>(places + (root << 2)) != NOT_FOUND) continue;
    let top = stack;
    openFrame(top, root);
    while (true) {
      const row = load<u32>(top);
      const next = nextBehind(top);
      work += 1;
      if (next != NOT_FOUND) {
        if (load<u32>(places + (next << 2)) != NOT_FOUND) continue;
        top += FRAME_BYTES;
        openFrame(top, next);
        continue;
      }
      left -= 1;
      store<u32>(places + (row << 2), left);
      store<u32>(rowsByPlace + (left << 2), row);
      if (top == stack) break;
      top -= FRAME_BYTES;
    }
  }
  release(stack, stackBytes);
  countSteps(work >> 3);
  return true;
}

function openFrame(frame: u32, row: u32): void {
  store<u32>(places + (row << 2), ON_STACK);
  store<u32>(frame, row);
  store<u32>(frame, 0, 4);
  store<u32>(frame, 0, 8);
}

/** The next row that the row of a frame flows to, or NOT_FOUND. */
function nextBehind(frame: u32): u32 {
  const row = load<u32>(frame);
  for (let number = load<u32>(frame, 4); number < plan.versionCount; number++) {
    const list = denseVersionAt(plan, number).flow;
    if (changetype<usize>(list) == 0) continue;
    let at = load<u32>(frame, 8);
    if (at == 0) at = valuesFrom(list, row);
    if (at != valuesFrom(list, row + 1)) {
      store<u32>(frame, number, 4);
      store<u32>(frame, at + 4, 8);
      return load<u32>(at);
    }
    store<u32>(frame, 0, 8);
  }
  store<u32>(frame, plan.versionCount, 4);
  return NOT_FOUND;
}

/** A row of a table has bits that have not gone through the rules. */
export function letWait(table: DenseTable, row: u32): void {
  const place = load<u32>(places + (row << 2));
  const word = table.waiting + ((summaryWords + (place >> 6)) << 3);
  const before = load<u64>(word);
  const bit = (<u64>1) << (place & 63);
  if ((before & bit) != 0) return;
  store<u64>(word, before | bit);
  waitingRows += 1;
  const summary = table.waiting + ((place >> 12) << 3);
  store<u64>(summary, load<u64>(summary) | ((<u64>1) << ((place >> 6) & 63)));
}

/** The next row of a table from the place where its sweep is, which no longer waits; or NO_BIT. */
export function takeWaiting(table: DenseTable): u32 {
  const waiting = table.waiting;
  let number = table.sweptTo >> 6;
  let mask = (<u64>-1) << (table.sweptTo & 63);
  while (number < words) {
    const at = waiting + ((summaryWords + number) << 3);
    const word = load<u64>(at) & mask;
    if (word != 0) {
      const bit = ctz(word) as u32;
      const rest = load<u64>(at) & ~((<u64>1) << bit);
      store<u64>(at, rest);
      if (rest == 0) {
        const summary = waiting + ((number >> 6) << 3);
        store<u64>(summary, load<u64>(summary) & ~((<u64>1) << (number & 63)));
      }
      waitingRows -= 1;
      table.sweptTo = (number << 6) + bit + 1;
      return load<u32>(rowsByPlace + (((number << 6) + bit) << 2));
    }
    mask = -1;
    number = nextWord(waiting, number + 1);
  }
  table.sweptTo = 0;
  return NO_BIT;
}

/** True for a row that had a turn. */
export function wasDriven(table: DenseTable, row: u32): bool {
  return ((load<u64>(table.driven + ((row >> 6) << 3)) >> (row & 63)) & 1) != 0;
}

export function noteDriven(table: DenseTable, row: u32): void {
  const at = table.driven + ((row >> 6) << 3);
  store<u64>(at, load<u64>(at) | ((<u64>1) << (row & 63)));
}

/** The next word with a bit, from `number` on; `words` behind the last one. */
function nextWord(waiting: u32, number: u32): u32 {
  let s = number >> 6;
  let mask = (<u64>-1) << (number & 63);
  for (; s < summaryWords; s++) {
    const summary = load<u64>(waiting + (s << 3)) & mask;
    if (summary != 0) return (s << 6) + (ctz(summary) as u32);
    mask = -1;
  }
  return words;
}
