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

/** Hash of `count` cells. */
export function hashCells(pointer: u32, count: u32): u32 {
  if (count == 2) {
    return finish(mix(mix(2, load<u32>(pointer) as u64), load<u32>(pointer, 4) as u64));
  }
  let state: u64 = count as u64;
  const end = pointer + (count << 2);
  while (pointer < end) {
    state = mix(state, load<u32>(pointer) as u64);
    pointer += 4;
  }
  return finish(state);
}
