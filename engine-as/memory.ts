/*
 * Blocks of linear memory. Sizes up to 32 KiB come from size classes (powers of two and halfway
 * between), larger ones are runs of 64 KiB pages, first fit in address order, joined when they are
 * given back. Memory grows in large steps, because one `memory.grow` costs half a millisecond.
 *
 * Nothing traps when memory ends: `allocate` answers 0, or, for a small block, takes it from a
 * reserve and raises `memoryLow`, so that a structure is never left half changed. Whoever runs a
 * transaction looks at `memoryLow` after each insert, gives up, rolls back and calls
 * `refillReserve`.
 *
 * Pages of a size class go back to the free runs only when memory ends: then all pages without a
 * block in use are found by counting. So what a failed transaction took small serves the next one
 * in any size.
 */

const PAGE_BYTES: u32 = 0x10000;
const SMALL_BYTES_MAX: u32 = 0x8000;
const RESERVE_PAGES: u32 = 32;
/** With less than this no transaction begins. */
const RESERVE_PAGES_MIN: u32 = 8;
const GROW_PAGES_MIN: u32 = 256;
const CLASS_COUNT: u32 = 24;

/** Raised when the reserve was touched; the transaction must end. */
export let memoryLow: bool = false;
/** Memory ended since the last collection of values began. */
export let memoryEnded: bool = false;
/** Bytes in blocks handed out. */
export let bytesInUse: u64 = 0;

let pageLimit: u32 = 65536;
let freeRuns: u32 = 0;
/** Runs of the reserve, linked like free runs. */
let reserve: u32 = 0;
let reservePages: u32 = 0;
/** A u16 for each page, all 0 but within `reclaimPages`. */
let freeBlocks: u32 = 0;
const classHeads: u32 = memory.data(CLASS_COUNT * 4, 4) as u32;

/** Keeps the reserve; `pagesMax` bounds the whole memory (0: no bound but the 4 GiB of WASM). */
export function initMemory(pagesMax: u32): bool {
  if (pagesMax != 0) pageLimit = min<u32>(pagesMax, 65536);
  memoryLow = false;
  const pages = ((pageLimit << 1) + PAGE_BYTES - 1) >> 16;
  freeBlocks = allocatePages(pages);
  if (freeBlocks == 0) return false;
  memory.fill(freeBlocks, 0, pages << 16);
  return refillReserve();
}

/** A free run begins with [next run][pages]. Runs are kept in address order and never touch. */
function releasePages(start: u32, pages: u32): void {
  let before: u32 = 0;
  let after = freeRuns;
  while (after != 0 && after < start) {
    before = after;
    after = load<u32>(after);
  }
  if (after != 0 && start + pages * PAGE_BYTES == after) {
    pages += load<u32>(after, 4);
    after = load<u32>(after);
  }
  if (before != 0 && before + load<u32>(before, 4) * PAGE_BYTES == start) {
    store<u32>(before, after);
    store<u32>(before, load<u32>(before, 4) + pages, 4);
    return;
  }
  store<u32>(start, after);
  store<u32>(start, pages, 4);
  if (before != 0) store<u32>(before, start);
  else freeRuns = start;
}

function takePages(pages: u32): u32 {
  let before: u32 = 0;
  let run = freeRuns;
  while (run != 0) {
    const length = load<u32>(run, 4);
    if (length >= pages) {
      const next = load<u32>(run);
      let rest = next;
      if (length > pages) {
        rest = run + pages * PAGE_BYTES;
        store<u32>(rest, next);
        store<u32>(rest, length - pages, 4);
      }
      if (before != 0) store<u32>(before, rest);
      else freeRuns = rest;
      return run;
    }
    before = run;
    run = load<u32>(run);
  }
  return 0;
}

function grow(pages: u32): bool {
  const now = memory.size() as u32;
  let step = max(max(pages, GROW_PAGES_MIN), now >> 2);
  if (now + step > pageLimit) step = pageLimit > now ? pageLimit - now : 0;
  if (step < pages) return false;
  let start = memory.grow(step as i32);
  if (start < 0 && step > pages) {
    step = pages;
    start = memory.grow(step as i32);
  }
  if (start < 0) return false;
  // The last page of a full 4 GiB memory is left out: its end would be address 0.
  if ((start as u32) + step == 65536) step -= 1;
  if (step != 0) releasePages((start as u32) << 16, step);
  return true;
}

/** Pages from the free runs, from growth, from size classes, or 0. */
function allocatePages(pages: u32): u32 {
  let run = takePages(pages);
  if (run == 0 && (grow(pages) || reclaimPages())) run = takePages(pages);
  return run;
}

/** Tries to have the whole reserve again; false while memory is full. */
export function refillReserve(): bool {
  let pages = RESERVE_PAGES;
  while (reservePages < RESERVE_PAGES && pages > 0) {
    pages = min(pages, RESERVE_PAGES - reservePages);
    const run = allocatePages(pages);
    if (run == 0) {
      pages >>= 1;
      continue;
    }
    store<u32>(run, reserve);
    store<u32>(run, pages, 4);
    reserve = run;
    reservePages += pages;
  }
  memoryLow = reservePages < RESERVE_PAGES_MIN;
  if (memoryLow) memoryEnded = true;
  return !memoryLow;
}

function endMemory(): void {
  memoryLow = true;
  memoryEnded = true;
}

export function forgetEnd(): void {
  memoryEnded = false;
}

/** Gives the reserve to the free runs and says so. */
function openReserve(): bool {
  if (reserve == 0) return false;
  endMemory();
  while (reserve != 0) {
    const run = reserve;
    reserve = load<u32>(run);
    releasePages(run, load<u32>(run, 4));
  }
  reservePages = 0;
  return true;
}

/** Takes pages without a block in use out of the size classes; false where there are none. */
function reclaimPages(): bool {
  if (freeBlocks == 0) return false;
  let found = false;
  for (let index: u32 = 0; index < CLASS_COUNT; index++) {
    if (reclaimClass(classHeads + (index << 2), PAGE_BYTES / classBytes(index))) found = true;
  }
  return found;
}

function reclaimClass(head: u32, blocksPerPage: u32): bool {
  for (let block = load<u32>(head); block != 0; block = load<u32>(block)) {
    const count = freeBlocks + ((block >> 16) << 1);
    store<u16>(count, load<u16>(count) + 1);
  }
  let found = false;
  let last = head;
  for (let block = load<u32>(head); block != 0;) {
    const next = load<u32>(block);
    if (load<u16>(freeBlocks + ((block >> 16) << 1)) == blocksPerPage) {
      // A run's header covers the first block only, and that one's link was read.
      if ((block & (PAGE_BYTES - 1)) == 0) releasePages(block, 1);
      found = true;
    } else {
      store<u32>(last, block);
      last = block;
    }
    block = next;
  }
  store<u32>(last, 0);
  memory.fill(freeBlocks, 0, (memory.size() as u32) << 1);
  return found;
}

/** Class k holds 16, 24→32, … bytes: even k = 2^(4+k/2), odd k = 1.5 times that. */
function classOf(bytes: u32): u32 {
  if (bytes <= 16) return 0;
  const log = 31 - clz<u32>(bytes - 1);
  const half = bytes <= 3 << (log - 1) ? 1 : 2;
  return ((log - 4) << 1) + half;
}

function classBytes(index: u32): u32 {
  const base: u32 = 16 << (index >> 1);
  return index & 1 ? base + (base >> 1) : base;
}

function refillClass(index: u32): bool {
  let page = allocatePages(1);
  if (page == 0) {
    if (!openReserve()) return false;
    page = allocatePages(1);
    if (page == 0) return false;
  }
  const size = classBytes(index);
  let block = page + (PAGE_BYTES / size - 1) * size;
  let head = load<u32>(classHeads + (index << 2));
  while (block >= page) {
    store<u32>(block, head);
    head = block;
    if (block == page) break;
    block -= size;
  }
  store<u32>(classHeads + (index << 2), head);
  return true;
}

/** A block of at least `bytes`, contents arbitrary, 8-byte aligned; 0 when there is none. */
export function allocate(bytes: u32): u32 {
  if (bytes > SMALL_BYTES_MAX) {
    const pages = (bytes + PAGE_BYTES - 1) >> 16;
    const run = allocatePages(pages);
    if (run == 0) endMemory();
    else bytesInUse += (pages as u64) << 16;
    return run;
  }
  const index = classOf(bytes);
  let block = load<u32>(classHeads + (index << 2));
  if (block == 0) {
    if (!refillClass(index)) {
      endMemory();
      return 0;
    }
    block = load<u32>(classHeads + (index << 2));
  }
  store<u32>(classHeads + (index << 2), load<u32>(block));
  bytesInUse += classBytes(index) as u64;
  return block;
}

export function allocateZeroed(bytes: u32): u32 {
  const block = allocate(bytes);
  if (block != 0) memory.fill(block, 0, bytes);
  return block;
}

/** Gives back a block with the size that it was asked for. */
export function release(block: u32, bytes: u32): void {
  if (block == 0) return;
  if (bytes > SMALL_BYTES_MAX) {
    const pages = (bytes + PAGE_BYTES - 1) >> 16;
    bytesInUse -= (pages as u64) << 16;
    releasePages(block, pages);
    return;
  }
  const index = classOf(bytes);
  bytesInUse -= classBytes(index) as u64;
  store<u32>(block, load<u32>(classHeads + (index << 2)));
  store<u32>(classHeads + (index << 2), block);
}
