/* What an intersection (intersection.ts) is made of, and what it remembers between openings. */
import { ColumnIndex } from './index-store';
import { Relation } from './row-store';
import { ValueLists } from './value-lists';

/** Values that are tried at once. */
export const BLOCK_VALUES: u32 = 64;

@unmanaged
export class Side {
  relation: Relation;
  index: ColumnIndex;
  view: u32;
  rank: u32;
  below: u32;
  isAbsent: bool;
  /** Offset of the common value in a row's cells. */
  column: u32;
  /** Address of the registers of all its columns. */
  registers: u32;
  /** Addresses of the registers of its key, and of the key's cells at the last opening. */
  keys: u32;
  key: u32;
  slot: u32;
  /** The key and its group are those of the last opening, of this run. */
  isKnown: bool;
  /** It has the key of the opening before. */
  isRepeated: bool;
  /** The group: its rows, and where their ids begin (column-index.ts). */
  rows: u32;
  ids: u32;
  end: u32;
  chunk: u32;
  onlyId: u32;
  /** Address and shift of the marks of the group; 0: none. */
  marks: u32;
  shift: u32;
  /** Its values as lists, while they are made and then (`isListed`) in place of ids. */
  lists: ValueLists;
  isListed: bool;
  /** Rows gone through by their ids since the run began. */
  walked: u32;
  /** Rows that it was asked for without marks since its key changed. */
  asked: u32;
  /** The next side that is asked, by marks or by its set. */
  next: Side;
}

@unmanaged
export class Intersection {
  /** Of the version. */
  next: Intersection;
  /** Offset of the lookup's cursor in the frame. */
  cursor: u32;
  /** Bytes of the lookup and of its probes. */
  size: u32;
  count: u32;
  /** Address of the sides; the first is the lookup's. */
  sides: u32;
  /** Offset in the frame of the register of the common value. */
  register: u32;
  /** The lookup binds nothing else and checks nothing: any side can be gone through. */
  isPure: bool;
  /** It has two sides, both with lists: the usual opening can be short. */
  isListed: bool;
  /** The run that opened it, and the lists that its sides know. */
  run: u32;
  epoch: u32;
  driver: Side;
  /** Sides that are asked: by marks, by their sets. */
  marked: Side;
  probed: Side;
  /** Address of the EMIT that follows and comes back here; 0 where anything else does. */
  emitPc: u32;
  /** Values of a block that all sides let through: those left, their end, and their room. */
  hitAt: u32;
  hitEnd: u32;
  hits: u32;
}

export function sideAt(intersection: Intersection, number: u32): Side {
  const address = intersection.sides + number * (offsetof<Side>() as u32);
  return changetype<Side>(address as usize);
}
