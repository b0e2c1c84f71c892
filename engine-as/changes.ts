/*
 * The relations that the open transaction changed or made, by handle, each once and in the order of
 * its first change: what a commit or rollback has to go through, and where the units begin. So a
 * small transaction costs what it changes, whatever the number of relations.
 */
import { Relation } from './row-store';
import { createVector, push, setWordAt, Vector, wordAt } from './vector';

let changed: Vector = changetype<Vector>(0);

export function initChanges(): bool {
  changed = createVector();
  return changetype<usize>(changed) != 0;
}

export function changedCount(): u32 {
  return changed.length;
}

export function changedHandle(place: u32): u32 {
  return wordAt(changed, place);
}

/** Before the first change of a relation in a transaction, and when it is made. */
export function noteChange(relation: Relation): bool {
  if (relation.noted) return true;
  if (!push(changed, relation.handle)) return false;
  relation.noted = true;
  return true;
}

/** Goes on with the first `count` handles only; the others are of the past. */
export function keepChanges(count: u32): void {
  changed.length = count;
}

export function setChangedHandle(place: u32, handle: u32): void {
  setWordAt(changed, place, handle);
}
