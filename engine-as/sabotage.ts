/*
 * A mechanism that tests switch off, to show what depends on it: 1 = ranks (rounds in their place),
 * 2 = evaluation from scratch in place of maintenance, 3 = the collection of values, 4 = candidates
 * beside the best row of a group (min, max, argmin, argmax), 5 = ranks between equal values of a
 * best table, 6 = how many rows of a group have a collected value, 7 = ranks of rows that stand
 * when a table is evaluated anew over bits, 8 = a second look at what a hash finds first, 9 = tests
 * that wait for finished rows of bits, 10 = weights of rows that were found over bits, 11 = new
 * marks of an intersection for a new key.
 */
export const SABOTAGE_RANKS: u32 = 1;
export const SABOTAGE_RECOMPUTE: u32 = 2;
export const SABOTAGE_COLLECTION: u32 = 3;
export const SABOTAGE_CANDIDATES: u32 = 4;
export const SABOTAGE_TIES: u32 = 5;
export const SABOTAGE_COLLECTED: u32 = 6;
export const SABOTAGE_STANDING: u32 = 7;
export const SABOTAGE_FIRST_FOUND: u32 = 8;
export const SABOTAGE_FILTERS: u32 = 9;
export const SABOTAGE_WEIGHTS: u32 = 10;
export const SABOTAGE_MARKS: u32 = 11;

/** SABOTAGE_…, or 0 for none. */
export let sabotage: u32 = 0;

export function setSabotage(kind: u32): void {
  sabotage = kind;
}
