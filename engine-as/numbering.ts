/*
 * Numbers 0, 1, 2 … for cells, in the order in which they come: a set with linear probing, and the
 * cell of each number.
 */
import { allocate, allocateZeroed, release } from './memory';
import { NOT_FOUND } from './id-set';

const FIRST_SLOTS: u32 = 256;

@unmanaged
export class Numbering {
  /** Pairs: cell, number + 1 (0: empty). */
  slots: u32;
  slotMask: u32;
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
  numbering.cellRoom = FIRST_SLOTS >> 1;
  numbering.cells = allocate(numbering.cellRoom << 2);
  if (numbering.slots != 0 && numbering.cells != 0) return numbering;
  destroyNumbering(numbering);
  return changetype<Numbering>(0);
}

export function destroyNumbering(numbering: Numbering): void {
  if (changetype<usize>(numbering) == 0) return;
  release(numbering.slots, (numbering.slotMask + 1) << 3);
  release(numbering.cells, numbering.cellRoom << 2);
  release(changetype<usize>(numbering) as u32, offsetof<Numbering>() as u32);
}

/** Small ints are neighbours, and so are the slots they get: loops over them stay in the cache. */
function slotOf(cell: u32): u32 {
  return cell ^ (cell >> 15);
}

/** Number of a cell, or NOT_FOUND. */
export function numberOf(numbering: Numbering, cell: u32): u32 {
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

function grow(numbering: Numbering): bool {
  const count = (numbering.slotMask + 1) << 1;
  const room = numbering.cellRoom << 1;
  const slots = allocateZeroed(count << 3);
  const cells = allocate(room << 2);
  if (slots == 0 || cells == 0) {
    release(slots, count << 3);
    release(cells, room << 2);
    return false;
  }
  memory.copy(cells, numbering.cells, numbering.length << 2);
  release(numbering.slots, (numbering.slotMask + 1) << 3);
  release(numbering.cells, numbering.cellRoom << 2);
  numbering.slots = slots;
  numbering.slotMask = count - 1;
  numbering.cells = cells;
  numbering.cellRoom = room;
  for (let i: u32 = 0; i < numbering.length; i++) {
    put(slots, count - 1, load<u32>(cells + (i << 2)), i);
  }
  return true;
}

/** The number of a cell, a new one if need be; NOT_FOUND without memory. */
export function addNumber(numbering: Numbering, cell: u32): u32 {
  const known = numberOf(numbering, cell);
  if (known != NOT_FOUND) return known;
  const number = numbering.length;
  if (number == numbering.cellRoom && !grow(numbering)) return NOT_FOUND;
  store<u32>(numbering.cells + (number << 2), cell);
  put(numbering.slots, numbering.slotMask, cell, number);
  numbering.length = number + 1;
  return number;
}

export function cellAt(numbering: Numbering, number: u32): u32 {
  return load<u32>(numbering.cells + (number << 2));
}
