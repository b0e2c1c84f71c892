/*
 * Weights beyond 24 bits: a small table from (relation, row) to what does not fit the row's meta
 * word. A row is here while it has more than 16 million derivations, or for a moment while the
 * losses of a transaction are counted before its gains. The table is a list: it is empty nearly
 * always.
 */
import { ROW_BASE, WEIGHT_SHIFT } from './abi';
import { Relation } from './row-store';
import { clearVector, createVector, push, reserveWords, setWordAt, Vector, wordAt } from './vector';

let entries: Vector = changetype<Vector>(0);
let saved: Vector = changetype<Vector>(0);

/** Quadruples: relation, id, low, high. */
const ENTRY_WORDS: u32 = 4;

export function initSideWeights(): bool {
  entries = createVector();
  saved = createVector();
  return changetype<usize>(entries) != 0 && changetype<usize>(saved) != 0;
}

function findEntry(relation: Relation, id: u32): i32 {
  const length = entries.length;
  for (let i: u32 = 0; i < length; i += ENTRY_WORDS) {
    if (wordAt(entries, i) == (changetype<usize>(relation) as u32) && wordAt(entries, i + 1) == id)
      return i as i32;
  }
  return -1;
}

/** What a row's weight is above its low 24 bits; may be negative inside a transaction. */
function sideWeight(relation: Relation, id: u32): i64 {
  if (entries.length == 0) return 0;
  const at = findEntry(relation, id);
  return at < 0 ? 0 : weightAt(at as u32);
}

function weightAt(at: u32): i64 {
  return ((wordAt(entries, at + 3) as i64) << 32) | (wordAt(entries, at + 2) as i64);
}

/** True when base rows or counted derivations hold the row. */
export function isHeld(relation: Relation, id: u32, meta: u32): bool {
  if ((meta & ROW_BASE) != 0 || meta >> WEIGHT_SHIFT != 0) return true;
  return sideWeight(relation, id) > 0;
}

export function addToSideWeight(relation: Relation, id: u32, change: i64): bool {
  let at = findEntry(relation, id);
  if (at < 0) {
    if (!reserveWords(entries, ENTRY_WORDS)) return false;
    at = entries.length as i32;
    push(entries, changetype<usize>(relation) as u32);
    push(entries, id);
    push(entries, 0);
    push(entries, 0);
  }
  setSideWeight(at as u32, weightAt(at as u32) + change);
  return true;
}

function setSideWeight(at: u32, weight: i64): void {
  if (weight != 0) {
    setWordAt(entries, at + 2, weight as u32);
    setWordAt(entries, at + 3, (weight >> 32) as u32);
    return;
  }
  removeEntry(at);
}

function removeEntry(at: u32): void {
  const last = entries.length - ENTRY_WORDS;
  for (let i: u32 = 0; i < ENTRY_WORDS; i++) setWordAt(entries, at + i, wordAt(entries, last + i));
  entries.length = last;
}

/** Keeps the table for a rollback; it is empty nearly always. */
export function saveSideWeights(): bool {
  clearVector(saved);
  if (!reserveWords(saved, entries.length)) return false;
  for (let i: u32 = 0; i < entries.length; i++) push(saved, wordAt(entries, i));
  return true;
}

export function restoreSideWeights(): void {
  entries.length = 0;
  for (let i: u32 = 0; i < saved.length; i++) push(entries, wordAt(saved, i));
}

/** A relation goes, or its weights are counted anew: so do its entries. */
export function dropSideWeights(relation: Relation): void {
  let at: u32 = 0;
  while (at < entries.length) {
    if (wordAt(entries, at) == (changetype<usize>(relation) as u32)) removeEntry(at);
    else at += ENTRY_WORDS;
  }
}
