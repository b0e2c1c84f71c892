/*
 * Rules outside recursion over bits (dense-once.ts): of a counting unit, whose heads are rows of
 * bits, and of an aggregate that takes solutions as they come.
 *
 * Tests behind the last lookup that read nothing but the head's columns wait until a row of bits is
 * finished. Then a negated table is taken away from the whole row, and the last lookup is free to
 * add all of its values at once:
 *
 *     flow(p, q) :- up(p, s), reach(s, t), up(q, t), p != q, not blocked(p, q)
 */
import { AGGREGATE_COUNT, RELATION_POSITIONS, UNIT_AGGREGATE, VERSION_FULL } from './abi';
import { Arena, arenaAllocate } from './arena';
import {
  DENSE_COMPARE,
  DENSE_EMIT_BIT,
  DENSE_EMIT_COUNT,
  DENSE_EMIT_LIST,
  DENSE_EMIT_SOLUTION,
  DENSE_IMAGE,
  DENSE_LIST,
  DENSE_LISTED,
  DENSE_MOVE,
  DENSE_PROBE,
  DENSE_SAME,
  DENSE_SCAN,
  DenseOp,
  DensePlan,
  DenseTable,
  DenseVersion,
  denseVersionAt,
  needBit,
  NONE,
  operationAt,
  ROW_ZERO,
  tableAt,
} from './dense-plan';
import {
  addOp,
  isConstantRegister,
  isHeadColumn,
  isTranslated,
  isUsed,
  lastAddress,
  openPlan,
  readable,
  target,
  translateOnce,
} from './dense-translate';
import { AggregatePlan, Unit, unitRelation, versionAt } from './program';
import { Relation } from './row-store';

/** The aggregate at hand adds nothing up. */
let onlyCounts: bool = false;

/** Deletes need weights, and they need positions. */
export function needsWeights(head: Relation): bool {
  return (head.flags & RELATION_POSITIONS) != 0;
}

/** Rows of bits are by the head's second column. */
let isTurned: bool = false;

/** Each rule of the unit once; null where its rules do not allow it. */
export function planOnce(unit: Unit, arena: Arena): DensePlan {
  isTurned = false;
  const plan = planAs(unit, arena);
  if (changetype<usize>(plan) == 0 || plan.tableCount == 0 || !isBetterTurned(plan)) return plan;
  isTurned = true;
  return planAs(unit, arena);
}

/** True where a rule gives one value for the second column, and none does so for the first. */
function isBetterTurned(plan: DensePlan): bool {
  const head = tableAt(plan, 0).relation;
  if (head.arity != 2 || needsWeights(head)) return false;
  let isBetter: bool = false;
  for (let i: u32 = 0; i < plan.versionCount; i++) {
    const version = denseVersionAt(plan, i);
    if (isConstantOf(version, version.headRow)) return false;
    if (isConstantOf(version, version.headColumn)) isBetter = true;
  }
  return isBetter;
}

/** True for a register that the rule gives a value of its own. */
export function isConstantOf(version: DenseVersion, register: u32): bool {
  for (let i: u32 = 0; i < version.constantCount; i++)
    if (load<u32>(version.constants + (i << 3)) == register) return true;
  return false;
}

function planAs(unit: Unit, arena: Arena): DensePlan {
  const none = changetype<DensePlan>(0);
  const isAggregate = unit.kind == UNIT_AGGREGATE;
  const arity = isAggregate ? 0 : unitRelation(unit, 0).arity;
  if (!isAggregate && (unit.relationCount != 1 || arity == 0 || arity > 2)) return none;
  const plan = openPlan(unit, arena, isAggregate ? 0 : 1);
  if (changetype<usize>(plan) == 0) return none;
  onlyCounts = true;
  const columns = isAggregate
    ? columnsOf(changetype<AggregatePlan>(unit.aggregate as usize))
    : ~(<u64>0);
  for (let i: u32 = 0; i < unit.versionCount; i++) {
    const version = versionAt(unit, i);
    if (version.purpose != VERSION_FULL) continue;
    const isCounted = isAggregate || needsWeights(version.head);
    const emitPc = translateOnce(version, columns, isCounted);
    if (emitPc == 0) return none;
    if (isAggregate) takeSolution(emitPc, version.head.arity, arena);
    else takeHead(emitPc, tableAt(plan, 0));
    if (!isTranslated()) return none;
  }
  if (!isAggregate) {
    const table = tableAt(plan, 0);
    table.main = isTurned ? 1 : 0;
    table.needsNext = needBit(table.main);
    table.needsAll = needBit(table.main);
  }
  return plan;
}

/** Columns of an aggregate's input that matter: of groups, and those that are added up. */
function columnsOf(aggregate: AggregatePlan): u64 {
  let columns: u64 = 0;
  for (let i: u32 = 0; i < aggregate.groupCount; i++) {
    const column = load<u32>(aggregate.groupColumns + (i << 2));
    columns |= columnBit(column);
  }
  for (let i: u32 = 0; i < aggregate.aggregateCount; i++) {
    const at = aggregate.aggregates + i * 12;
    if (load<u32>(at) == AGGREGATE_COUNT) continue;
    columns |= columnBit(load<u32>(at, 4));
    onlyCounts = false;
  }
  return columns;
}

function columnBit(column: u32): u64 {
  return (<u64>1) << (column as u64);
}

/* Solutions. */

function takeSolution(pc: u32, arity: u32, arena: Arena): void {
  const last = lastOperation();
  const isCounted =
    onlyCounts &&
    changetype<usize>(last) != 0 &&
    last.kind == DENSE_LIST &&
    lastAddress(target.count - 1) == load<u32>(pc, 4) &&
    !isUsed(last.output);
  let op = last;
  if (isCounted) {
    // Nobody asks for the values: how many there are is enough.
    op.kind = DENSE_EMIT_COUNT;
    op.list.valueColumn = NONE;
  } else op = addOp(DENSE_EMIT_SOLUTION, pc);
  op.solutionArity = arity;
  op.registers = arenaAllocate(arena, max<u32>(arity << 2, 4));
  if (op.registers == 0 || !isTranslated()) return;
  const from = pc + 16 + (load<u32>(pc, 8) << 2);
  for (let i: u32 = 0; i < arity; i++) {
    const register = isHeadColumn(i) ? readable(load<u32>(from + (i << 2))) : NONE;
    store<u32>(op.registers + (i << 2), register);
  }
}

function lastOperation(): DenseOp {
  return target.count == 0 ? changetype<DenseOp>(0) : operationAt(target, target.count - 1);
}

/* Heads. */

function takeHead(pc: u32, head: DenseTable): void {
  const from = pc + 16 + (load<u32>(pc, 8) << 2);
  const isUnary = head.relation.arity == 1;
  const first = isUnary ? ROW_ZERO : readable(load<u32>(from));
  const second = readable(load<u32>(from + (isUnary ? 0 : 4)));
  target.headRow = isTurned ? second : first;
  target.headColumn = isTurned ? first : second;
  target.filterFrom = target.count;
  let behind = target.count;
  while (behind > 0 && mayWait(operationAt(target, behind - 1))) behind -= 1;
  if (behind > 0 && first != second) {
    const last = operationAt(target, behind - 1);
    const isAdded = last.kind == DENSE_LIST && (last.output == first || last.output == second);
    if (isAdded && lastAddress(behind - 1) == load<u32>(pc, 4)) {
      last.kind = DENSE_EMIT_LIST;
      last.head = head;
      last.headIndex = last.output == second ? 0 : 1;
      last.headRow = last.output == second ? first : second;
      target.filterFrom = behind;
      target.filterCount = target.count - behind;
      for (let i = behind; i < target.count; i++) turnImage(operationAt(target, i));
      return;
    }
  }
  const op = addOp(DENSE_EMIT_BIT, pc);
  target.filterFrom = target.count;
  op.head = head;
  op.key = first;
  op.output = second;
}

/** True for a test of the head's columns and constants. */
function mayWait(op: DenseOp): bool {
  if (op.kind <= DENSE_SCAN || op.kind >= DENSE_MOVE) return false;
  switch (op.kind as i32) {
    case DENSE_SAME:
    case DENSE_COMPARE:
    case DENSE_IMAGE:
      return isOfHead(op.key) && isOfHead(op.output);
    case DENSE_LISTED:
      return op.key == NONE || isOfHead(op.key);
    case DENSE_PROBE: {
      for (let i: u32 = 0; i < op.relation.arity; i++)
        if (!isOfHead(load<u32>(op.registers + (i << 2)))) return false;
      return true;
    }
    default:
      return false;
  }
}

function isOfHead(register: u32): bool {
  return (
    register == target.headRow ||
    register == target.headColumn ||
    register == ROW_ZERO ||
    isConstantRegister(register)
  );
}

/** Rows of the image are to be those of the head. */
function turnImage(op: DenseOp): void {
  const column = target.headColumn;
  if (op.kind != DENSE_IMAGE || op.key != column || op.output == column) return;
  op.key = op.output;
  op.output = column;
  const list = op.list;
  const keyColumn = list.keyColumn;
  list.keyColumn = list.valueColumn;
  list.valueColumn = keyColumn;
}
