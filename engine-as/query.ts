/*
 * Read-only questions: one version run against what readers see, into a relation of its own. A
 * query belongs to the state between two commit points; the host starts it again when one was
 * passed.
 */
import { STATUS_BAD_PROGRAM, STATUS_DONE, STATUS_ROWS_LIMIT } from './abi';
import { MODE_RESULT } from './emit';
import { runMachine, startMachine } from './interpreter';
import { Machine } from './machine';
import { dropMarks } from './marks';
import { allocateZeroed, release } from './memory';
import { Program, unitAt, versionAt } from './program';
import { decodeProgram, decodeStatus, destroyProgram } from './program-decoder';
import { clearVector, createVector, push, setWordAt, Vector, wordAt } from './vector';

@unmanaged
export class Query {
  program: Program;
  machine: Machine;
  truncated: bool;
}

/** Queries under way: their constants and registers keep values alive. */
let active: Vector = changetype<Vector>(0);
export let queryStatus: u32 = 0;

export function initQueries(): bool {
  active = createVector();
  return changetype<usize>(active) != 0;
}

/** A query of one unit with one version, or null with `queryStatus` set. */
export function createQuery(pointer: u32, bytes: u32): Query {
  const none = changetype<Query>(0);
  const program = decodeProgram(pointer, bytes, true);
  queryStatus = decodeStatus;
  if (changetype<usize>(program) == 0) return none;
  if (program.unitCount != 1 || unitAt(program, 0).versionCount != 1) {
    destroyProgram(program);
    queryStatus = STATUS_BAD_PROGRAM;
    return none;
  }
  const query = changetype<Query>(allocateZeroed(offsetof<Query>() as u32) as usize);
  query.program = program;
  query.machine = changetype<Machine>(allocateZeroed(offsetof<Machine>() as u32) as usize);
  startMachine(query.machine, versionAt(unitAt(program, 0), 0), MODE_RESULT);
  push(active, changetype<usize>(query) as u32);
  return query;
}

/** Only body rows of smaller ranks count, where the version's steps are bounded. */
export function boundQuery(query: Query, rankBelow: u32): void {
  query.machine.rankBelow = rankBelow;
}

/**
 * STATUS_MORE, STATUS_DONE (also when there are more rows than its relation may have), or a
 * failure.
 */
export function stepQuery(query: Query, budget: u64): u32 {
  if (!query.machine.running) return STATUS_DONE;
  const status = runMachine(query.machine, budget);
  if (status != STATUS_ROWS_LIMIT) return status;
  query.truncated = true;
  query.machine.running = false;
  return STATUS_DONE;
}

export function destroyQuery(query: Query): void {
  const last = active.length - 1;
  for (let i: u32 = 0; i <= last; i++) {
    if (wordAt(active, i) != (changetype<usize>(query) as u32)) continue;
    setWordAt(active, i, wordAt(active, last));
    active.length = last;
    break;
  }
  destroyProgram(query.program);
  dropMarks();
  release(changetype<usize>(query.machine) as u32, offsetof<Machine>() as u32);
  release(changetype<usize>(query) as u32, offsetof<Query>() as u32);
  if (active.length == 0) clearVector(active);
}

export function queryCount(): u32 {
  return active.length;
}

export function queryAt(index: u32): Query {
  return changetype<Query>(wordAt(active, index) as usize);
}
