/*
 * A growing list of 32-bit words in chunks of 4096, so that growth never copies what is there.
 *
 *   directory ─► [chunk][chunk]…      word i = chunk[i >> 12][i & 4095]
 */
import { allocate, allocateZeroed, release } from './memory';

const CHUNK_SHIFT: u32 = 12;
const CHUNK_WORDS: u32 = 1 << CHUNK_SHIFT;
const CHUNK_MASK: u32 = CHUNK_WORDS - 1;
const FIRST_WORDS: u32 = 16;

@unmanaged
export class Vector {
  directory: u32;
  directoryWords: u32;
  /** Words in use. */
  length: u32;
  /** Words there is room for. */
  capacity: u32;
}

export function createVector(): Vector {
  return changetype<Vector>(allocateZeroed(offsetof<Vector>()) as usize);
}

function chunkBytes(capacity: u32): u32 {
  return min(capacity, CHUNK_WORDS) << 2;
}

/** Room for one more word: the first chunk doubles up to 4096 words, then whole chunks follow. */
function growVector(vector: Vector): bool {
  if (vector.capacity < CHUNK_WORDS) {
    const words = vector.capacity == 0 ? FIRST_WORDS : vector.capacity << 1;
    if (vector.directory == 0) {
      vector.directory = allocate(16);
      if (vector.directory == 0) return false;
      vector.directoryWords = 4;
      store<u32>(vector.directory, 0);
    }
    const chunk = allocate(words << 2);
    if (chunk == 0) return false;
    const old = load<u32>(vector.directory);
    if (old != 0) {
      memory.copy(chunk, old, vector.capacity << 2);
      release(old, vector.capacity << 2);
    }
    store<u32>(vector.directory, chunk);
    vector.capacity = words;
    return true;
  }
  const index = vector.capacity >> CHUNK_SHIFT;
  if (index == vector.directoryWords) {
    const wider = allocate(index << 3);
    if (wider == 0) return false;
    memory.copy(wider, vector.directory, index << 2);
    release(vector.directory, index << 2);
    vector.directory = wider;
    vector.directoryWords = index << 1;
  }
  const chunk = allocate(CHUNK_WORDS << 2);
  if (chunk == 0) return false;
  store<u32>(vector.directory + (index << 2), chunk);
  vector.capacity += CHUNK_WORDS;
  return true;
}

export function push(vector: Vector, word: u32): bool {
  const index = vector.length;
  if (index == vector.capacity && !growVector(vector)) return false;
  store<u32>(
    load<u32>(vector.directory + ((index >> CHUNK_SHIFT) << 2)) + ((index & CHUNK_MASK) << 2),
    word,
  );
  vector.length = index + 1;
  return true;
}

/** All three words or, without memory, none. */
export function pushThree(vector: Vector, first: u32, second: u32, third: u32): bool {
  const index = vector.length;
  if (vector.capacity - index >= 3 && (index & CHUNK_MASK) < CHUNK_WORDS - 2) {
    const at =
      load<u32>(vector.directory + ((index >> CHUNK_SHIFT) << 2)) + ((index & CHUNK_MASK) << 2);
    store<u32>(at, first);
    store<u32>(at, second, 4);
    store<u32>(at, third, 8);
    vector.length = index + 3;
    return true;
  }
  if (!reserveWords(vector, 3)) return false;
  push(vector, first);
  push(vector, second);
  return push(vector, third);
}

/** Room for `count` more words, so that as many pushes cannot fail. */
export function reserveWords(vector: Vector, count: u32): bool {
  while (vector.capacity - vector.length < count) if (!growVector(vector)) return false;
  return true;
}

export function wordAt(vector: Vector, index: u32): u32 {
  return load<u32>(
    load<u32>(vector.directory + ((index >> CHUNK_SHIFT) << 2)) + ((index & CHUNK_MASK) << 2),
  );
}

export function setWordAt(vector: Vector, index: u32, word: u32): void {
  store<u32>(
    load<u32>(vector.directory + ((index >> CHUNK_SHIFT) << 2)) + ((index & CHUNK_MASK) << 2),
    word,
  );
}

/** Empties the list; chunks beyond the first are given back. */
export function clearVector(vector: Vector): void {
  while (vector.capacity > CHUNK_WORDS) {
    vector.capacity -= CHUNK_WORDS;
    release(
      load<u32>(vector.directory + ((vector.capacity >> CHUNK_SHIFT) << 2)),
      CHUNK_WORDS << 2,
    );
  }
  vector.length = 0;
}

export function destroyVector(vector: Vector): void {
  clearVector(vector);
  if (vector.directory != 0) {
    release(load<u32>(vector.directory), chunkBytes(vector.capacity));
    release(vector.directory, vector.directoryWords << 2);
  }
  release(changetype<usize>(vector) as u32, offsetof<Vector>() as u32);
}
