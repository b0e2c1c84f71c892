/*
 * The output rows of an aggregate's groups: written when all that changed has been taken in.
 */
import { RELATION_POSITIONS, STATUS_OUT_OF_MEMORY } from './abi';
import { AggregateState, computeOutput, FLAG_OUTPUT, outputAt } from './aggregate';
import { FAILED } from './compute';
import { countAppended, emitNow, MODE_COUNT, MODE_COUNT_FRESH } from './emit';
import { leaveUnlisted } from './listing';
import { AggregatePlan } from './program';
import { appendRow } from './relation';
import { Relation, rowAddress } from './row-store';
import { internInt } from './value-table';
import { wordAt } from './vector';

const rowBuffer: u32 = memory.data(64 * 4, 8) as u32;

/**
 * One row of output, or for each failed aggregate one of errors: the group and the aggregate's
 * number.
 */
function emitRow(plan: AggregatePlan, state: AggregateState, id: u32, output: u32, sign: i32): u32 {
  const groupBytes = plan.groupCount << 2;
  memory.copy(rowBuffer, rowAddress(state.groups, id) + state.groups.cellsAt, groupBytes);
  if (!hasFailed(output, state.aggregateCount)) {
    if (sign > 0 && plan.groupCount == 1 && isAppended(plan.output)) {
      leaveUnlisted(plan.output);
      const isThere = appendRow(plan.output, load<u32>(rowBuffer), load<u32>(output), 0);
      return isThere ? countAppended(plan.output, 1, 0) : (STATUS_OUT_OF_MEMORY as u32);
    }
    memory.copy(rowBuffer + groupBytes, output, plan.aggregateCount << 2);
    return emitNow(plan.output.fresh ? MODE_COUNT_FRESH : MODE_COUNT, plan.output, rowBuffer, sign);
  }
  if (changetype<usize>(plan.errors) == 0) return 0;
  for (let i: u32 = 0; i < state.aggregateCount; i++) {
    if (load<u32>(output + (i << 2)) != FAILED) continue;
    store<u32>(rowBuffer + groupBytes, internInt(i as i64));
    const mode = plan.errors.fresh ? MODE_COUNT_FRESH : MODE_COUNT;
    const status = emitNow(mode, plan.errors, rowBuffer, sign);
    if (status != 0) return status;
  }
  return 0;
}

/** Each group has a row of its own: in a new relation of a batch none has to be looked for. */
function isAppended(output: Relation): bool {
  return output.fresh && output.arity == 2 && (output.flags & RELATION_POSITIONS) == 0;
}

function hasFailed(output: u32, aggregateCount: u32): bool {
  for (let i: u32 = 0; i < aggregateCount; i++)
    if (load<u32>(output + (i << 2)) == FAILED) return true;
  return false;
}

const formerOutput: u32 = memory.data(64 * 4, 8) as u32;

/** Brings the output rows of one touched group (by its place in the list) up to date. */
export function updateGroup(plan: AggregatePlan, state: AggregateState, place: u32): u32 {
  const words = 2 + state.aggregateCount;
  const id = wordAt(state.touched, place * words);
  const hadOutput = wordAt(state.touched, place * words + 1) != 0;
  const group = wordAt(state.states, id);
  const output = outputAt(state, group);
  for (let i: u32 = 0; i < state.aggregateCount; i++) {
    store<u32>(formerOutput + (i << 2), wordAt(state.touched, place * words + 2 + i));
  }
  const hasRows = load<u32>(group) != 0;
  if (hasRows && !computeOutput(plan, state, id, group)) return STATUS_OUT_OF_MEMORY;
  const bytes = state.aggregateCount << 2;
  const flags = load<u32>(group, 4) & ~FLAG_OUTPUT;
  store<u32>(group, hasRows ? flags | FLAG_OUTPUT : flags, 4);
  if (hadOutput && hasRows && memory.compare(formerOutput, output, bytes) == 0) return 0;
  if (hadOutput) {
    const status = emitRow(plan, state, id, formerOutput, -1);
    if (status != 0) return status;
  }
  if (!hasRows) return 0;
  return emitRow(plan, state, id, output, 1);
}
