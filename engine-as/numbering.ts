/*
 * Numbers 0, 1, 2 … for cells, in the order in which they come, and the cell of each number.
 *
 * Small ints, and places in the value table, tend to lie close together: of each kind there is an
 * array by what they are, as long as a good part of it is in use. What lies beyond is in a set with
 * linear probing.
 */
import { allocate, allocateZeroed, release } from './memory';
import { NOT_FOUND } from './id-set';
import { compareCells } from './value-table';

const FIRST_SLOTS: u32 = 64;
const FIRST_CELLS: u32 = 128;
/** Places of an array for each number given, and in all. */
const PLACES_OF_NUMBER: u32 = 8;
const PLACES_MIN: u32 = 256;
const PLACES_MAX: u32 = 1 << 24;

@unmanaged
export class Numbering {
  /** By the last bit of a cell: array of number + 1 (0: none) by the other bits. */
  places0: u32;
  places1: u32;
  placeCount0: u32;
  placeCount1: u32;
  /** Pairs: cell, number + 1 (0: empty). */
  slots: u32;
  slotMask: u32;
  /** Cells in them. */
  slotsUsed: u32;
  cells: u32;
  cellRoom: u32;
  /** Numbers given. */
  length: u32;
}

/** Null (0) without memory. */
export function createNumbering(): Numbering {
  const numbering = changetype<Numbering>(allocateZeroed(offsetof<Numbering>() as u32) as usize);
  if (changetype<usize>(numbering) == 0) return numbering;
  numbering.slots = allocateZeroed(FIRST_SLOTS << 3);
  numbering.slotMask = FIRST_SLOTS - 1;
  numbering.cellRoom = FIRST_CELLS;
  numbering.cells = allocate(FIRST_CELLS << 2);
  if (numbering.slots != 0 && numbering.cells != 0) return numbering;
  destroyNumbering(numbering);
  return changetype<Numbering>(0);
}

export function destroyNumbering(numbering: Numbering): void {
  if (changetype<usize>(numbering) == 0) return;
  release(numbering.places0, numbering.placeCount0 << 2);
  release(numbering.places1, numbering.placeCount1 << 2);
  release(numbering.slots, (numbering.slotMask + 1) << 3);
  release(numbering.cells, numbering.cellRoom << 2);
  release(changetype<usize>(numbering) as u32, offsetof<Numbering>() as u32);
}

/** Address of `places0` or `places1`; 8 bytes on is the length. */
function kindOf(numbering: Numbering, cell: u32): u32 {
  return (changetype<usize>(numbering) as u32) + ((cell & 1) << 2);
}

/** Number of a cell, or NOT_FOUND. */
export function numberOf(numbering: Numbering, cell: u32): u32 {
  const kind = kindOf(numbering, cell);
  const place = cell >> 1;
  // NOT_FOUND is what comes before 0.
  if (place < load<u32>(kind, 8)) return load<u32>(load<u32>(kind) + (place << 2)) - 1;
  return findSlot(numbering, cell);
}

function slotOf(cell: u32): u32 {
  return cell ^ (cell >> 15);
}

function findSlot(numbering: Numbering, cell: u32): u32 {
  const slots = numbering.slots;
  const mask = numbering.slotMask;
  let slot = slotOf(cell) & mask;
  while (true) {
    const place = slots + (slot << 3);
    const entry = load<u32>(place, 4);
    if (entry == 0) return NOT_FOUND;
    if (load<u32>(place) == cell) return entry - 1;
    slot = (slot + 1) & mask;
  }
}

function put(slots: u32, mask: u32, cell: u32, number: u32): void {
  let slot = slotOf(cell) & mask;
  while (load<u32>(slots + (slot << 3), 4) != 0) slot = (slot + 1) & mask;
  store<u32>(slots + (slot << 3), cell);
  store<u32>(slots + (slot << 3), number + 1, 4);
}

function growSlots(numbering: Numbering): bool {
  const count = (numbering.slotMask + 1) << 1;
  const slots = allocateZeroed(count << 3);
  if (slots == 0) return false;
  const end = numbering.slots + ((numbering.slotMask + 1) << 3);
  for (let slot = numbering.slots; slot < end; slot += 8) {
    const entry = load<u32>(slot, 4);
    if (entry != 0) put(slots, count - 1, load<u32>(slot), entry - 1);
  }
  release(numbering.slots, (numbering.slotMask + 1) << 3);
  numbering.slots = slots;
  numbering.slotMask = count - 1;
  return true;
}

function growCells(numbering: Numbering): bool {
  const room = numbering.cellRoom << 1;
  const cells = allocate(room << 2);
  if (cells == 0) return false;
  memory.copy(cells, numbering.cells, numbering.length << 2);
  release(numbering.cells, numbering.cellRoom << 2);
  numbering.cells = cells;
  numbering.cellRoom = room;
  return true;
}

/** The array of a cell's kind, made longer; what was in the set so far comes into it. */
function growPlaces(numbering: Numbering, cell: u32): bool {
  const kind = kindOf(numbering, cell);
  const before = load<u32>(kind, 8);
  let count = max(before, PLACES_MIN);
  while (count <= cell >> 1) count <<= 1;
  const places = allocateZeroed(count << 2);
  if (places == 0) return false;
  memory.copy(places, load<u32>(kind), before << 2);
  release(load<u32>(kind), before << 2);
  store<u32>(kind, places);
  store<u32>(kind, count, 8);
  for (let number: u32 = 0; number < numbering.length; number++) {
    const known = load<u32>(numbering.cells + (number << 2));
    const place = known >> 1;
    if (((known ^ cell) & 1) == 0 && place < count) store<u32>(places + (place << 2), number + 1);
  }
  return true;
}

/** The number of a cell, a new one if need be; NOT_FOUND without memory. */
export function addNumber(numbering: Numbering, cell: u32): u32 {
  const known = numberOf(numbering, cell);
  return known != NOT_FOUND ? known : addNew(numbering, cell);
}

function addNew(numbering: Numbering, cell: u32): u32 {
  const number = numbering.length;
  const place = cell >> 1;
  if (number == numbering.cellRoom && !growCells(numbering)) return NOT_FOUND;
  const kind = kindOf(numbering, cell);
  if (place >= load<u32>(kind, 8)) {
    const placesMax = min(PLACES_MAX, max(PLACES_MIN, number * PLACES_OF_NUMBER));
    if (place < placesMax && !growPlaces(numbering, cell)) return NOT_FOUND;
  }
  if (place < load<u32>(kind, 8)) {
    store<u32>(load<u32>(kind) + (place << 2), number + 1);
  } else {
    if (numbering.slotsUsed << 1 > numbering.slotMask && !growSlots(numbering)) return NOT_FOUND;
    put(numbering.slots, numbering.slotMask, cell, number);
    numbering.slotsUsed += 1;
  }
  store<u32>(numbering.cells + (number << 2), cell);
  numbering.length = number + 1;
  return number;
}

export function cellAt(numbering: Numbering, number: u32): u32 {
  return load<u32>(numbering.cells + (number << 2));
}

/** Gives numbers anew, in the total order of the cells; false without memory, changing nothing. */
export function sortNumbers(numbering: Numbering): bool {
  const count = numbering.length;
  const bytes = numbering.cellRoom << 2;
  const spare = allocate(bytes);
  if (spare == 0) return false;
  let from = numbering.cells;
  let to = spare;
  for (let width: u32 = 1; width < count; width <<= 1) {
    for (let start: u32 = 0; start < count; start += width << 1)
      mergeCells(from, to, start, min(start + width, count), min(start + (width << 1), count));
    const sorted = to;
    to = from;
    from = sorted;
  }
  numbering.cells = from;
  release(to, bytes);
  for (let i: u32 = 0; i < count; i++) setNumber(numbering, load<u32>(from + (i << 2)), i);
  return true;
}

/** Another number for a cell that has one. */
function setNumber(numbering: Numbering, cell: u32, number: u32): void {
  const kind = kindOf(numbering, cell);
  const place = cell >> 1;
  if (place < load<u32>(kind, 8)) {
    store<u32>(load<u32>(kind) + (place << 2), number + 1);
    return;
  }
  const mask = numbering.slotMask;
  let slot = slotOf(cell) & mask;
  while (load<u32>(numbering.slots + (slot << 3)) != cell) slot = (slot + 1) & mask;
  store<u32>(numbering.slots + (slot << 3), number + 1, 4);
}

/** The cells of [start, middle) and [middle, end), each in order. */
function mergeCells(from: u32, to: u32, start: u32, middle: u32, end: u32): void {
  let left = start;
  let right = middle;
  for (let place = start; place < end; place++) {
    const isLeft =
      left < middle &&
      (right >= end ||
        compareCells(load<u32>(from + (left << 2)), load<u32>(from + (right << 2))) <= 0);
    const at = isLeft ? left++ : right++;
    store<u32>(to + (place << 2), load<u32>(from + (at << 2)));
  }
}
