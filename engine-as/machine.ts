/* What runs a version, and what its steps do with a single row. */
import { NO_REGISTER } from './abi';
import { isUnderBound } from './best-rows';
import { MODE_SUPPORT } from './emit';
import { hashCells } from './hash';
import { NOT_FOUND } from './id-set';
import { Version } from './program';
import { findRow } from './relation';
import { rankAt, Relation, rowAddress } from './row-store';
import { Vector } from './vector';
import { viewMask, viewValue } from './views';

@unmanaged
export class Machine {
  version: Version;
  pc: u32;
  /** How `pc` is entered: ENTER_… */
  entry: u32;
  /** True between `startMachine` and the end of the run. */
  running: bool;
  mode: u32;
  take: u32;
  delta: Vector;
  deltaFrom: u32;
  deltaTo: u32;
  /** Head row for SUPPORT: address of its cells. */
  headCells: u32;
  /** Ranks of component rows must stay under it (SUPPORT). */
  rankBelow: u32;
  found: bool;
  sign: i32;
  /** Where head rows go; the version's head relation, or an answer. */
  target: Relation;
}

/** Longest row and key. */
export const cellBuffer: u32 = memory.data(64 * 4, 8) as u32;

/** Binds and checks columns of a row; false when a check fails. */
export function matchRow(pairs: u32, binds: u32, checks: u32, cells: u32, frame: u32): bool {
  const bindsEnd = pairs + (binds << 3);
  for (; pairs < bindsEnd; pairs += 8) {
    store<u32>(frame + load<u32>(pairs, 4), load<u32>(cells + load<u32>(pairs)));
  }
  const checksEnd = pairs + (checks << 3);
  for (; pairs < checksEnd; pairs += 8) {
    if (load<u32>(frame + load<u32>(pairs, 4)) != load<u32>(cells + load<u32>(pairs))) return false;
  }
  return true;
}

/** Notes a row's rank; false when it does not stay under the bound. */
export function takeRank(
  machine: Machine,
  relation: Relation,
  row: u32,
  rank: u32,
  below: u32,
  frame: u32,
): bool {
  if (rank == NO_REGISTER) return true;
  const value = rankAt(relation, row);
  if (below != NO_REGISTER) {
    if (relation.bestColumn != 0 && machine.mode == MODE_SUPPORT) {
      if (!isUnderBound(relation, row, value)) return false;
    } else if (value >= machine.rankBelow) return false;
  }
  store<u32>(frame + rank, value);
  return true;
}

export function gather(registers: u32, count: u32, frame: u32, to: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(to + (i << 2), load<u32>(frame + load<u32>(registers + (i << 2))));
  }
}

/** Looks for one row of a relation by all of its cells, which are in registers. */
export function findCells(relation: Relation, registers: u32, frame: u32): u32 {
  const arity = relation.arity;
  gather(registers, arity, frame, cellBuffer);
  return findRow(relation, cellBuffer, hashCells(cellBuffer, arity));
}

/** The step PROBE, or what is left of one: `id` is NOT_FOUND or a row with its cells. */
export function takeProbed(
  machine: Machine,
  relation: Relation,
  id: u32,
  view: u32,
  absent: bool,
  rank: u32,
  below: u32,
  frame: u32,
): bool {
  if (id == NOT_FOUND) return absent;
  const row = rowAddress(relation, id);
  const visible = (load<u32>(row) & viewMask(view)) == viewValue(view);
  if (absent || !visible) return absent != visible;
  return takeRank(machine, relation, row, rank, below, frame);
}
