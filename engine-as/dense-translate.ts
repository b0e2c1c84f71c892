/*
 * Rules of a recursive unit over bit matrices (dense.ts): which units can be evaluated so, and the
 * operations of their rounds.
 *
 * A round rule is a nested loop. Its registers hold numbers of a small domain instead of cells, its
 * component rows are bits, its other rows lists by one column. The innermost loop falls away where
 * it only runs over values that go into the head as they are: then a whole row of bits is added at
 * once. That is so for the last lookup of
 *
 *     pointsTo(y, w) :- load(y, x), pointsTo(x, z), pointsTo(z, w)      row z is added to row y
 *
 * and for a column of the driving rows that nothing else reads:
 *
 *     tc(x, z) :- tc(x, y), edge(y, z)          column y of what is new is added to column z
 */
import {
  COMPARE_EQUAL,
  MATCH_ABSENT,
  MATCH_EACH,
  OP_COMPARE,
  OP_DELTA,
  OP_EMIT,
  OP_LOOKUP,
  OP_MOVE,
  OP_PROBE,
  OP_SCAN,
  POLARITY_NEGATIVE,
  VERSION_ROUND,
  VIEW_NEW,
} from './abi';
import { Arena, arenaAllocate } from './arena';
import { isForcedToBits } from './bits-choice';
import { keptRows } from './kept-bits';
import { hasUnlistedRows } from './listing';
import { ColumnIndex } from './index-store';
import { linearize } from './dense-linear';
import {
  DENSE_BIT,
  DENSE_BITS,
  DENSE_COMPARE,
  DENSE_EMIT_BIT,
  DENSE_EMIT_LIST,
  DENSE_EMIT_ROW,
  DENSE_FILLED,
  DENSE_IMAGE,
  DENSE_LIST,
  DENSE_LISTED,
  DENSE_MOVE,
  DENSE_PAIRS,
  DENSE_PROBE,
  DENSE_ROWS,
  DENSE_SAME,
  DENSE_SCAN,
  DenseList,
  DenseOp,
  DensePlan,
  DenseTable,
  DenseVersion,
  denseVersionAt,
  FORM_IMAGE,
  FORM_SCAN,
  listAt,
  needBit,
  NO_OP,
  NONE,
  operationAt,
  REGISTERS,
  ROW_ZERO,
  tableAt,
} from './dense-plan';
import { Unit, unitRelation, Version, versionAt } from './program';
import { Relation } from './row-store';
const TABLES_MAX: u32 = 64;
const OPS_MAX: u32 = 64;
const LISTS_MAX: u32 = 128;
/** Registers of a rule end here, its temporary ones begin. */
const TEMPORARY_FROM: u32 = 64;

let plan: DensePlan = changetype<DensePlan>(0);
let failed: bool = false;

/* The version under way. */
let version: Version = changetype<Version>(0);
export let target: DenseVersion = changetype<DenseVersion>(0);
/** It belongs to no recursion: it starts from a scan, and what it reads is outside. */
let isOnce: bool = false;
/** Columns of the head that matter, a bit each. */
let headColumns: u64 = 0;
/** It matters how often a row is derived. */
let isCounted: bool = false;
/** Rows that nested loops up to here would find. */
let found: f64 = 1;
const bound: u32 = memory.data(REGISTERS, 8) as u32;
const uses: u32 = memory.data(REGISTERS * 4, 8) as u32;
/** Code address of the step of each operation. */
const addresses: u32 = memory.data(OPS_MAX * 4, 8) as u32;
let temporaries: u32 = 0;
/** Register whose values are added as a row, and the step that is left out for it. */
let tail: u32 = NONE;
function claim(bytes: u32): u32 {
  const block = arenaAllocate(plan.arena, bytes);
  if (block == 0) failed = true;
  return block;
}

function tableOf(relation: Relation): DenseTable {
  for (let i: u32 = 0; i < plan.tableCount; i++) {
    const table = tableAt(plan, i);
    if (changetype<usize>(table.relation) == changetype<usize>(relation)) return table;
  }
  return changetype<DenseTable>(0);
}

/** A plan of the unit's first `tables` relations without a version; null without memory. */
export function openPlan(unit: Unit, arena: Arena, tables: u32): DensePlan {
  const none = changetype<DensePlan>(0);
  failed = false;
  isOnce = false;
  isCounted = false;
  headColumns = ~(<u64>0);
  plan = changetype<DensePlan>(arenaAllocate(arena, offsetof<DensePlan>() as u32) as usize);
  if (changetype<usize>(plan) == 0) return none;
  plan.arena = arena;
  plan.tableCount = tables;
  plan.tables = claim(max<u32>(tables, 1) * (offsetof<DenseTable>() as u32));
  plan.lists = claim(LISTS_MAX * (offsetof<DenseList>() as u32));
  plan.versions = claim(max<u32>(unit.versionCount, 1) * (offsetof<DenseVersion>() as u32));
  if (failed) return none;
  for (let i: u32 = 0; i < tables; i++) {
    const table = tableAt(plan, i);
    table.relation = unitRelation(unit, i);
    table.main = NONE;
    table.newFrom = table.relation.top;
  }
  return plan;
}

/** Rounds of the unit over bit matrices; null where its rules or its relations do not allow it. */
export function planDense(unit: Unit, arena: Arena): DensePlan {
  const none = changetype<DensePlan>(0);
  if (unit.relationCount > TABLES_MAX) return none;
  for (let i: u32 = 0; i < unit.relationCount; i++) {
    const arity = unitRelation(unit, i).arity;
    if (arity == 0 || arity > 2) return none;
  }
  if (changetype<usize>(openPlan(unit, arena, unit.relationCount)) == 0) return none;
  for (let i: u32 = 0; i < unit.versionCount; i++) {
    version = versionAt(unit, i);
    if (version.purpose != VERSION_ROUND) continue;
    target = denseVersionAt(plan, plan.versionCount);
    plan.versionCount += 1;
    if (!translate()) return none;
  }
  linearize(plan);
  for (let i: u32 = 0; i < plan.tableCount; i++) {
    const table = tableAt(plan, i);
    if (table.main == NONE) table.main = 0;
    table.needsNext |= needBit(table.main);
    // What is known is taken off where it is added, so each next has its all.
    table.needsAll |= table.needsNext;
    table.needsRecent |= needBit(table.main);
  }
  return plan;
}

/** Bytes of the step at `pc`; 0 for one that has no place here. */
function stepBytes(pc: u32): u32 {
  switch (load<u32>(pc) as i32) {
    case OP_DELTA:
      return 24 + ((load<u32>(pc, 16) + load<u32>(pc, 20)) << 3);
    case OP_SCAN:
      return 40 + ((load<u32>(pc, 32) + load<u32>(pc, 36)) << 3);
    case OP_LOOKUP: {
      const pairs: u32 = 40 + ((load<u32>(pc, 32) + load<u32>(pc, 36)) << 3);
      return pairs + 8 + (load<u32>(pc + pairs, 4) << 2);
    }
    case OP_PROBE:
      return 32 + (load<u32>(pc, 28) << 2);
    case OP_COMPARE:
      return 20;
    case OP_MOVE:
      return 16;
    case OP_EMIT:
      return 16 + ((load<u32>(pc, 8) + load<u32>(pc, 12)) << 2);
    default:
      return 0;
  }
}

/** Number of a register in the code; those of ranks lie behind and are never read here. */
function registerOf(word: u32): u32 {
  const register = word >> 2;
  if (register >= TEMPORARY_FROM) {
    failed = true;
    return 0;
  }
  return register;
}

function countUse(word: u32): void {
  const at = uses + (registerOf(word) << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** Counts what each register is read by; false for a step that has no place here. */
function countUses(): bool {
  let pc = version.code;
  while (true) {
    const bytes = stepBytes(pc);
    if (bytes == 0) return false;
    switch (load<u32>(pc) as i32) {
      case OP_DELTA:
        countPairs(pc + 24 + (load<u32>(pc, 16) << 3), load<u32>(pc, 20));
        break;
      case OP_LOOKUP: {
        const keys = pc + 40 + ((load<u32>(pc, 32) + load<u32>(pc, 36)) << 3);
        for (let i: u32 = 0; i < load<u32>(keys, 4); i++) countUse(load<u32>(keys + 8 + (i << 2)));
        countPairs(pc + 40 + (load<u32>(pc, 32) << 3), load<u32>(pc, 36));
        break;
      }
      case OP_SCAN:
        countPairs(pc + 40 + (load<u32>(pc, 32) << 3), load<u32>(pc, 36));
        break;
      case OP_PROBE:
        for (let i: u32 = 0; i < load<u32>(pc, 28); i++) countUse(load<u32>(pc + 32 + (i << 2)));
        break;
      case OP_COMPARE:
        countUse(load<u32>(pc, 12));
        countUse(load<u32>(pc, 16));
        break;
      case OP_MOVE:
        countUse(load<u32>(pc, 8));
        break;
      case OP_EMIT: {
        const from = pc + 16 + (load<u32>(pc, 8) << 2);
        for (let i: u32 = 0; i < load<u32>(pc, 12); i++) {
          if (isHeadColumn(i)) countUse(load<u32>(from + (i << 2)));
        }
        return !failed;
      }
      default:
        break;
    }
    pc += bytes;
  }
}

export function isHeadColumn(column: u32): bool {
  return ((headColumns >> (column as u64)) & 1) != 0;
}

export function isUsed(register: u32): bool {
  return load<u32>(uses + (register << 2)) != 0;
}

function countPairs(pairs: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) countUse(load<u32>(pairs + (i << 3), 4));
}

/** True for a register that one head column reads and nothing else. */
function isOnlyInHead(register: u32, emitPc: u32): bool {
  if (load<u32>(uses + (register << 2)) != 1) return false;
  const from = emitPc + 16 + (load<u32>(emitPc, 8) << 2);
  for (let i: u32 = 0; i < load<u32>(emitPc, 12); i++) {
    if (load<u32>(from + (i << 2)) >> 2 == register) return true;
  }
  return false;
}

export function addOp(kind: u32, pc: u32): DenseOp {
  if (target.count == OPS_MAX) {
    failed = true;
    return operationAt(target, 0);
  }
  const op = operationAt(target, target.count);
  op.kind = kind;
  op.back = numberOf(load<u32>(pc, 4));
  store<u32>(addresses + (target.count << 2), pc);
  target.count += 1;
  return op;
}

/**
 * The operation to go back to for the step at an address: its own, or, where that became a test,
 * the one that the test goes back to.
 */
function numberOf(address: u32): u32 {
  for (let i: u32 = 0; i < target.count; i++) {
    if (load<u32>(addresses + (i << 2)) != address) continue;
    const op = operationAt(target, i);
    return op.kind <= DENSE_SCAN ? i : op.back;
  }
  return NO_OP;
}

/** Of a step that goes back to its own first operation: a test behind what it iterates. */
function addTestBehind(kind: u32, pc: u32): DenseOp {
  const op = addOp(kind, pc);
  op.back = numberOf(pc);
  return op;
}

function bind(register: u32): u32 {
  store<u8>(bound + register, 1);
  return register;
}

function temporary(): u32 {
  if (temporaries == ROW_ZERO) failed = true;
  else temporaries += 1;
  return bind(temporaries - 1);
}

/** A register to read; a constant of the rule is noted with its cell. */
export function readable(word: u32): u32 {
  const register = registerOf(word);
  if (load<u8>(bound + register) != 0) return register;
  const pair = target.constants + (target.constantCount << 3);
  store<u32>(pair, register);
  store<u32>(pair, load<u32>(version.frame + word), 4);
  target.constantCount += 1;
  return bind(register);
}

function isConstant(word: u32): bool {
  const register = registerOf(word);
  return load<u8>(bound + register) == 0 || isConstantRegister(register);
}

export function isConstantRegister(register: u32): bool {
  for (let i: u32 = 0; i < target.constantCount; i++) {
    if (load<u32>(target.constants + (i << 3)) == register) return true;
  }
  return false;
}

function translate(): bool {
  const source = tableOf(version.source);
  if (version.polarity == POLARITY_NEGATIVE || changetype<usize>(source) == 0) return false;
  if (!openVersion()) return false;
  target.source = source;
  const emitPc = takeSteps();
  return emitPc != 0 && takeEmit(emitPc) && !failed;
}

function openVersion(): bool {
  memory.fill(bound, 0, REGISTERS);
  memory.fill(uses, 0, REGISTERS * 4);
  store<u8>(bound + ROW_ZERO, 1);
  temporaries = TEMPORARY_FROM;
  tail = NONE;
  found = 1;
  target.operations = claim(OPS_MAX * (offsetof<DenseOp>() as u32));
  target.constants = claim(REGISTERS << 3);
  return !failed && countUses();
}

/** All steps but EMIT, whose address is the answer; 0 where one has no place here. */
function takeSteps(): u32 {
  let emitPc = version.code;
  while (load<u32>(emitPc) != OP_EMIT) emitPc += stepBytes(emitPc);
  let pc = version.code;
  while (pc != emitPc && !failed) {
    if (!takeStep(pc, emitPc)) return 0;
    pc += stepBytes(pc);
  }
  return failed ? 0 : emitPc;
}

/**
 * A rule outside recursion up to EMIT, whose address is the answer; 0 where it cannot be. Of the
 * head's columns those of the bits `columns` matter; `counts`: and how often a row is derived.
 */
export function translateOnce(rule: Version, columns: u64, counts: bool): u32 {
  version = rule;
  target = denseVersionAt(plan, plan.versionCount);
  plan.versionCount += 1;
  isOnce = true;
  isCounted = counts;
  headColumns = columns;
  const emitPc = openVersion() ? takeSteps() : 0;
  plan.derivations += found;
  return emitPc;
}

/** False where something that was taken so far has no place. */
export function isTranslated(): bool {
  return !failed;
}

/** Of the step that the last operation was made from. */
export function lastAddress(index: u32): u32 {
  return load<u32>(addresses + (index << 2));
}

function takeStep(pc: u32, emitPc: u32): bool {
  switch (load<u32>(pc) as i32) {
    case OP_DELTA:
      return takeDelta(pc, emitPc);
    case OP_SCAN:
    case OP_LOOKUP:
      return takeLookup(pc);
    case OP_PROBE:
      return takeProbe(pc);
    case OP_COMPARE: {
      const left = readable(load<u32>(pc, 12));
      const right = readable(load<u32>(pc, 16));
      const operator = load<u32>(pc, 8);
      const op = addOp(operator == COMPARE_EQUAL ? DENSE_SAME : DENSE_COMPARE, pc);
      op.key = left;
      op.output = right;
      op.operator = operator;
      return true;
    }
    case OP_MOVE: {
      const from = readable(load<u32>(pc, 8));
      const op = addOp(DENSE_MOVE, pc);
      op.key = from;
      op.output = bind(registerOf(load<u32>(pc, 12)));
      return true;
    }
    default:
      return false;
  }
}

/** The register of each column of the driving row; NONE for one that is not read. */
let first: u32 = NONE;
let second: u32 = NONE;

/** Adds a test for a column that must equal a register, whose value went to `register`. */
function addSame(pc: u32, register: u32, word: u32): void {
  const other = readable(word);
  const op = addTestBehind(DENSE_SAME, pc);
  op.key = register;
  op.output = other;
}

function takeDelta(pc: u32, emitPc: u32): bool {
  const table = target.source;
  const arity = table.relation.arity;
  const binds = load<u32>(pc, 16);
  const checks = load<u32>(pc, 20);
  first = NONE;
  second = NONE;
  for (let i: u32 = 0; i < binds; i++) {
    const register = registerOf(load<u32>(pc + 24 + (i << 3), 4));
    if (load<u32>(pc + 24 + (i << 3)) == 0) first = register;
    else second = register;
  }
  if (arity == 1) {
    // Its values are the columns of row 0.
    second = first;
    first = ROW_ZERO;
  }
  if (checks == 0 && arity == 2 && (first == NONE || second == NONE)) {
    if (first == NONE && second == NONE) return false;
    addRows(pc, first == NONE ? 1 : 0, first == NONE ? second : first);
    return true;
  }
  if (checks == 0 && arity == 2 && target.constantCount == 0) {
    if (isOnlyInHead(second, emitPc)) {
      tail = second;
      addRows(pc, 0, first);
      return true;
    }
    if (isOnlyInHead(first, emitPc)) {
      tail = first;
      addRows(pc, 1, second);
      return true;
    }
  }
  const op = addOp(DENSE_PAIRS, pc);
  op.table = table;
  op.index = 0;
  table.needsRecent |= needBit(0);
  op.key = first == NONE ? temporary() : bind(first);
  op.output = second == NONE ? temporary() : bind(second);
  for (let i: u32 = 0; i < checks; i++) {
    const pair = pc + 24 + ((binds + i) << 3);
    const isFirst = load<u32>(pair) == 0 && arity == 2;
    addSame(pc, isFirst ? op.key : op.output, load<u32>(pair, 4));
  }
  return true;
}

function addRows(pc: u32, index: u32, register: u32): void {
  const op = addOp(DENSE_ROWS, pc);
  op.table = target.source;
  op.index = index;
  op.output = bind(register);
  target.source.needsRecent |= needBit(index);
}

function takeLookup(pc: u32): bool {
  const relation = changetype<Relation>(load<u32>(pc, 12) as usize);
  const table = tableOf(relation);
  if (changetype<usize>(table) != 0) return takeOwnLookup(pc, table);
  if (load<u32>(pc, 16) != VIEW_NEW) return false;
  if (isOnce && isScanned(pc)) return takeScan(pc, relation);
  const list = addList(relation);
  if (failed) return false;
  const binds = load<u32>(pc, 32);
  const checks = load<u32>(pc, 36);
  const pairs = pc + 40;
  let key = NONE;
  if (load<u32>(pc) == OP_LOOKUP) {
    const tailOf = pairs + ((binds + checks) << 3);
    const index = changetype<ColumnIndex>(load<u32>(tailOf) as usize);
    for (let i: u32 = 0; i < index.columnCount; i++) {
      const word = load<u32>(tailOf + 8 + (i << 2));
      const column = load<u32>(index.columns + (i << 2));
      if (isConstant(word)) addFilter(list, column, word);
      else if (key == NONE) {
        key = readable(word);
        list.keyColumn = column;
      } else return false;
    }
  }
  let checkWord = NONE;
  for (let i: u32 = 0; i < checks; i++) {
    const pair = pairs + ((binds + i) << 3);
    // Two columns of the row that must be equal: no list can tell.
    if (binds == 1 && load<u32>(pair, 4) == load<u32>(pairs, 4)) return false;
    if (isConstant(load<u32>(pair, 4))) addFilter(list, load<u32>(pair) >> 2, load<u32>(pair, 4));
    else if (checkWord == NONE && binds == 0) {
      checkWord = load<u32>(pair, 4);
      list.valueColumn = load<u32>(pair) >> 2;
    } else return false;
  }
  const match = load<u32>(pc, 20);
  if (binds > 1) return false;
  found *= fanOut(pc, relation);
  if (binds == 0 && checkWord == NONE) {
    // A solution counts as often as it is derived.
    if (isCounted && match == MATCH_EACH) return false;
    const op = addOp(DENSE_LISTED, pc);
    op.list = list;
    op.key = key;
    op.isAbsent = match == MATCH_ABSENT;
    return true;
  }
  if (match != MATCH_EACH) return false;
  const op = addOp(DENSE_LIST, pc);
  op.list = list;
  op.key = key;
  if (checkWord != NONE) {
    op.output = temporary();
    addSame(pc, op.output, checkWord);
  } else {
    list.valueColumn = load<u32>(pairs) >> 2;
    op.output = bind(registerOf(load<u32>(pairs, 4)));
  }
  return true;
}

/** True for a step that goes through rows as they stand: the first one, or one of many columns. */
function isScanned(pc: u32): bool {
  const binds = load<u32>(pc, 32);
  if (load<u32>(pc, 20) != MATCH_EACH || binds == 0) return false;
  const isScan = load<u32>(pc) == OP_SCAN;
  if (target.count != 0) return isScan && binds > 1;
  if (isScan) return true;
  const keys = pc + 40 + ((binds + load<u32>(pc, 36)) << 3);
  for (let i: u32 = 0; i < load<u32>(keys, 4); i++) {
    if (!isConstant(load<u32>(keys + 8 + (i << 2)))) return false;
  }
  return true;
}

function takeScan(pc: u32, relation: Relation): bool {
  const list = addList(relation);
  list.form = FORM_SCAN;
  const binds = load<u32>(pc, 32);
  const checks = load<u32>(pc, 36);
  list.pairs = claim((binds + checks) << 3);
  if (failed) return false;
  const pairs = pc + 40;
  if (load<u32>(pc) == OP_LOOKUP) {
    const keys = pairs + ((binds + checks) << 3);
    const index = changetype<ColumnIndex>(load<u32>(keys) as usize);
    for (let i: u32 = 0; i < index.columnCount; i++)
      addFilter(list, load<u32>(index.columns + (i << 2)), load<u32>(keys + 8 + (i << 2)));
  }
  const op = addOp(DENSE_SCAN, pc);
  op.list = list;
  for (let i: u32 = 0; i < binds; i++) {
    const pair = pairs + (i << 3);
    const register = bind(registerOf(load<u32>(pair, 4)));
    if (isUsed(register)) addPair(list, load<u32>(pair) >> 2, register);
  }
  for (let i: u32 = 0; i < checks; i++) {
    const pair = pairs + ((binds + i) << 3);
    const word = load<u32>(pair, 4);
    if (isConstant(word)) {
      addFilter(list, load<u32>(pair) >> 2, word);
      continue;
    }
    const register = temporary();
    addPair(list, load<u32>(pair) >> 2, register);
    addSame(pc, register, word);
  }
  found *= fanOut(pc, relation);
  return !failed;
}

function addPair(list: DenseList, column: u32, register: u32): void {
  const pair = list.pairs + (list.pairCount << 3);
  store<u32>(pair, column);
  store<u32>(pair, register, 4);
  list.pairCount += 1;
}

/** Rows, whether they stand as such or as bits. */
export function rowsOf(relation: Relation): f64 {
  return (relation.top + keptRows(relation)) as f64;
}

/** About how many rows a step finds each time. */
function fanOut(pc: u32, relation: Relation): f64 {
  const rows = rowsOf(relation);
  if (load<u32>(pc, 20) != MATCH_EACH) return 1;
  if (load<u32>(pc) == OP_SCAN) return rows;
  const keys = pc + 40 + ((load<u32>(pc, 32) + load<u32>(pc, 36)) << 3);
  const index = changetype<ColumnIndex>(load<u32>(keys) as usize);
  const groups = index.set.used;
  return groups == 0 ? sqrt(rows) : rows / (groups as f64);
}

function addList(relation: Relation): DenseList {
  const list = listAt(plan, plan.listCount);
  if (plan.listCount == LISTS_MAX - 1) failed = true;
  else plan.listCount += 1;
  list.relation = relation;
  list.keyColumn = NONE;
  list.valueColumn = NONE;
  list.filters = claim(relation.arity << 3);
  return list;
}

function addFilter(list: DenseList, column: u32, word: u32): void {
  if (list.filterCount == list.relation.arity) {
    failed = true;
    return;
  }
  const pair = list.filters + (list.filterCount << 3);
  store<u32>(pair, column);
  store<u32>(pair, load<u32>(version.frame + word), 4);
  list.filterCount += 1;
}

/** A lookup in a relation of the unit by one of its two columns. */
function takeOwnLookup(pc: u32, table: DenseTable): bool {
  if (table.relation.arity != 2 || load<u32>(pc) != OP_LOOKUP) return false;
  const binds = load<u32>(pc, 32);
  const checks = load<u32>(pc, 36);
  const pairs = pc + 40;
  const tailOf = pairs + ((binds + checks) << 3);
  const index = changetype<ColumnIndex>(load<u32>(tailOf) as usize);
  if (index.columnCount != 1 || binds + checks > 1) return false;
  const column = load<u32>(index.columns);
  const key = readable(load<u32>(tailOf, 8));
  const match = load<u32>(pc, 20);
  table.needsAll |= needBit(column);
  if (binds + checks == 0) {
    if (match == MATCH_ABSENT) return false;
    const op = addOp(DENSE_FILLED, pc);
    op.table = table;
    op.index = column;
    op.key = key;
    return true;
  }
  if (match != MATCH_EACH) return false;
  const op = addOp(DENSE_BITS, pc);
  op.table = table;
  op.index = column;
  op.key = key;
  if (checks == 1) {
    op.output = temporary();
    addSame(pc, op.output, load<u32>(pairs, 4));
  } else op.output = bind(registerOf(load<u32>(pairs, 4)));
  return true;
}

function takeProbe(pc: u32): bool {
  const relation = changetype<Relation>(load<u32>(pc, 8) as usize);
  const table = tableOf(relation);
  const arity = load<u32>(pc, 28);
  const isAbsent = load<u32>(pc, 16) != 0;
  if (changetype<usize>(table) == 0) {
    if (load<u32>(pc, 12) != VIEW_NEW) return false;
    if (isOnce && isImage(relation)) return takeImage(pc, relation, isAbsent);
    if (isOnce && hasUnlistedRows(relation)) return false;
    const registers = claim(max<u32>(arity << 2, 4));
    if (failed) return false;
    for (let i: u32 = 0; i < arity; i++) {
      store<u32>(registers + (i << 2), readable(load<u32>(pc + 32 + (i << 2))));
    }
    const op = addOp(DENSE_PROBE, pc);
    op.relation = relation;
    op.registers = registers;
    op.isAbsent = isAbsent;
    return true;
  }
  if (isAbsent) return false;
  const last = readable(load<u32>(pc + 32 + ((arity - 1) << 2)));
  const row = arity == 1 ? ROW_ZERO : readable(load<u32>(pc, 32));
  const op = addOp(DENSE_BIT, pc);
  op.table = table;
  op.key = row;
  op.output = last;
  table.needsAll |= needBit(0);
  return true;
}

/**
 * True for a relation whose rows become bits to be tested: when they are not many more than the
 * tests, or are in no set to be found by.
 */
function isImage(relation: Relation): bool {
  if (relation.arity == 0 || relation.arity > 2) return false;
  if (hasUnlistedRows(relation)) return true;
  if (isForcedToBits()) return (relation.handle & 1) == 0;
  return rowsOf(relation) < found * 4;
}

function takeImage(pc: u32, relation: Relation, isAbsent: bool): bool {
  const list = addList(relation);
  if (failed) return false;
  list.form = FORM_IMAGE;
  const isPair = relation.arity == 2;
  if (isPair) list.keyColumn = 0;
  list.valueColumn = isPair ? 1 : 0;
  const row = isPair ? readable(load<u32>(pc, 32)) : ROW_ZERO;
  const column = readable(load<u32>(pc + (isPair ? 36 : 32)));
  const op = addOp(DENSE_IMAGE, pc);
  op.list = list;
  op.key = row;
  op.output = column;
  op.isAbsent = isAbsent;
  return true;
}

function takeEmit(pc: u32): bool {
  const head = tableOf(version.head);
  if (changetype<usize>(head) == 0) return false;
  const from = pc + 16 + (load<u32>(pc, 8) << 2);
  const isUnary = head.relation.arity == 1;
  const left = isUnary ? ROW_ZERO : registerOf(load<u32>(from));
  const right = registerOf(load<u32>(from + (isUnary ? 0 : 4)));
  const back = load<u32>(pc, 4);
  if (tail != NONE) return emitRow(pc, head, left, right, tail, changetype<DenseOp>(0));
  const last = operationAt(target, target.count - 1);
  if (
    (last.kind == DENSE_BITS || last.kind == DENSE_LIST) &&
    last.output < TEMPORARY_FROM &&
    load<u32>(addresses + ((target.count - 1) << 2)) == back &&
    isOnlyInHead(last.output, pc)
  ) {
    // The loop over the last step's rows is one addition.
    target.count -= 1;
    return emitRow(pc, head, left, right, last.output, last);
  }
  const op = addOp(DENSE_EMIT_BIT, pc);
  op.head = head;
  op.key = isUnary ? ROW_ZERO : readable(load<u32>(from));
  op.output = readable(load<u32>(from + (isUnary ? 0 : 4)));
  return true;
}

/**
 * The end of a rule whose head column `added` takes a whole row: of the last lookup `last`, or,
 * without one, of the driving rows.
 */
function emitRow(
  pc: u32,
  head: DenseTable,
  left: u32,
  right: u32,
  added: u32,
  last: DenseOp,
): bool {
  const byFirst = right == added;
  const rowWord: u32 = (byFirst ? left : right) << 2;
  const isList = changetype<usize>(last) != 0 && last.kind == DENSE_LIST;
  if (isList || changetype<usize>(last) != 0) {
    // It takes the place of the lookup, and goes back where that one went.
    const lookupBack = last.back;
    const table = last.table;
    const list = last.list;
    const index = last.index;
    const key = last.key;
    const op = operationAt(target, target.count);
    target.count += 1;
    op.kind = isList ? DENSE_EMIT_LIST : DENSE_EMIT_ROW;
    op.back = lookupBack;
    op.table = table;
    op.list = list;
    op.index = index;
    op.key = key;
    op.addsTail = false;
    finishRow(op, head, byFirst, rowWord);
    return true;
  }
  const op = addOp(DENSE_EMIT_ROW, pc);
  op.addsTail = true;
  finishRow(op, head, byFirst, rowWord);
  return true;
}

function finishRow(op: DenseOp, head: DenseTable, byFirst: bool, rowWord: u32): void {
  op.head = head;
  op.headRow = rowWord >> 2 == ROW_ZERO ? ROW_ZERO : readable(rowWord);
  op.headIndex = byFirst ? 0 : 1;
  if (op.kind == DENSE_EMIT_LIST) return;
  head.needsNext |= needBit(op.headIndex);
  // New rows are best found by the column by which they come; the first column where both do.
  if (head.main == NONE || op.headIndex == 0) head.main = op.headIndex;
}
