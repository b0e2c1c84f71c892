/*
 * Hashes: unseeded, the same on every machine, over words or bytes. Multiply and fold, after wyhash
 * (Wang Yi, 2019), reduced to one multiplication a word. Collisions cost time, never a wrong
 * answer.
 */

const PRIME_1: u64 = 0x9e3779b97f4a7c15;
const PRIME_2: u64 = 0xd6e8feb86659fd93;

export function mix(state: u64, word: u64): u64 {
  const product = (state ^ word) * PRIME_1;
  return product ^ (product >> 32);
}

/** Last step: all bits of the state reach all 32 bits of the hash. */
export function finish(state: u64): u32 {
  const product = state * PRIME_2;
  return (product >> 32) as u32;
}

export function hashBytes64(pointer: u32, length: u32, seed: u64): u64 {
  let state = seed ^ ((length as u64) * PRIME_2);
  let rest = length;
  while (rest >= 8) {
    state = mix(state, load<u64>(pointer));
    pointer += 8;
    rest -= 8;
  }
  if (length < 8) return mix(state, shortWord(pointer, length));
  // The bytes before the rest are of the same string.
  const tail: u64 = rest == 0 ? 0 : load<u64>(pointer + rest - 8) >> ((64 - (rest << 3)) as u64);
  return mix(state, tail);
}

/** Up to 8 bytes as a word, the first one lowest, zeros behind them. */
export function shortWord(pointer: u32, length: u32): u64 {
  if (length >= 4) {
    const high = (load<u32>(pointer + length - 4) as u64) << (((length - 4) << 3) as u64);
    return (load<u32>(pointer) as u64) | high;
  }
  if (length == 0) return 0;
  const middle = (load<u8>(pointer + (length >> 1)) as u64) << (((length >> 1) << 3) as u64);
  const last = (load<u8>(pointer + length - 1) as u64) << (((length - 1) << 3) as u64);
  return (load<u8>(pointer) as u64) | middle | last;
}

/**
 * Hash of `count` cells. Of one cell it is a bijection (after Chris Wellons' lowbias32), so equal
 * hashes are equal cells. Of more, the top bits come from the first cell alone: rows that begin
 * alike stand in few shards of a set (id-set.ts), and a loop that gives them one after another
 * stays in the cache.
 */
export function hashCells(pointer: u32, count: u32): u32 {
  if (count == 1) return hashCell(load<u32>(pointer));
  if (count == 0) return 0;
  const first = load<u32>(pointer);
  let state = mix(count as u64, first as u64);
  if (count == 2) state = mix(state, load<u32>(pointer, 4) as u64);
  else {
    const end = pointer + (count << 2);
    for (let at = pointer + 4; at < end; at += 4) state = mix(state, load<u32>(at) as u64);
  }
  return ((first * 0x9e3779b1) & FIRST_CELL_BITS) | (finish(state) & ~FIRST_CELL_BITS);
}

/** Rows of one first cell stand in 8 of the 256 shards. */
const FIRST_CELL_BITS: u32 = 0xf8000000;

function hashCell(cell: u32): u32 {
  let hash = cell ^ (cell >> 16);
  hash *= 0x7feb352d;
  hash ^= hash >> 15;
  hash *= 0x846ca68b;
  return hash ^ (hash >> 16);
}
