/*
 * Runs a version: a nested loop over its steps, written as one loop that goes forwards while steps
 * succeed and back to the last iterating step when one fails. All of its state is in the machine
 * and the frame, so it can stop after any number of steps and go on later.
 */
import {
  MATCH_ABSENT,
  MATCH_EACH,
  NO_REGISTER,
  OP_CALL,
  OP_CALL_FAILS,
  OP_COMPARE,
  OP_COMPUTE,
  OP_DELTA,
  OP_DIFFER,
  OP_EACH,
  OP_EMIT,
  OP_END,
  OP_FAILS,
  OP_FORMAT,
  OP_HEAD,
  OP_LOOKUP,
  OP_MOVE,
  OP_PROBE,
  OP_SCAN,
  POLARITY_NEGATIVE,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
} from './abi';
import { GROUP_ID_MASK, openCursor } from './column-index';
import { call, callSteps } from './call';
import { compare, compute, differ, FAILED } from './compute';
import { eachTries, nextEach, openEach } from './each';
import { EXHAUSTED, FOUND, PAUSED, TRIES_MAX } from './iteration';
import { dropBlock, emit, flushBlock, MODE_RESULT, MODE_SUPPORT, nextCells } from './emit';
import { formatCells } from './format';
import { NOT_FOUND } from './id-set';
import { CHUNK_HEADER, ColumnIndex } from './index-store';
import { beginRun, hasFailed, nextIntersection, openIntersection } from './intersection';
import { CURSOR_WORDS } from './intersection-plan';
import { Intersection } from './intersection-sides';
import { cellBuffer, findCells, gather, Machine, matchRow, takeProbed, takeRank } from './machine';
import { Version } from './program';
import { Relation, rowAddress } from './row-store';
import { countSteps, stepCount } from './steps';
import { dropLists } from './value-lists';
import { NO_CELL } from './value-table';
import { Vector, wordAt } from './vector';
import { viewMask, viewValue } from './views';

/**
 * A step is entered forwards once, backwards when a later one failed, or to go on where it paused.
 */
const ENTER_FORWARDS: u32 = 0;
const ENTER_BACKWARDS: u32 = 1;
const ENTER_AGAIN: u32 = 2;

/** Entries of a delta that a run takes. */
export const TAKE_ALL: u32 = 0;
export const TAKE_ADDED: u32 = 1;
export const TAKE_REMOVED: u32 = 2;

/** Inputs of a call. */
const callCells: u32 = memory.data(256 * 4, 8) as u32;
export function startMachine(machine: Machine, version: Version, mode: u32): void {
  machine.version = version;
  machine.pc = version.code;
  machine.entry = ENTER_FORWARDS;
  machine.running = true;
  machine.mode = mode;
  machine.take = TAKE_ALL;
  machine.delta = changetype<Vector>(0);
  machine.found = false;
  machine.sign = 1;
  machine.rankBelow = NOT_FOUND;
  machine.target = version.head;
  if (mode != MODE_RESULT) dropLists();
}

function nextDelta(machine: Machine, pc: u32, frame: u32): u32 {
  const relation = machine.version.source;
  const cursor = frame + load<u32>(pc, 8);
  let at = load<u32>(cursor);
  const pause = min(machine.deltaTo, at + TRIES_MAX);
  while (at < pause) {
    countSteps(1);
    const entry = wordAt(machine.delta, at);
    at += 1;
    const added: u32 = (entry & 1) ^ (machine.version.polarity == POLARITY_NEGATIVE ? 1 : 0);
    if (machine.take != TAKE_ALL && (machine.take == TAKE_ADDED) != (added != 0)) continue;
    const row = rowAddress(relation, entry >> 1);
    if (!takeRank(machine, relation, row, load<u32>(pc, 12), NO_REGISTER, frame)) continue;
    if (!matchRow(pc + 24, load<u32>(pc, 16), load<u32>(pc, 20), row + relation.cellsAt, frame))
      continue;
    machine.sign = added != 0 ? 1 : -1;
    store<u32>(cursor, at);
    return FOUND;
  }
  store<u32>(cursor, at);
  return at < machine.deltaTo ? PAUSED : EXHAUSTED;
}

/**
 * Tries one row of a scan or lookup. Offsets as of SCAN and LOOKUP, which agree up to the pairs.
 */
function tryRow(machine: Machine, pc: u32, relation: Relation, id: u32, frame: u32): bool {
  const row = rowAddress(relation, id);
  const view = load<u32>(pc, 16);
  if ((load<u32>(row) & viewMask(view)) != viewValue(view)) return false;
  if (!takeRank(machine, relation, row, load<u32>(pc, 24), load<u32>(pc, 28), frame)) return false;
  return matchRow(pc + 40, load<u32>(pc, 32), load<u32>(pc, 36), row + relation.cellsAt, frame);
}

/** Cursor of SCAN: | next id | end |. */
function nextScan(machine: Machine, pc: u32, frame: u32): u32 {
  const relation = changetype<Relation>(load<u32>(pc, 12) as usize);
  const cursor = frame + load<u32>(pc, 8);
  let id = load<u32>(cursor);
  const end = load<u32>(cursor, 4);
  const pause = min(end, id + TRIES_MAX);
  while (id < pause) {
    countSteps(1);
    if (tryRow(machine, pc, relation, id, frame)) {
      store<u32>(cursor, id + 1);
      return FOUND;
    }
    id += 1;
  }
  store<u32>(cursor, id);
  return id < end ? PAUSED : EXHAUSTED;
}

/** The cursor of LOOKUP: see column-index.ts. */
function openLookup(pc: u32, frame: u32): void {
  const cursor = frame + load<u32>(pc, 8);
  const tail = pc + 40 + ((load<u32>(pc, 32) + load<u32>(pc, 36)) << 3);
  gather(tail + 8, load<u32>(tail, 4), frame, cellBuffer);
  openCursor(changetype<ColumnIndex>(load<u32>(tail) as usize), cellBuffer, cursor);
}

function nextLookup(machine: Machine, pc: u32, frame: u32): u32 {
  const relation = changetype<Relation>(load<u32>(pc, 12) as usize);
  const cursor = frame + load<u32>(pc, 8);
  let left = load<u32>(cursor);
  let at = load<u32>(cursor, 4);
  let end = load<u32>(cursor, 8);
  const pause = left > TRIES_MAX ? left - TRIES_MAX : 0;
  let result = EXHAUSTED;
  while (left > pause) {
    if (at == end) {
      const chunk = load<u32>(load<u32>(cursor, 12));
      store<u32>(cursor, chunk, 12);
      at = chunk + CHUNK_HEADER;
      end = at + (load<u32>(chunk, 8) << 2);
    }
    const id = load<u32>(at) & GROUP_ID_MASK;
    at += 4;
    left -= 1;
    countSteps(1);
    if (tryRow(machine, pc, relation, id, frame)) {
      result = FOUND;
      break;
    }
  }
  store<u32>(cursor, left);
  store<u32>(cursor, at, 4);
  store<u32>(cursor, end, 8);
  return result == EXHAUSTED && left > 0 ? PAUSED : result;
}

function probe(machine: Machine, pc: u32, frame: u32): bool {
  const relation = changetype<Relation>(load<u32>(pc, 8) as usize);
  const id = findCells(relation, pc + 32, frame);
  const absent = load<u32>(pc, 16) != 0;
  const rank = load<u32>(pc, 20);
  return takeProbed(
    machine,
    relation,
    id,
    load<u32>(pc, 12),
    absent,
    rank,
    load<u32>(pc, 24),
    frame,
  );
}

/** 1 + the largest rank of the component rows bound so far; 0 without any. */
function bodyRank(pc: u32, count: u32, frame: u32): u32 {
  let rank: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    rank = max(rank, load<u32>(frame + load<u32>(pc + 16 + (i << 2))) + 1);
  }
  return rank;
}

/** Size in bytes of a SCAN or LOOKUP step. */
function scanBytes(pc: u32): u32 {
  return 40 + ((load<u32>(pc, 32) + load<u32>(pc, 36)) << 3);
}

function lookupBytes(pc: u32): u32 {
  const pairs = scanBytes(pc);
  return pairs + 8 + (load<u32>(pc + pairs, 4) << 2);
}

function failRun(): u32 {
  dropBlock();
  return STATUS_OUT_OF_MEMORY;
}

function pauseRun(machine: Machine): u32 {
  const status = flushBlock(machine.mode, machine.target);
  return status == 0 ? STATUS_MORE : status;
}

/**
 * Runs for about `budget` steps. STATUS_MORE: call again; STATUS_DONE: at its end (or, for SUPPORT,
 * at the first derivation: `machine.found`); anything else: failed.
 */
export function runMachine(machine: Machine, budget: u64): u32 {
  const frame = machine.version.frame;
  const limit = stepCount + budget;
  beginRun();
  let pc = machine.pc;
  let entry = machine.entry;
  while (true) {
    let ok: bool = false;
    let size: u32 = 0;
    switch (load<u32>(pc) as i32) {
      case OP_END:
        machine.running = false;
        return flushBlock(machine.mode, machine.target);
      case OP_DELTA: {
        if (stepCount >= limit) {
          machine.pc = pc;
          machine.entry = entry;
          return pauseRun(machine);
        }
        if (entry == ENTER_FORWARDS) store<u32>(frame + load<u32>(pc, 8), machine.deltaFrom);
        const result = nextDelta(machine, pc, frame);
        if (result == PAUSED) {
          entry = ENTER_AGAIN;
          continue;
        }
        ok = result == FOUND;
        size = 24 + ((load<u32>(pc, 16) + load<u32>(pc, 20)) << 3);
        break;
      }
      case OP_HEAD: {
        ok =
          entry == ENTER_FORWARDS &&
          matchRow(pc + 16, load<u32>(pc, 8), load<u32>(pc, 12), machine.headCells, frame);
        size = 16 + ((load<u32>(pc, 8) + load<u32>(pc, 12)) << 3);
        break;
      }
      case OP_SCAN:
      case OP_LOOKUP: {
        if (stepCount >= limit) {
          machine.pc = pc;
          machine.entry = entry;
          return pauseRun(machine);
        }
        countSteps(1);
        const isScan = load<u32>(pc) == OP_SCAN;
        const joined: u32 = isScan ? 0 : load<u32>(frame + load<u32>(pc, 8), CURSOR_WORDS << 2);
        if (joined != 0) {
          const intersection = changetype<Intersection>(joined as usize);
          if (entry == ENTER_FORWARDS && !openIntersection(machine, intersection, frame)) {
            if (hasFailed) return failRun();
            continue;
          }
          let found = nextIntersection(machine, pc, intersection, frame);
          const head = intersection.emitPc;
          if (head != 0 && machine.mode != MODE_SUPPORT) {
            const arity = load<u32>(head, 12);
            while (found == FOUND && stepCount < limit) {
              gather(head + 16, arity, frame, nextCells(arity));
              const status = emit(machine.mode, machine.target, machine.sign, 0);
              if (status != 0) return status;
              found = nextIntersection(machine, pc, intersection, frame);
            }
          }
          if (found == PAUSED) {
            entry = ENTER_AGAIN;
            continue;
          }
          ok = found == FOUND;
          size = intersection.size;
          break;
        }
        const match = load<u32>(pc, 20);
        if (entry == ENTER_FORWARDS) {
          if (isScan) {
            const cursor = frame + load<u32>(pc, 8);
            store<u32>(cursor, 0);
            store<u32>(cursor, changetype<Relation>(load<u32>(pc, 12) as usize).top, 4);
          } else openLookup(pc, frame);
        } else if (entry == ENTER_BACKWARDS && match != MATCH_EACH) {
          // One match was enough, or none was wanted: nothing more here.
          break;
        }
        const result = isScan ? nextScan(machine, pc, frame) : nextLookup(machine, pc, frame);
        if (result == PAUSED) {
          entry = ENTER_AGAIN;
          continue;
        }
        ok = (result == FOUND) == (match != MATCH_ABSENT);
        size = isScan ? scanBytes(pc) : lookupBytes(pc);
        break;
      }
      case OP_PROBE: {
        countSteps(1);
        ok = probe(machine, pc, frame);
        size = 32 + (load<u32>(pc, 28) << 2);
        break;
      }
      case OP_COMPARE: {
        ok = compare(
          load<u32>(pc, 8),
          load<u32>(frame + load<u32>(pc, 12)),
          load<u32>(frame + load<u32>(pc, 16)),
        );
        size = 20;
        break;
      }
      case OP_COMPUTE: {
        const cell = compute(
          load<u32>(pc, 8),
          load<u32>(frame + load<u32>(pc, 12)),
          load<u32>(frame + load<u32>(pc, 16)),
        );
        if (cell == NO_CELL) return failRun();
        const output = frame + load<u32>(pc, 20);
        if (cell != FAILED) {
          if (load<u32>(pc, 24) != 0) ok = load<u32>(output) == cell;
          else {
            store<u32>(output, cell);
            ok = true;
          }
        }
        size = 28;
        break;
      }
      case OP_FAILS: {
        const cell = compute(
          load<u32>(pc, 8),
          load<u32>(frame + load<u32>(pc, 12)),
          load<u32>(frame + load<u32>(pc, 16)),
        );
        if (cell == NO_CELL) return failRun();
        ok = cell == FAILED;
        size = 20;
        break;
      }
      case OP_CALL: {
        const count = load<u32>(pc, 20);
        gather(pc + 24, count, frame, callCells);
        const cell = call(load<u32>(pc, 8), count, callCells);
        countSteps(callSteps);
        if (cell == NO_CELL) return failRun();
        const output = frame + load<u32>(pc, 12);
        if (cell != FAILED) {
          if (load<u32>(pc, 16) != 0) ok = load<u32>(output) == cell;
          else {
            store<u32>(output, cell);
            ok = true;
          }
        }
        size = 24 + (count << 2);
        break;
      }
      case OP_CALL_FAILS: {
        const count = load<u32>(pc, 12);
        gather(pc + 16, count, frame, callCells);
        const cell = call(load<u32>(pc, 8), count, callCells);
        countSteps(callSteps);
        if (cell == NO_CELL) return failRun();
        ok = cell == FAILED;
        size = 16 + (count << 2);
        break;
      }
      case OP_EACH: {
        if (stepCount >= limit) {
          machine.pc = pc;
          machine.entry = entry;
          return pauseRun(machine);
        }
        countSteps(1);
        if (entry == ENTER_FORWARDS) openEach(pc, frame);
        const result = nextEach(pc, frame);
        countSteps(eachTries);
        if (result == NO_CELL) return failRun();
        if (result == PAUSED) {
          entry = ENTER_AGAIN;
          continue;
        }
        ok = result == FOUND;
        size = 24;
        break;
      }
      case OP_FORMAT: {
        const count = load<u32>(pc, 12);
        gather(pc + 16, count, frame, cellBuffer);
        const cell = formatCells(cellBuffer, count);
        if (cell == NO_CELL) return failRun();
        store<u32>(frame + load<u32>(pc, 8), cell);
        ok = true;
        size = 16 + (count << 2);
        break;
      }
      case OP_MOVE:
        store<u32>(frame + load<u32>(pc, 12), load<u32>(frame + load<u32>(pc, 8)));
        ok = true;
        size = 16;
        break;
      case OP_DIFFER:
        ok = differ(pc + 12, load<u32>(pc, 8), frame);
        size = 12 + (load<u32>(pc, 8) << 3);
        break;
      case OP_EMIT: {
        const ranks = load<u32>(pc, 8);
        const arity = load<u32>(pc, 12);
        const rank = bodyRank(pc, ranks, frame);
        gather(pc + 16 + (ranks << 2), arity, frame, nextCells(arity));
        const status = emit(machine.mode, machine.target, machine.sign, rank);
        if (status != 0) return status;
        if (machine.mode == MODE_SUPPORT) {
          machine.found = true;
          machine.running = false;
          return STATUS_DONE;
        }
        break;
      }
      default:
        unreachable();
    }
    if (ok) {
      pc += size;
      entry = ENTER_FORWARDS;
    } else {
      pc = load<u32>(pc, 4);
      entry = ENTER_BACKWARDS;
    }
  }
}
