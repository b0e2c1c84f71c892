/* Blocks that live and die together: a decoded program. Bump allocation, freed as a whole. */
import { allocate, release } from './memory';

const BLOCK_BYTES: u32 = 0x4000;
/** A block begins with [next block][bytes of this one]. */
const HEADER_BYTES: u32 = 8;

@unmanaged
export class Arena {
  block: u32;
  used: u32;
}

/** Zeroed, 8-byte aligned; 0 without memory. */
export function arenaAllocate(arena: Arena, bytes: u32): u32 {
  const size = (bytes + 7) & ~7;
  if (arena.block == 0 || arena.used + size > load<u32>(arena.block, 4)) {
    const blockBytes = max(BLOCK_BYTES, size + HEADER_BYTES);
    const block = allocate(blockBytes);
    if (block == 0) return 0;
    store<u32>(block, arena.block);
    store<u32>(block, blockBytes, 4);
    arena.block = block;
    arena.used = HEADER_BYTES;
  }
  const address = arena.block + arena.used;
  arena.used += size;
  memory.fill(address, 0, size);
  return address;
}

export function releaseArena(arena: Arena): void {
  let block = arena.block;
  while (block != 0) {
    const next = load<u32>(block);
    release(block, load<u32>(block, 4));
    block = next;
  }
  arena.block = 0;
}
