/*
 * A decoded program: units in evaluation order, each with its versions. A version is one way to run
 * one rule: from scratch, driven by the delta of one body literal, or backwards from a head row.
 *
 * Code of a version is a list of steps in words. Steps that iterate (delta, scan, lookup, each) are
 * entered forwards once and backwards whenever a later step fails; `back` is the address of the
 * iterating step to go back to. Registers, constants, ranks and cursors share one frame; operands
 * are byte offsets into it, columns are byte offsets into a row's cells, relations and indexes are
 * addresses.
 *
 *   END      op
 *   DELTA    op back cursor rank  binds checks  (column register)…
 *   HEAD     op back binds checks  (column register)…
 *   SCAN     op back cursor relation view match rank below  binds checks  (column register)…
 *   LOOKUP   op back cursor relation view match rank below  binds checks  (column register)…  index keys register…
 *   PROBE    op back relation view absent rank below  arity register…
 *   COMPARE  op back operator left right
 *   COMPUTE  op back operator left right output isCheck
 *   FAILS    op back operator left right
 *   FORMAT   op back output count register…
 *   MOVE     op back from to
 *   CALL     op back function output isCheck count register…
 *   FAILURE  op back function count register…       (CALL_FAILS)
 *   EACH     op back cursor list output isCheck
 *   DIFFER   op back pairs  (left right)…              some pair is not equal
 *   EMIT     op back ranks arity  register…(ranks)  register…(arity)
 *
 * The cursor of a LOOKUP has the address of its Intersection behind it, or 0.
 *
 * `rank` is where the row's rank goes, `below` the register whose value the rank must stay under,
 * both NO_REGISTER where they do not matter.
 */
import { Arena } from './arena';
import { ColumnIndex } from './index-store';
import { Relation } from './row-store';
import { Vector } from './vector';

@unmanaged
export class Version {
  purpose: u32;
  head: Relation;
  /** Whose delta drives it; null for FULL and SUPPORT. */
  source: Relation;
  polarity: u32;
  /** The source is a relation of the same recursive unit. */
  inComponent: bool;
  /** Counts derivations that need no row of the component. */
  isExit: bool;
  /** Of FULL: no row of the head is given twice (distinct-rows.ts). */
  isDistinct: bool;
  code: u32;
  frame: u32;
  frameBytes: u32;
  /** The first of its Intersections, linked (intersection-plan.ts), or 0. */
  intersections: u32;
}

@unmanaged
export class AggregatePlan {
  input: Relation;
  output: Relation;
  /** Group keys with the number of an aggregate that failed; null where none can. */
  errors: Relation;
  groupCount: u32;
  /** Columns of the input that make the group. */
  groupColumns: u32;
  aggregateCount: u32;
  /** Triples: AGGREGATE_…, column of the input, column that orders it (argmin and argmax). */
  aggregates: u32;
  /** Index of the input by the group's columns, to look through one; null for the whole table. */
  index: ColumnIndex;
}

@unmanaged
export class BestPlan {
  /** The largest values, or else the smallest. */
  isMax: bool;
  /** For each relation: column of the value, address of the index by all others or 0. */
  columns: u32;
}

@unmanaged
export class Unit {
  kind: u32;
  /** Nothing of it was there before: evaluated from scratch. */
  fresh: bool;
  relationCount: u32;
  relations: u32;
  versionCount: u32;
  versions: u32;
  /** Address of the AggregatePlan of a UNIT_AGGREGATE, else 0. */
  aggregate: u32;
  /** Address of the BestPlan of a UNIT_BEST, else 0. */
  best: u32;
  /** Numbers of the units behind it that its relations' deltas drive. */
  readerCount: u32;
  readers: u32;
  /** While they are collected: the one found last, plus 1. */
  lastReader: u32;
  /**
   * How it reads rows of other units, a chain: next, relation, an index or NEED_…, and 1 for what
   * only rounds over rows go by, else 0.
   */
  needs: u32;
}

/** A relation whose rows are found by all of their columns; whose rows are gone through. */
export const NEED_SET: u32 = 0;
export const NEED_ROWS: u32 = 1;

@unmanaged
export class Program {
  arena: Arena;
  unitCount: u32;
  units: u32;
  constantCount: u32;
  constants: u32;
  relationCount: u32;
  relations: u32;
  /** Pairs relation, index: those that must be built before the units run. */
  builds: Vector;
  /** Nothing is kept up to date: sets and indexes are made when a unit needs them. */
  isBatch: bool;
  /** By handle: the number of the unit that has the relation, plus 1, or 0. */
  handleCount: u32;
  owners: u32;
  /** A bit a unit: it may have work in the running transaction. */
  waiting: u32;
}

export function unitAt(program: Program, index: u32): Unit {
  return changetype<Unit>((program.units + index * (offsetof<Unit>() as u32)) as usize);
}

/** The unit that has the relation of a handle, plus 1; 0 for none. */
export function ownerOf(program: Program, handle: u32): u32 {
  return handle < program.handleCount ? load<u32>(program.owners + (handle << 2)) : 0;
}

export function waitFor(program: Program, unit: u32): void {
  const word = program.waiting + ((unit >> 5) << 2);
  store<u32>(word, load<u32>(word) | (1 << (unit & 31)));
}

/** The first waiting unit from `unit` on, which waits no longer; `unitCount` for none. */
export function takeWaiting(program: Program, unit: u32): u32 {
  let place = unit >> 5;
  const words = (program.unitCount + 31) >> 5;
  if (place >= words) return program.unitCount;
  let bits = load<u32>(program.waiting + (place << 2)) & ((<u32>0xffffffff) << (unit & 31));
  while (bits == 0) {
    place += 1;
    if (place == words) return program.unitCount;
    bits = load<u32>(program.waiting + (place << 2));
  }
  const found = (place << 5) + ctz(bits);
  const word = program.waiting + (place << 2);
  store<u32>(word, load<u32>(word) & ~((<u32>1) << (found & 31)));
  return found;
}

export function forgetWaiting(program: Program): void {
  memory.fill(program.waiting, 0, ((program.unitCount + 31) >> 5) << 2);
}

export function versionAt(unit: Unit, index: u32): Version {
  return changetype<Version>((unit.versions + index * (offsetof<Version>() as u32)) as usize);
}

export function unitRelation(unit: Unit, index: u32): Relation {
  return changetype<Relation>(load<u32>(unit.relations + (index << 2)) as usize);
}
