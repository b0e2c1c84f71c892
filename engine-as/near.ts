/*
 * Brings rows near before they are worked at: a loop that does nothing but load waits for many of
 * them at a time, where one that branches on what it finds waits for each (wasm has no prefetch
 * instruction).
 */
import { Relation, rowAddress } from './row-store';
import { Vector, wordAt } from './vector';

/** Rows that are brought near at a time: as many as stay there until their turn comes. */
export const NEAR_ROWS: u32 = 64;

/** Keeps the touching loads alive. */
let touchSum: u32 = 0;

/** Rows of a list of words of which each `step`-th holds an id above its lowest `shift` bits. */
export function nearRows(
  relation: Relation,
  list: Vector,
  from: u32,
  to: u32,
  step: u32,
  shift: u32,
): void {
  let sum: u32 = 0;
  for (let i = from; i < to; i += step)
    sum += load<u32>(rowAddress(relation, wordAt(list, i) >> shift));
  touchSum += sum;
}

/** Loads at the address that stands `offset` behind each record of a list. */
export function nearAddresses(from: u32, to: u32, recordBytes: u32, offset: u32): void {
  let sum: u32 = 0;
  for (let at = from + offset; at < to; at += recordBytes) sum += load<u32>(load<u32>(at));
  touchSum += sum;
}
