/*
 * Bytes → Program. The only reader of a program's bytes, and it trusts none of them: every number
 * is checked against what it counts or names, every register is bound before a step reads it, every
 * step goes back to an iterating step before it. Twin of host/engine/program-encoder.ts.
 *
 *   magic version words relations constants constantBytes units
 *   relation*   handle indexes (columns column*)*
 *   unit*       kind fresh relations relation* versions version* [aggregate or best]
 *   version     purpose head source polarity inComponent isExit registers ranks
 *               constants (register constant)* words code*
 *   best        isMax (column index)*
 *   aggregate   input output errors index groups column* aggregates (function column key)*
 *   constant*   values of a row block, behind the words
 *
 * Steps are as in program.ts, with numbers for addresses: `back` a word of this code, registers,
 * columns, relations by number, indexes by their place in the relation's list.
 */
import {
  ABI_VERSION,
  AGGREGATE_AVG,
  AGGREGATE_COUNT,
  AGGREGATE_SUM,
  AGGREGATES,
  ARITY_MAX,
  CALL_INPUTS_MAX,
  COMPARES,
  COMPUTE_REMAINDER,
  INDEXES_PER_RELATION_MAX,
  MATCH_ABSENT,
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
  PROGRAM_MAGIC,
  REGISTERS_MAX,
  RELATIONS_MAX,
  RELATION_LOCAL,
  RELATION_POSITIONS,
  STATUS_BAD_PROGRAM,
  STATUS_OUT_OF_MEMORY,
  STEPS_PER_VERSION_MAX,
  UNIT_AGGREGATE,
  UNIT_BEST,
  UNITS,
  VERSION_DELTA,
  VERSION_FULL,
  VERSION_GROUP,
  VERSION_ROUND,
  VERSION_SUPPORT,
  VERSIONS,
  VIEWS,
} from './abi';
import { fitsState } from './aggregate';
import { Arena, arenaAllocate, releaseArena } from './arena';
import { addIndex, relationCount, relationOf } from './catalog';
import { beginDistinct, givesDistinct, noteIteration, noteRepetition } from './distinct-rows';
import { listIndexes } from './index-build';
import { ColumnIndex } from './index-store';
import {
  beginIntersections,
  CURSOR_WORDS,
  intersect,
  isListing,
  linkIntersections,
  noteEmit,
  noteLookup,
} from './intersection-plan';
import { listAll } from './listing';
import { allocateZeroed, release } from './memory';
import {
  AggregatePlan,
  BestPlan,
  NEED_ROWS,
  NEED_SET,
  ownerOf,
  Program,
  Unit,
  unitAt,
  unitRelation,
  Version,
  versionAt,
} from './program';
import { BAD_CELL, readBytes, readCell } from './row-codec';
import { indexAt } from './relation';
import { Relation } from './row-store';
import { NO_CELL } from './value-table';
import { createVector, destroyVector, push } from './vector';

const NONE: u32 = 0xffffffff;
/** A cursor, and behind it the address of an intersection. */
const CURSOR_BYTES: u32 = (CURSOR_WORDS + 1) << 2;
const VERSIONS_MAX: u32 = 0x100000;
const CODE_WORDS_MAX: u32 = STEPS_PER_VERSION_MAX * 16;

let at: u32 = 0;
let end: u32 = 0;
/** The first thing that was wrong; 0 while all is well. */
let problem: u32 = 0;
let program: Program = changetype<Program>(0);
/** Index lists of the program's relations: address of first ColumnIndex pointer, by relation. */
let indexLists: u32 = 0;
let indexCounts: u32 = 0;

function fail(status: u32): void {
  if (problem == 0) problem = status;
}

function check(condition: bool): bool {
  if (!condition) fail(STATUS_BAD_PROGRAM);
  return problem == 0;
}

function word(): u32 {
  if (at + 4 > end) {
    fail(STATUS_BAD_PROGRAM);
    return 0;
  }
  const value = load<u32>(at);
  at += 4;
  return value;
}

/** A count that the rest of the words can hold. */
function count(maximum: u32): u32 {
  const value = word();
  return check(value <= maximum && value <= (end - at) >> 2) ? value : 0;
}

/** A number below `bound`. */
function below(bound: u32): u32 {
  const value = word();
  return check(value < bound) ? value : 0;
}

function claim(bytes: u32): u32 {
  const address = arenaAllocate(program.arena, bytes);
  if (address == 0) fail(STATUS_OUT_OF_MEMORY);
  return address;
}

function relationNumber(number: u32): Relation {
  if (!check(number < program.relationCount)) return changetype<Relation>(0);
  return changetype<Relation>(load<u32>(program.relations + (number << 2)) as usize);
}

function relation(): Relation {
  return relationNumber(word());
}

function optionalRelation(): Relation {
  const number = word();
  return number == NONE ? changetype<Relation>(0) : relationNumber(number);
}

function decodeRelations(isQuery: bool): void {
  program.relations = claim(program.relationCount << 2);
  indexLists = claim(program.relationCount << 2);
  indexCounts = claim(program.relationCount << 2);
  for (let i: u32 = 0; i < program.relationCount && problem == 0; i++) {
    const target = relationOf(word());
    if (!check(changetype<usize>(target) != 0)) return;
    if (!listAll(target)) return fail(STATUS_OUT_OF_MEMORY);
    store<u32>(program.relations + (i << 2), changetype<usize>(target) as u32);
    const indexes = count(INDEXES_PER_RELATION_MAX);
    const list = claim(max<u32>(indexes << 2, 4));
    if (problem != 0) return;
    store<u32>(indexLists + (i << 2), list);
    store<u32>(indexCounts + (i << 2), indexes);
    for (let j: u32 = 0; j < indexes && problem == 0; j++) {
      store<u32>(list + (j << 2), changetype<usize>(decodeIndex(target, isQuery)) as u32);
    }
  }
}

function decodeIndex(target: Relation, isQuery: bool): ColumnIndex {
  const none = changetype<ColumnIndex>(0);
  const columns = count(target.arity);
  const list = at;
  if (!check(columns > 0)) return none;
  let previous: u32 = NONE;
  for (let i: u32 = 0; i < columns; i++) {
    const column = below(target.arity);
    if (!check(previous == NONE || column > previous)) return none;
    previous = column;
  }
  if (problem != 0) return none;
  const index = addIndex(target, list, columns);
  if (changetype<usize>(index) == 0) {
    fail(
      target.indexCount >= (INDEXES_PER_RELATION_MAX as u32)
        ? STATUS_BAD_PROGRAM
        : STATUS_OUT_OF_MEMORY,
    );
    return none;
  }
  // A query that runs beside a transaction must not take an index from the program to come.
  if (!isQuery) index.program = changetype<usize>(program) as u32;
  // One that waits does so between transactions only.
  if (isQuery && !index.ready && !listIndexes(target)) fail(STATUS_OUT_OF_MEMORY);
  if (!index.ready && !target.indexesWait) {
    if (!push(program.builds, changetype<usize>(target) as u32)) fail(STATUS_OUT_OF_MEMORY);
    if (!push(program.builds, changetype<usize>(index) as u32)) fail(STATUS_OUT_OF_MEMORY);
  }
  return index;
}

function decodeConstants(bytes: u32, bytesEnd: u32): void {
  program.constants = claim(max<u32>(program.constantCount << 2, 4));
  if (problem != 0) return;
  for (let i: u32 = 0; i < program.constantCount; i++) {
    const cell = readCell(bytes, bytesEnd);
    if (cell == NO_CELL) return fail(STATUS_OUT_OF_MEMORY);
    if (!check(cell != BAD_CELL)) return;
    bytes += readBytes;
    store<u32>(program.constants + (i << 2), cell);
  }
  check(bytes == bytesEnd);
}

/* One version. `bound` has a byte a register, `ranked` one a rank, `iterating` one a code word. */

let bound: u32 = 0;
let ranked: u32 = 0;
let iterating: u32 = 0;
let registers: u32 = 0;
let ranks: u32 = 0;
let cursors: u32 = 0;
let code: u32 = 0;
let codeWords: u32 = 0;
let step: u32 = 0;

function codeWord(offset: u32): u32 {
  if (!check(step + offset < codeWords)) return 0;
  return load<u32>(code + ((step + offset) << 2));
}

function setCodeWord(offset: u32, value: u32): void {
  store<u32>(code + ((step + offset) << 2), value);
}

function readRegister(offset: u32): void {
  const register = codeWord(offset);
  if (!check(register < registers && load<u8>(bound + register) != 0)) return;
  setCodeWord(offset, register << 2);
}

function bindRegister(offset: u32): void {
  const register = codeWord(offset);
  if (!check(register < registers)) return;
  store<u8>(bound + register, 1);
  setCodeWord(offset, register << 2);
}

function bindRank(offset: u32): void {
  const rank = codeWord(offset);
  if (rank == NO_REGISTER) return;
  if (!check(rank < ranks)) return;
  store<u8>(ranked + rank, 1);
  setCodeWord(offset, (registers + rank) << 2);
}

function takeBack(): void {
  const back = codeWord(1);
  if (!check(back < step && load<u8>(iterating + back) != 0)) return;
  setCodeWord(1, code + (back << 2));
}

function takeCursor(offset: u32): void {
  codeWord(offset);
  setCodeWord(offset, ((registers + ranks) << 2) + cursors * CURSOR_BYTES);
  cursors += 1;
  store<u8>(iterating + step, 1);
}

/**
 * Column-register pairs: first those that bind, then those that compare. Answers the words behind.
 */
function takePairs(offset: u32, binds: u32, checks: u32, arity: u32): u32 {
  if (!check(binds <= arity && checks <= arity)) return offset;
  for (let i: u32 = 0; i < binds + checks && problem == 0; i++) {
    const column = codeWord(offset);
    if (!check(column < arity)) return offset;
    setCodeWord(offset, column << 2);
    if (i < binds) bindRegister(offset + 1);
    else readRegister(offset + 1);
    offset += 2;
  }
  return offset;
}

function takeRegisters(offset: u32, amount: u32): u32 {
  if (!check(amount <= codeWords)) return offset;
  for (let i: u32 = 0; i < amount && problem == 0; i++) readRegister(offset + i);
  return offset + amount;
}

function takeRelation(offset: u32): Relation {
  const target = relationNumber(codeWord(offset));
  setCodeWord(offset, changetype<usize>(target) as u32);
  return target;
}

/**
 * Rounds of the unit that a relation belongs to may go over bits (dense.ts); whoever else looks for
 * its rows needs them as rows and, unless it goes through all of them, listed, and by an index, if
 * one is given, that is built.
 */
function noteRead(version: Version, target: Relation, how: u32): void {
  if (version.purpose == VERSION_ROUND) {
    for (let i: u32 = 0; i < unit.relationCount; i++) {
      if (changetype<usize>(unitRelation(unit, i)) == changetype<usize>(target)) return;
    }
  }
  // What rounds alone go by may never be needed.
  noteNeed(target, how, version.purpose == VERSION_ROUND && how != NEED_SET);
}

function noteNeed(target: Relation, how: u32, isOfRounds: bool): void {
  const relation = changetype<usize>(target) as u32;
  for (let need = unit.needs; need != 0; need = load<u32>(need)) {
    if (load<u32>(need, 4) != relation || load<u32>(need, 8) != how) continue;
    if (!isOfRounds) store<u32>(need, 0, 12);
    return;
  }
  const need = claim(16);
  if (problem != 0) return;
  store<u32>(need, unit.needs);
  store<u32>(need, relation, 4);
  store<u32>(need, how, 8);
  store<u32>(need, isOfRounds ? 1 : 0, 12);
  unit.needs = need;
}

/** The index of the last LOOKUP; whether it is needed is known when the probes behind it are. */
let walked: ColumnIndex = changetype<ColumnIndex>(0);

function noteWalked(version: Version): void {
  if (changetype<usize>(walked) == 0) return;
  const index = changetype<usize>(walked) as u32;
  noteRead(version, walked.relation, isListing() ? NEED_ROWS : index);
  walked = changetype<ColumnIndex>(0);
}

/** SCAN and LOOKUP up to their pairs. */
function takeIterator(version: Version, isLookup: bool): u32 {
  noteWalked(version);
  takeBack();
  takeCursor(2);
  const number = codeWord(3);
  const target = takeRelation(3);
  if (problem != 0) return 0;
  if (!isLookup) noteRead(version, target, NEED_ROWS);
  check(codeWord(4) < (VIEWS as u32));
  check(codeWord(5) <= (MATCH_ABSENT as u32));
  bindRank(6);
  if (codeWord(7) != NO_REGISTER) check(codeWord(6) != NO_REGISTER);
  let words = takePairs(10, codeWord(8), codeWord(9), target.arity);
  if (problem != 0) return words;
  if (!isLookup) {
    noteIteration(code + (step << 2), target.arity, 0, 0);
    return words;
  }
  const place = codeWord(words);
  if (!check(place < countOf(number))) return 0;
  const index = changetype<ColumnIndex>(load<u32>(listOf(number) + (place << 2)) as usize);
  setCodeWord(words, changetype<usize>(index) as u32);
  if (!check(codeWord(words + 1) == index.columnCount)) return 0;
  words = takeRegisters(words + 2, index.columnCount);
  if (problem != 0) return words;
  noteIteration(code + (step << 2), target.arity, index.columns, index.columnCount);
  noteLookup(version, code + (step << 2), words << 2);
  walked = index;
  return words;
}

/** Address and number of the indexes that the program names for a relation. */
function listOf(number: u32): u32 {
  return load<u32>(indexLists + (number << 2));
}

function countOf(number: u32): u32 {
  return load<u32>(indexCounts + (number << 2));
}

/** Decodes the step at `step`; answers its words. */
function takeStep(version: Version): u32 {
  switch (codeWord(0) as i32) {
    case OP_DELTA: {
      takeBack();
      takeCursor(2);
      bindRank(3);
      if (!check(changetype<usize>(version.source) != 0)) return 0;
      return takePairs(6, codeWord(4), codeWord(5), version.source.arity);
    }
    case OP_HEAD: {
      takeBack();
      return takePairs(4, codeWord(2), codeWord(3), version.head.arity);
    }
    case OP_SCAN:
      return takeIterator(version, false);
    case OP_LOOKUP:
      return takeIterator(version, true);
    case OP_PROBE: {
      takeBack();
      const number = codeWord(2);
      const target = takeRelation(2);
      if (problem != 0) return 0;
      noteRead(version, target, NEED_SET);
      check(codeWord(3) < (VIEWS as u32));
      check(codeWord(4) <= 1);
      bindRank(5);
      if (!check(codeWord(7) == target.arity)) return 0;
      const words = takeRegisters(8, target.arity);
      if (problem == 0) intersect(code + (step << 2), words << 2, listOf(number), countOf(number));
      return words;
    }
    case OP_COMPARE: {
      takeBack();
      check(codeWord(2) < (COMPARES as u32));
      return takeRegisters(3, 2);
    }
    case OP_DIFFER: {
      takeBack();
      const pairs = codeWord(2);
      return check(pairs <= (ARITY_MAX as u32)) ? takeRegisters(3, pairs << 1) : 3;
    }
    case OP_COMPUTE: {
      takeBack();
      check(codeWord(2) <= (COMPUTE_REMAINDER as u32));
      takeRegisters(3, 2);
      if (codeWord(6) != 0) readRegister(5);
      else bindRegister(5);
      return 7;
    }
    case OP_FAILS: {
      takeBack();
      check(codeWord(2) <= (COMPUTE_REMAINDER as u32));
      return takeRegisters(3, 2);
    }
    case OP_FORMAT: {
      takeBack();
      const amount = codeWord(3);
      const words = check(amount <= 64) ? takeRegisters(4, amount) : 4;
      bindRegister(2);
      return words;
    }
    case OP_MOVE: {
      takeBack();
      readRegister(2);
      bindRegister(3);
      return 4;
    }
    case OP_CALL: {
      takeBack();
      const amount = codeWord(5);
      const words = check(amount <= (CALL_INPUTS_MAX as u32)) ? takeRegisters(6, amount) : 6;
      if (codeWord(4) != 0) readRegister(3);
      else bindRegister(3);
      return words;
    }
    case OP_CALL_FAILS: {
      takeBack();
      const amount = codeWord(3);
      return check(amount <= (CALL_INPUTS_MAX as u32)) ? takeRegisters(4, amount) : 4;
    }
    case OP_EACH: {
      takeBack();
      takeCursor(2);
      readRegister(3);
      if (codeWord(5) != 0) readRegister(4);
      else bindRegister(4);
      noteRepetition();
      return 6;
    }
    case OP_EMIT: {
      takeBack();
      const rankCount = codeWord(2);
      if (!check(rankCount <= ranks && codeWord(3) == version.head.arity)) return 0;
      for (let i: u32 = 0; i < rankCount && problem == 0; i++) {
        const rank = codeWord(4 + i);
        if (!check(rank < ranks && load<u8>(ranked + rank) != 0)) return 0;
        setCodeWord(4 + i, (registers + rank) << 2);
      }
      const words = takeRegisters(4 + rankCount, version.head.arity);
      if (problem != 0) return words;
      noteEmit(code + (step << 2));
      const head = code + ((step + 4 + rankCount) << 2);
      version.isDistinct =
        version.purpose == VERSION_FULL && givesDistinct(head, version.head.arity);
      return words;
    }
    default:
      check(false);
      return 0;
  }
}

function decodeCode(version: Version): void {
  codeWords = count(CODE_WORDS_MAX);
  if (problem != 0) return;
  code = claim(max<u32>(codeWords << 2, 4));
  iterating = allocateZeroed(max<u32>(codeWords, 4));
  if (iterating == 0) fail(STATUS_OUT_OF_MEMORY);
  if (problem != 0) return;
  memory.copy(code, at, codeWords << 2);
  at += codeWords << 2;
  cursors = 0;
  walked = changetype<ColumnIndex>(0);
  beginIntersections(program.arena);
  beginDistinct();
  // Word 0 is END: where the outermost step goes back to.
  check(codeWords > 1 && load<u32>(code) == OP_END);
  store<u8>(iterating, 1);
  step = 1;
  let last: u32 = OP_END;
  while (problem == 0 && step < codeWords) {
    last = load<u32>(code + (step << 2));
    const words = takeStep(version);
    if (!check(words > 0 && step + words <= codeWords)) break;
    step += words;
    // Nothing may follow EMIT: it never goes forwards.
    if (last == OP_EMIT) check(step == codeWords);
  }
  check(last == OP_EMIT);
  if (problem == 0) noteWalked(version);
  release(iterating, max<u32>(codeWords, 4));
}

function decodeVersion(version: Version, isQuery: bool): void {
  version.purpose = word();
  check(version.purpose < (VERSIONS as u32));
  version.head = relation();
  version.source = optionalRelation();
  version.polarity = below(2);
  version.inComponent = below(2) != 0;
  version.isExit = below(2) != 0;
  registers = below(REGISTERS_MAX);
  ranks = below(64);
  const constants = count(REGISTERS_MAX);
  if (problem != 0) return;
  const hasSource = changetype<usize>(version.source) != 0;
  const isDriven =
    version.purpose != VERSION_FULL &&
    version.purpose != VERSION_SUPPORT &&
    version.purpose != VERSION_GROUP;
  check(hasSource == isDriven);
  // A query writes its answer and nothing else.
  check(!isQuery || version.purpose == VERSION_FULL);
  check(!isQuery || (version.head.flags & RELATION_LOCAL) != 0);
  const pairs = at;
  bound = allocateZeroed(REGISTERS_MAX + 64);
  if (bound == 0) return fail(STATUS_OUT_OF_MEMORY);
  ranked = bound + REGISTERS_MAX;
  for (let i: u32 = 0; i < constants && problem == 0; i++) {
    const register = below(registers);
    below(program.constantCount);
    if (problem == 0) store<u8>(bound + register, 1);
  }
  if (problem == 0) decodeCode(version);
  release(bound, REGISTERS_MAX + 64);
  if (problem != 0) return;
  version.code = code + 4;
  version.frameBytes = ((registers + ranks) << 2) + cursors * CURSOR_BYTES + 4;
  version.frame = claim(version.frameBytes);
  if (problem != 0) return;
  linkIntersections(version);
  for (let i: u32 = 0; i < constants; i++) {
    const cell = load<u32>(program.constants + (load<u32>(pairs + (i << 3), 4) << 2));
    store<u32>(version.frame + (load<u32>(pairs + (i << 3)) << 2), cell);
  }
}

function decodeAggregate(unit: Unit): void {
  const plan = changetype<AggregatePlan>(claim(offsetof<AggregatePlan>() as u32) as usize);
  if (problem != 0) return;
  const inputNumber = word();
  plan.input = relationNumber(inputNumber);
  noteNeed(plan.input, NEED_ROWS, false);
  plan.output = relation();
  plan.errors = optionalRelation();
  if (problem != 0) return;
  const indexPlace = word();
  if (indexPlace != NONE) {
    if (!check(indexPlace < load<u32>(indexCounts + (inputNumber << 2)))) return;
    const list = load<u32>(indexLists + (inputNumber << 2));
    plan.index = changetype<ColumnIndex>(load<u32>(list + (indexPlace << 2)) as usize);
    noteNeed(plan.input, changetype<usize>(plan.index) as u32, false);
  }
  plan.groupCount = count(plan.input.arity);
  plan.groupColumns = claim(max<u32>(plan.groupCount << 2, 4));
  for (let i: u32 = 0; i < plan.groupCount && problem == 0; i++) {
    store<u32>(plan.groupColumns + (i << 2), below(plan.input.arity));
  }
  plan.aggregateCount = count(64);
  plan.aggregates = claim(max<u32>(plan.aggregateCount * 12, 4));
  for (let i: u32 = 0; i < plan.aggregateCount && problem == 0; i++) {
    const at = plan.aggregates + i * 12;
    store<u32>(at, below(AGGREGATES));
    // A count needs no column; 0 stands for none, also where the input has no columns.
    store<u32>(at, below(max<u32>(plan.input.arity, 1)), 4);
    store<u32>(at, below(max<u32>(plan.input.arity, 1)), 8);
  }
  if (problem != 0) return;
  check(plan.aggregateCount > 0 && plan.output.arity == plan.groupCount + plan.aggregateCount);
  check(changetype<usize>(plan.errors) == 0 || plan.errors.arity == plan.groupCount + 1);
  check(plan.input.arity > 0 || allCounts(plan));
  checkGroupIndex(plan);
  checkStream(unit, plan);
  check(fitsState(plan));
  unit.aggregate = changetype<usize>(plan) as u32;
}

/** Rules of an aggregate give its input, and no row of it has to be found again. */
function checkStream(unit: Unit, plan: AggregatePlan): void {
  if (unit.versionCount == 0 || problem != 0) return;
  for (let i: u32 = 0; i < plan.aggregateCount; i++) {
    const kind = load<u32>(plan.aggregates + i * 12);
    check(kind == AGGREGATE_COUNT || kind == AGGREGATE_SUM || kind == AGGREGATE_AVG);
  }
  for (let i: u32 = 0; i < unit.versionCount; i++) {
    const version = versionAt(unit, i);
    check(version.purpose == VERSION_FULL || version.purpose == VERSION_DELTA);
    check(changetype<usize>(version.head) == changetype<usize>(plan.input));
  }
}

function allCounts(plan: AggregatePlan): bool {
  for (let i: u32 = 0; i < plan.aggregateCount; i++)
    if (load<u32>(plan.aggregates + i * 12) != AGGREGATE_COUNT) return false;
  return true;
}

/** The index, where there is one, is by the group's columns, which must then ascend. */
function checkGroupIndex(plan: AggregatePlan): void {
  if (changetype<usize>(plan.index) == 0) return;
  if (!check(plan.index.columnCount == plan.groupCount)) return;
  for (let i: u32 = 0; i < plan.groupCount; i++) {
    check(load<u32>(plan.index.columns + (i << 2)) == load<u32>(plan.groupColumns + (i << 2)));
  }
}

let unit: Unit = changetype<Unit>(0);

function decodeUnit(decoded: Unit, isQuery: bool): void {
  unit = decoded;
  unit.kind = below(UNITS);
  unit.fresh = below(2) != 0;
  unit.relationCount = count(RELATIONS_MAX);
  unit.relations = claim(max<u32>(unit.relationCount << 2, 4));
  for (let i: u32 = 0; i < unit.relationCount && problem == 0; i++) {
    const member = relation();
    store<u32>(unit.relations + (i << 2), changetype<usize>(member) as u32);
  }
  unit.versionCount = count(VERSIONS_MAX);
  unit.versions = claim(max<u32>(unit.versionCount * (offsetof<Version>() as u32), 4));
  for (let i: u32 = 0; i < unit.versionCount && problem == 0; i++) {
    const address = unit.versions + i * (offsetof<Version>() as u32);
    decodeVersion(changetype<Version>(address as usize), isQuery);
  }
  if (unit.kind == UNIT_AGGREGATE && problem == 0) {
    check(!isQuery);
    decodeAggregate(unit);
  }
  if (unit.kind == UNIT_BEST && problem == 0) {
    check(!isQuery);
    decodeBest(unit);
  }
}

function decodeBest(unit: Unit): void {
  const plan = changetype<BestPlan>(claim(offsetof<BestPlan>() as u32) as usize);
  const columns = claim(max<u32>(unit.relationCount << 3, 4));
  if (problem != 0) return;
  plan.isMax = below(2) != 0;
  plan.columns = columns;
  for (let i: u32 = 0; i < unit.relationCount && problem == 0; i++) {
    const member = unitRelation(unit, i);
    const column = below(member.arity);
    store<u32>(columns + (i << 3), column);
    store<u32>(columns + (i << 3), groupIndexOf(member, column), 4);
  }
  unit.best = changetype<usize>(plan) as u32;
}

/** The index of a relation by all columns but one; 0 where that is its only one. */
function groupIndexOf(member: Relation, value: u32): u32 {
  const place = word();
  if (!check((place == NONE) == (member.arity == 1)) || place == NONE) return 0;
  let number: u32 = 0;
  while (number < program.relationCount && addressOf(number) != changetype<usize>(member)) number++;
  if (!check(place < load<u32>(indexCounts + (number << 2)))) return 0;
  const list = load<u32>(indexLists + (number << 2));
  const index = changetype<ColumnIndex>(load<u32>(list + (place << 2)) as usize);
  if (!check(index.columnCount == member.arity - 1)) return 0;
  for (let i: u32 = 0; i < index.columnCount; i++)
    check(load<u32>(index.columns + (i << 2)) != value);
  return changetype<usize>(index) as u32;
}

function addressOf(number: u32): usize {
  return load<u32>(program.relations + (number << 2)) as usize;
}

export let decodeStatus: u32 = 0;

/** The program of `bytes` bytes at `pointer`, or null with `decodeStatus` set. */
export function decodeProgram(pointer: u32, bytes: u32, isQuery: bool): Program {
  problem = 0;
  at = pointer;
  end = pointer + (bytes & ~3);
  program = changetype<Program>(allocateZeroed(offsetof<Program>() as u32) as usize);
  if (changetype<usize>(program) == 0) {
    decodeStatus = STATUS_OUT_OF_MEMORY;
    return program;
  }
  program.arena = changetype<Arena>(allocateZeroed(offsetof<Arena>() as u32) as usize);
  program.builds = createVector();
  if (changetype<usize>(program.arena) == 0 || changetype<usize>(program.builds) == 0)
    fail(STATUS_OUT_OF_MEMORY);
  else decodeAll(pointer, bytes, isQuery);
  decodeStatus = problem;
  if (problem != 0) {
    destroyProgram(program);
    return changetype<Program>(0);
  }
  return program;
}

function decodeAll(pointer: u32, bytes: u32, isQuery: bool): void {
  if (!check(word() == PROGRAM_MAGIC && word() == ABI_VERSION)) return;
  const words = word();
  if (!check(words <= bytes >> 2)) return;
  end = pointer + (words << 2);
  program.relationCount = count(RELATIONS_MAX);
  program.constantCount = word();
  const constantBytes = word();
  const behind = bytes - (words << 2);
  if (!check(constantBytes == behind && program.constantCount <= constantBytes)) return;
  program.unitCount = count(RELATIONS_MAX);
  decodeConstants(end, end + constantBytes);
  if (problem == 0) decodeRelations(isQuery);
  if (problem != 0) return;
  program.units = claim(max<u32>(program.unitCount * (offsetof<Unit>() as u32), 4));
  for (let i: u32 = 0; i < program.unitCount && problem == 0; i++) {
    decodeUnit(changetype<Unit>((program.units + i * (offsetof<Unit>() as u32)) as usize), isQuery);
  }
  check(at == end);
  if (isQuery || problem != 0) return;
  linkUnits();
  noteBatch();
}

/** A program of a batch lists rows when a unit needs them, any other one as soon as they stand. */
function noteBatch(): void {
  program.isBatch = true;
  for (let i: u32 = 0; i < program.unitCount; i++) {
    const unit = unitAt(program, i);
    for (let j: u32 = 0; j < unit.versionCount; j++) {
      const purpose = versionAt(unit, j).purpose;
      if (purpose != VERSION_FULL && purpose != VERSION_ROUND) program.isBatch = false;
    }
  }
  for (let i: u32 = 0; i < program.unitCount && program.isBatch; i++) {
    const unit = unitAt(program, i);
    for (let j: u32 = 0; j < unit.relationCount && unit.kind != UNIT_BEST; j++)
      letIndexesWait(unitRelation(unit, j));
  }
  for (let i: u32 = 0; i < program.unitCount && !program.isBatch; i++) {
    for (let need = unitAt(program, i).needs; need != 0; need = load<u32>(need)) {
      const target = changetype<Relation>(load<u32>(need, 4) as usize);
      target.isRead = true;
      if (load<u32>(need, 8) != NEED_ROWS) target.isSearched = true;
    }
  }
}

/** Of a new relation: its indexes, if a unit needs them, are made of all rows at once. */
function letIndexesWait(target: Relation): void {
  if (!target.fresh || target.top != 0 || (target.flags & RELATION_POSITIONS) != 0) return;
  for (let i: u32 = 0; i < target.indexCount; i++) indexAt(target, i).ready = false;
  target.indexesWait = target.indexCount != 0;
}

/** True for an index that is built when a unit needs it. */
export function mayWait(program: Program, relation: Relation): bool {
  return program.isBatch && (relation.flags & RELATION_POSITIONS) == 0;
}

/** Who has each relation, and whom its delta drives. */
function linkUnits(): void {
  program.handleCount = relationCount();
  program.owners = claim(max<u32>(program.handleCount << 2, 4));
  program.waiting = claim(max<u32>(((program.unitCount + 31) >> 5) << 2, 4));
  for (let i: u32 = 0; i < program.unitCount && problem == 0; i++) {
    const unit = unitAt(program, i);
    for (let j: u32 = 0; j < unit.relationCount; j++) {
      const owner = program.owners + (unitRelation(unit, j).handle << 2);
      if (!check(load<u32>(owner) == 0)) return;
      store<u32>(owner, i + 1);
    }
  }
  if (problem != 0) return;
  for (let i: u32 = 0; i < program.unitCount; i++) linkReader(i, false);
  for (let i: u32 = 0; i < program.unitCount && problem == 0; i++) {
    const unit = unitAt(program, i);
    if (unit.readerCount != 0) unit.readers = claim(unit.readerCount << 2);
    unit.readerCount = 0;
    unit.lastReader = 0;
  }
  for (let i: u32 = 0; i < program.unitCount && problem == 0; i++) linkReader(i, true);
}

/** Counts the unit as a reader of others, or notes it as one. */
function linkReader(number: u32, isNoted: bool): void {
  const unit = unitAt(program, number);
  if (unit.kind == UNIT_AGGREGATE) {
    linkTo(changetype<AggregatePlan>(unit.aggregate as usize).input, number, isNoted);
  }
  for (let i: u32 = 0; i < unit.versionCount; i++) {
    const source = versionAt(unit, i).source;
    if (changetype<usize>(source) != 0) linkTo(source, number, isNoted);
  }
}

function linkTo(source: Relation, reader: u32, isNoted: bool): void {
  const owner = ownerOf(program, source.handle);
  // A unit's own relations drive it by what it does itself.
  if (owner == 0 || owner == reader + 1) return;
  const unit = unitAt(program, owner - 1);
  if (unit.lastReader == reader + 1) return;
  unit.lastReader = reader + 1;
  if (isNoted) store<u32>(unit.readers + (unit.readerCount << 2), reader);
  unit.readerCount += 1;
}

export function destroyProgram(dead: Program): void {
  if (changetype<usize>(dead) == 0) return;
  if (changetype<usize>(dead.arena) != 0) {
    releaseArena(dead.arena);
    release(changetype<usize>(dead.arena) as u32, offsetof<Arena>() as u32);
  }
  if (changetype<usize>(dead.builds) != 0) destroyVector(dead.builds);
  release(changetype<usize>(dead) as u32, offsetof<Program>() as u32);
}
