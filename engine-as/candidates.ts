/*
 * Rows whose support may be gone, handed out in ascending rank: a binary heap of (rank, relation,
 * id). Ascending order is what makes one check enough: all rows that could support a candidate have
 * smaller ranks and are settled when its turn comes.
 */
import { ROW_QUEUED } from './abi';
import { Relation, rowAddress } from './row-store';
import { clearVector, createVector, push, reserveWords, setWordAt, Vector, wordAt } from './vector';

let heap: Vector = changetype<Vector>(0);

/** Triples: rank, relation, id. */
const ENTRY_WORDS: u32 = 3;

export function initCandidates(): bool {
  heap = createVector();
  return changetype<usize>(heap) != 0;
}

export function candidateCount(): u32 {
  return heap.length / ENTRY_WORDS;
}

function copyEntry(from: u32, to: u32): void {
  setWordAt(heap, to * 3, wordAt(heap, from * 3));
  setWordAt(heap, to * 3 + 1, wordAt(heap, from * 3 + 1));
  setWordAt(heap, to * 3 + 2, wordAt(heap, from * 3 + 2));
}

function putEntry(at: u32, rank: u32, relation: u32, id: u32): void {
  setWordAt(heap, at * 3, rank);
  setWordAt(heap, at * 3 + 1, relation);
  setWordAt(heap, at * 3 + 2, id);
}

export function queueCandidate(relation: Relation, id: u32, rank: u32): bool {
  if (!reserveWords(heap, ENTRY_WORDS)) return false;
  let at = candidateCount();
  push(heap, 0);
  push(heap, 0);
  push(heap, 0);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (wordAt(heap, parent * 3) <= rank) break;
    copyEntry(parent, at);
    at = parent;
  }
  putEntry(at, rank, changetype<usize>(relation) as u32, id);
  return true;
}

/** Of the candidate with the smallest rank; there is one. */
export function firstRank(): u32 {
  return wordAt(heap, 0);
}
export function firstRelation(): Relation {
  return changetype<Relation>(wordAt(heap, 1) as usize);
}
export function firstId(): u32 {
  return wordAt(heap, 2);
}

export function dropFirst(): void {
  const count = candidateCount() - 1;
  const rank = wordAt(heap, count * 3);
  const relation = wordAt(heap, count * 3 + 1);
  const id = wordAt(heap, count * 3 + 2);
  heap.length -= ENTRY_WORDS;
  if (count == 0) return;
  let at: u32 = 0;
  while (true) {
    let child = (at << 1) + 1;
    if (child >= count) break;
    if (child + 1 < count && wordAt(heap, (child + 1) * 3) < wordAt(heap, child * 3)) child += 1;
    if (wordAt(heap, child * 3) >= rank) break;
    copyEntry(child, at);
    at = child;
  }
  putEntry(at, rank, relation, id);
}

/** Gives up: the rows that wait are no longer marked. */
export function dropCandidates(): void {
  for (let i: u32 = 0; i < heap.length; i += ENTRY_WORDS) {
    const row = rowAddress(changetype<Relation>(wordAt(heap, i + 1) as usize), wordAt(heap, i + 2));
    store<u32>(row, load<u32>(row) & ~ROW_QUEUED);
  }
  clearVector(heap);
}

export function clearCandidates(): void {
  clearVector(heap);
}
