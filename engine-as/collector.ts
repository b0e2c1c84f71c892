/*
 * Collects the values that nothing refers to any more: mark, then sweep, in slices between
 * transactions (Dijkstra et al., On-the-Fly Garbage Collection, CACM 1978: what the mutator touches
 * meanwhile is marked, by `insertRow` and by the interns of value-table.ts).
 */
import { ROW_USED, STATUS_DONE, STATUS_MORE } from './abi';
import { AggregateState, markGroups } from './aggregate';
import { forgetCalls } from './call';
import { relationCount, relationOf } from './catalog';
import { bytesInUse, forgetEnd, memoryEnded } from './memory';
import { Program, unitAt, versionAt } from './program';
import { queryAt, queryCount } from './query';
import { Relation, rowAddress } from './row-store';
import { sabotage, SABOTAGE_COLLECTION } from './sabotage';
import { currentProgram, isOpen } from './transaction';
import {
  beginMarking,
  endMarking,
  freshBytes,
  freshValues,
  liveValues,
  markCell,
  marking,
  sweep,
  valueTop,
} from './value-table';

const FRESH_MIN: u32 = 0x10000;
/** Few values may be large: lists of a group, whole documents. */
const FRESH_BYTES_MIN: u64 = 0x4000000;

const PHASE_MARK: u32 = 0;
const PHASE_GROUPS: u32 = 1;
const PHASE_SWEEP: u32 = 2;

let phase: u32 = PHASE_MARK;
let handle: u32 = 0;
let row: u32 = 0;
/** Ids to sweep, fixed when marking ends: later ones are marked or new. */
let sweepEnd: u32 = 0;
export let collections: u32 = 0;

/**
 * A collection is due when half as many values came as are alive, and at least 64 Ki; when their
 * bytes are a quarter of all that is in use, and at least 64 MiB; or when memory ends.
 */
function isDue(): bool {
  if (memoryEnded) return true;
  if (freshBytes > FRESH_BYTES_MIN && freshBytes > bytesInUse >> 2) return true;
  return freshValues > FRESH_MIN && freshValues > liveValues >> 1;
}

/**
 * Constants, and whatever words a frame holds: a word that is no cell marks a value for nothing.
 */
function markProgram(program: Program): void {
  if (changetype<usize>(program) == 0) return;
  for (let i: u32 = 0; i < program.constantCount; i++)
    markCell(load<u32>(program.constants + (i << 2)));
  for (let i: u32 = 0; i < program.unitCount; i++) {
    const unit = unitAt(program, i);
    for (let j: u32 = 0; j < unit.versionCount; j++) {
      const version = versionAt(unit, j);
      for (let at: u32 = 0; at < version.frameBytes; at += 4)
        markCell(load<u32>(version.frame + at));
    }
  }
}

function markRows(relation: Relation, from: u32, to: u32): void {
  for (let id = from; id < to; id++) {
    const address = rowAddress(relation, id);
    if ((load<u32>(address) & ROW_USED) == 0) continue;
    const cells = address + relation.cellsAt;
    for (let i: u32 = 0; i < relation.arity; i++) markCell(load<u32>(cells + (i << 2)));
  }
}

/** Marks `rows` rows of the relation at hand; moves on at its end. */
function markSlice(rows: u32): void {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0) {
    handle += 1;
    return;
  }
  if (phase == PHASE_MARK) {
    const end = min(relation.top, row + rows);
    markRows(relation, row, end);
    row = end;
    if (end < relation.top) return;
    row = 0;
    phase = PHASE_GROUPS;
    return;
  }
  if (relation.aggregateState != 0) {
    const state = changetype<AggregateState>(relation.aggregateState as usize);
    const end = row + rows;
    markGroups(state, row, end);
    row = end;
    if (end < state.groups.top) return;
  }
  row = 0;
  phase = PHASE_MARK;
  handle += 1;
}

/**
 * A slice of about `rows` rows or values. STATUS_DONE: nothing to do; STATUS_MORE: call again in
 * time.
 */
export function collect(rows: u32): u32 {
  if (isOpen() || sabotage == SABOTAGE_COLLECTION) return STATUS_DONE;
  if (!marking) {
    if (!isDue()) return STATUS_DONE;
    beginMarking();
    forgetEnd();
    phase = PHASE_MARK;
    handle = 0;
    row = 0;
    return STATUS_MORE;
  }
  if (phase != PHASE_SWEEP) {
    if (handle < relationCount()) {
      markSlice(rows);
      return STATUS_MORE;
    }
    // Last, and at once: what programs and queries hold at this moment.
    markProgram(currentProgram());
    for (let i: u32 = 0; i < queryCount(); i++) markProgram(queryAt(i).program);
    forgetCalls();
    phase = PHASE_SWEEP;
    row = 0;
    sweepEnd = valueTop();
    return STATUS_MORE;
  }
  const end = min(sweepEnd, row + rows);
  sweep(row, end);
  row = end;
  if (end < sweepEnd) return STATUS_MORE;
  endMarking();
  collections += 1;
  return STATUS_DONE;
}
