/*
 * Solutions that an aggregate takes as its rule derives or loses them; they stand nowhere. Each has
 * one derivation, and only counts, sums and means are asked for. What a transaction took is
 * logged, unless all of the aggregate is new, and taken back at a rollback.
 */
import { STATUS_OUT_OF_MEMORY } from './abi';
import { aggregateRow, AggregateState, countRows } from './aggregate';
import { AggregatePlan } from './program';
import { push, reserveWords, wordAt } from './vector';

const cellBuffer: u32 = memory.data(64 * 4, 8) as u32;
let streamPlan: AggregatePlan = changetype<AggregatePlan>(0);
let streamState: AggregateState = changetype<AggregateState>(0);
let isLogged: bool = false;

/** Says what `streamRow` feeds; `logged` where a rollback has to take it back. */
export function openStream(plan: AggregatePlan, state: AggregateState, logged: bool): void {
  streamPlan = plan;
  streamState = state;
  isLogged = logged;
}

/** Takes in a solution that a rule derived, or lost. */
export function streamRow(cells: u32, sign: i32): u32 {
  const log = streamState.log;
  const arity = streamPlan.input.arity;
  if (isLogged && !reserveWords(log, arity + 1)) return STATUS_OUT_OF_MEMORY;
  const status = aggregateRow(streamPlan, streamState, cells, sign < 0);
  if (status != 0 || !isLogged) return status;
  push(log, sign as u32);
  for (let i: u32 = 0; i < arity; i++) push(log, load<u32>(cells + (i << 2)));
  return 0;
}

/** Takes in as many solutions of a new aggregate that only counts. */
export function streamRows(cells: u32, count: u32): u32 {
  return countRows(streamPlan, streamState, cells, count);
}

/** Gives back what the running transaction took in, in front of `restoreGroups`. */
export function takeBackStream(plan: AggregatePlan, state: AggregateState): void {
  const words = plan.input.arity + 1;
  for (let at: u32 = 0; at < state.log.length; at += words) {
    for (let i: u32 = 1; i < words; i++)
      store<u32>(cellBuffer + ((i - 1) << 2), wordAt(state.log, at + i));
    aggregateRow(plan, state, cellBuffer, (wordAt(state.log, at) as i32) > 0);
  }
}
