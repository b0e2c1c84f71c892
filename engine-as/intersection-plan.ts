/*
 * Finds the intersections (intersection.ts) of a version while its code is decoded: a LOOKUP with
 * the PROBEs right behind it that read one value that the lookup binds, for which the program has
 * an index of their relation by all other columns. The code stays as it is: what is found stands
 * beside it, and the probes are passed over.
 */
import { MATCH_EACH, VERSION_FULL } from './abi';
import { Arena, arenaAllocate } from './arena';
import { ColumnIndex } from './index-store';
import { isIntersecting } from './intersection';
import { BLOCK_VALUES, Intersection, Side, sideAt } from './intersection-sides';
import { SLOTS } from './marks';
import { Version } from './program';
import { Relation } from './row-store';

/** Words of a cursor. */
export const CURSOR_WORDS: u32 = 4;
/** Sides of one intersection. */
const SIDES_MAX: u32 = 4;

let arena: Arena = changetype<Arena>(0);
let first: Intersection = changetype<Intersection>(0);
/** The last lookup, its intersection if it has one, and where the next probe would stand. */
let lookup: u32 = 0;
let open: Intersection = changetype<Intersection>(0);
let behind: u32 = 0;
let slots: u32 = 0;
let isFull: bool = false;

/** Before the code of a version. */
export function beginIntersections(to: Arena): void {
  arena = to;
  first = changetype<Intersection>(0);
  open = changetype<Intersection>(0);
  lookup = 0;
  behind = 0;
  slots = 0;
}

/** A LOOKUP at an address, decoded. */
export function noteLookup(version: Version, pc: u32, bytes: u32): void {
  lookup = pc;
  isFull = version.purpose == VERSION_FULL;
  open = changetype<Intersection>(0);
  behind = isIntersecting() && load<u32>(pc, 20) == MATCH_EACH ? pc + bytes : 0;
}

/**
 * All probes of the last lookup are known. True where that goes through lists of values, from
 * scratch, and may do without its index.
 */
export function isListing(): bool {
  if (changetype<usize>(open) == 0 || open.count < 2 || !isFull || !open.isPure) return false;
  return changetype<Relation>(load<u32>(lookup, 12) as usize).arity == 2;
}

/** Of a LOOKUP. */
function indexOf(pc: u32): ColumnIndex {
  const tail = pc + 40 + ((load<u32>(pc, 32) + load<u32>(pc, 36)) << 3);
  return changetype<ColumnIndex>(load<u32>(tail) as usize);
}

/** A PROBE at an address, decoded, with the indexes that the program names for its relation. */
export function intersect(pc: u32, bytes: u32, indexes: u32, indexCount: u32): void {
  if (pc != behind) return;
  behind = 0;
  const column = commonColumn(pc);
  if (column == NONE) return;
  const relation = changetype<Relation>(load<u32>(pc, 8) as usize);
  const index = indexBeside(relation, indexes, indexCount, column);
  if (changetype<usize>(index) == 0) return;
  const register = load<u32>(pc + 32 + (column << 2));
  // Of one intersection all sides are asked for the same value.
  if (changetype<usize>(open) != 0 && open.register != register) return;
  if (changetype<usize>(open) == 0 && !start(register)) return;
  if (!addSide(relation, index, pc + 32, column)) return;
  const side = sideAt(open, open.count - 1);
  side.view = load<u32>(pc, 12);
  side.isAbsent = load<u32>(pc, 16) != 0;
  side.rank = load<u32>(pc, 20);
  side.below = load<u32>(pc, 24);
  behind = pc + bytes;
  open.size = behind - lookup;
}

const NONE: u32 = 0xffffffff;

/** Address of the pair by which the lookup binds a register, or 0. */
function pairOf(register: u32): u32 {
  const pairs = lookup + 40;
  for (let i: u32 = 0; i < load<u32>(lookup, 32); i++) {
    if (load<u32>(pairs + (i << 3), 4) == register) return pairs + (i << 3);
  }
  return 0;
}

/** The only column of a probe that the lookup binds; NONE where there are others, or no others. */
function commonColumn(pc: u32): u32 {
  const arity = load<u32>(pc, 28);
  let found = NONE;
  for (let i: u32 = 0; i < arity; i++) {
    if (pairOf(load<u32>(pc + 32 + (i << 2))) == 0) continue;
    if (found != NONE) return NONE;
    found = i;
  }
  return arity < 2 ? NONE : found;
}

/** The index of a relation by all columns but one; null where the program has none. */
function indexBeside(relation: Relation, indexes: u32, count: u32, column: u32): ColumnIndex {
  for (let i: u32 = 0; i < count; i++) {
    const index = changetype<ColumnIndex>(load<u32>(indexes + (i << 2)) as usize);
    if (index.columnCount != relation.arity - 1) continue;
    let isBeside = true;
    for (let j: u32 = 0; j < index.columnCount; j++)
      if (load<u32>(index.columns + (j << 2)) == column) isBeside = false;
    if (isBeside) return index;
  }
  return changetype<ColumnIndex>(0);
}

/** An intersection for the lookup, with its own side. */
function start(register: u32): bool {
  if (slots + 2 > SLOTS) return false;
  const made = changetype<Intersection>(
    arenaAllocate(arena, offsetof<Intersection>() as u32) as usize,
  );
  if (changetype<usize>(made) == 0) return false;
  made.sides = arenaAllocate(arena, SIDES_MAX * (offsetof<Side>() as u32));
  made.hits = arenaAllocate(arena, BLOCK_VALUES << 2);
  if (made.sides == 0 || made.hits == 0) return false;
  const relation = changetype<Relation>(load<u32>(lookup, 12) as usize);
  const pairs = load<u32>(lookup, 32) + load<u32>(lookup, 36);
  const tail = lookup + 40 + (pairs << 3);
  const index = indexOf(lookup);
  const registers = arenaAllocate(arena, relation.arity << 2);
  if (registers == 0) return false;
  const column = load<u32>(pairOf(register)) >> 2;
  store<u32>(registers + (column << 2), register);
  for (let i: u32 = 0; i < index.columnCount; i++) {
    const place = registers + (load<u32>(index.columns + (i << 2)) << 2);
    store<u32>(place, load<u32>(tail + 8 + (i << 2)));
  }
  open = made;
  made.register = register;
  made.cursor = load<u32>(lookup, 8);
  made.isPure = pairs == 1 && index.columnCount == relation.arity - 1;
  if (!addSide(relation, index, registers, column)) {
    open = changetype<Intersection>(0);
    return false;
  }
  const side = sideAt(made, 0);
  side.view = load<u32>(lookup, 16);
  side.rank = load<u32>(lookup, 24);
  side.below = load<u32>(lookup, 28);
  return true;
}

function addSide(relation: Relation, index: ColumnIndex, registers: u32, column: u32): bool {
  if (open.count == SIDES_MAX || slots == SLOTS) return false;
  const side = sideAt(open, open.count);
  side.keys = arenaAllocate(arena, index.columnCount << 3);
  if (side.keys == 0) return false;
  side.key = side.keys + (index.columnCount << 2);
  for (let i: u32 = 0; i < index.columnCount; i++) {
    const place = registers + (load<u32>(index.columns + (i << 2)) << 2);
    store<u32>(side.keys + (i << 2), load<u32>(place));
  }
  side.relation = relation;
  side.index = index;
  side.registers = registers;
  side.column = column << 2;
  side.slot = slots;
  slots += 1;
  open.count += 1;
  if (open.count == 2) {
    open.next = first;
    first = open;
  }
  return true;
}

/** An EMIT at an address, decoded: does it stand behind the last intersection, and go back? */
export function noteEmit(pc: u32): void {
  if (changetype<usize>(open) == 0 || open.count < 2 || lookup + open.size != pc) return;
  if (load<u32>(pc, 4) == lookup && load<u32>(pc, 8) == 0) open.emitPc = pc;
}

/** Puts what was found where the lookups find it. */
export function linkIntersections(version: Version): void {
  version.intersections = changetype<usize>(first) as u32;
  for (let one = first; changetype<usize>(one) != 0; one = one.next) {
    const place = version.frame + one.cursor + (CURSOR_WORDS << 2);
    store<u32>(place, changetype<usize>(one) as u32);
  }
}
