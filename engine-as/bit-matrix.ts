/*
 * Binary relations over a small domain 0 … n − 1 as rows of bits, in blocks of 512 that exist only
 * where a bit is set (cf. Chambi et al., "Better bitmap performance with Roaring bitmaps", 2016).
 *
 *   rows[r] ─► | summary u64 … | block address u32 … |      a summary bit a block that exists
 *                                     └─► 64 bytes
 *
 * Matrices of one evaluation share a pool: what one gives back the next takes, and all of it goes
 * when the pool is dropped. A function that needs memory sets `poolEnded` when there is none.
 */
import { allocate, release } from './memory';
import { clearVector, createVector, destroyVector, push, Vector, wordAt } from './vector';

/** Bits of a block are 2^9. */
const BLOCK_SHIFT: u32 = 9;
const BLOCK_MASK: u32 = (1 << BLOCK_SHIFT) - 1;
const BLOCK_BYTES: u32 = 64;
const POOL_CHUNK_BYTES: u32 = 0x10000;

@unmanaged
export class BitMatrix {
  /** Address of a row record for each row, or 0. */
  rows: u32;
  /** Rows with a record, in the order in which they came. */
  filled: Vector;
  /** Rows there are addresses for. */
  size: u32;
}

/** Memory ended under a matrix: the evaluation must end. */
export let poolEnded: bool = false;
/** Bytes that the pool holds. */
export let poolBytes: u32 = 0;

let chunks: Vector = changetype<Vector>(0);
let chunkAt: u32 = 0;
let chunkEnd: u32 = 0;
let freeBlocks: u32 = 0;
let freeRecords: u32 = 0;
let domain: u32 = 0;
/** Words of a summary and bytes of a row record. */
let summaryWords: u32 = 0;
let recordBytes: u32 = 0;

/** Bytes of the record of a row over a domain of `size` values. */
export function recordBytesOf(size: u32): u32 {
  const blocks = (size + BLOCK_MASK) >> BLOCK_SHIFT;
  return (((blocks + 63) >> 6) << 3) + ((blocks + 1) & ~1) * 4;
}

/** Begins a pool of matrices over a domain of `size` values; false without memory. */
export function openPool(size: u32): bool {
  const blocks = (size + BLOCK_MASK) >> BLOCK_SHIFT;
  domain = size;
  summaryWords = (blocks + 63) >> 6;
  recordBytes = recordBytesOf(size);
  poolEnded = false;
  chunks = createVector();
  return changetype<usize>(chunks) != 0;
}

export function dropPool(): void {
  if (changetype<usize>(chunks) != 0) releaseChunks(chunks);
  forgetPool();
}

/** Gives back the memory of a pool that was taken over. */
export function releaseChunks(taken: Vector): void {
  for (let i: u32 = 0; i < taken.length; i++) release(wordAt(taken, i), POOL_CHUNK_BYTES);
  destroyVector(taken);
}

/** The memory of the pool goes to the caller, with all matrices that stand in it. */
export function takeOverPool(): Vector {
  const taken = chunks;
  forgetPool();
  return taken;
}

/** Words of a row's summary, for `openWide` when the pool is no longer the one in use. */
export function summaryLength(): u32 {
  return summaryWords;
}

export function chunkBytes(taken: Vector): u32 {
  return taken.length * POOL_CHUNK_BYTES;
}

function forgetPool(): void {
  chunks = changetype<Vector>(0);
  chunkAt = 0;
  chunkEnd = 0;
  freeBlocks = 0;
  freeRecords = 0;
  poolBytes = 0;
  poolEnded = false;
}

function take(bytes: u32): u32 {
  if (chunkEnd - chunkAt < bytes) {
    const chunk = allocate(POOL_CHUNK_BYTES);
    if (chunk == 0 || !push(chunks, chunk)) {
      release(chunk, POOL_CHUNK_BYTES);
      poolEnded = true;
      return 0;
    }
    poolBytes += POOL_CHUNK_BYTES;
    chunkAt = chunk;
    chunkEnd = chunk + POOL_CHUNK_BYTES;
  }
  const at = chunkAt;
  chunkAt += bytes;
  return at;
}

function takeBlock(): u32 {
  let block = freeBlocks;
  if (block != 0) freeBlocks = load<u32>(block);
  else {
    // Blocks stand on lines of the cache.
    chunkAt = (chunkAt + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
    if (chunkAt > chunkEnd) chunkAt = chunkEnd;
    block = take(BLOCK_BYTES);
    if (block == 0) return 0;
  }
  memory.fill(block, 0, BLOCK_BYTES);
  return block;
}

function takeRecord(): u32 {
  let record = freeRecords;
  if (record != 0) freeRecords = load<u32>(record);
  else record = take(recordBytes);
  if (record != 0) memory.fill(record, 0, recordBytes);
  return record;
}

/** The largest domain whose row records fit a chunk of the pool. */
export const DOMAIN_MAX: u32 = 1 << 18;

/** A matrix without a bit, or null (0) without memory. */
export function createMatrix(): BitMatrix {
  const matrix = changetype<BitMatrix>(allocate(offsetof<BitMatrix>() as u32) as usize);
  if (changetype<usize>(matrix) == 0) return matrix;
  matrix.size = domain;
  matrix.rows = allocate(domain << 2);
  matrix.filled = createVector();
  if (matrix.rows != 0) memory.fill(matrix.rows, 0, domain << 2);
  return matrix;
}

export function isWhole(matrix: BitMatrix): bool {
  return (
    changetype<usize>(matrix) != 0 && matrix.rows != 0 && changetype<usize>(matrix.filled) != 0
  );
}

/** Its blocks go with the pool. */
export function destroyMatrix(matrix: BitMatrix): void {
  if (changetype<usize>(matrix) == 0) return;
  release(matrix.rows, matrix.size << 2);
  if (changetype<usize>(matrix.filled) != 0) destroyVector(matrix.filled);
  release(changetype<usize>(matrix) as u32, offsetof<BitMatrix>() as u32);
}

/** Record of a row, or 0 for a row without a bit. */
export function recordOf(matrix: BitMatrix, row: u32): u32 {
  return load<u32>(matrix.rows + (row << 2));
}

function claimRecord(matrix: BitMatrix, row: u32): u32 {
  let record = load<u32>(matrix.rows + (row << 2));
  if (record != 0) return record;
  record = takeRecord();
  if (record == 0 || !push(matrix.filled, row)) {
    poolEnded = true;
    return 0;
  }
  store<u32>(matrix.rows + (row << 2), record);
  return record;
}

function blockOf(record: u32, number: u32): u32 {
  return load<u32>(record + (summaryWords << 3) + (number << 2));
}

function claimBlock(record: u32, number: u32): u32 {
  const at = record + (summaryWords << 3) + (number << 2);
  let block = load<u32>(at);
  if (block != 0) return block;
  block = takeBlock();
  if (block == 0) return 0;
  store<u32>(at, block);
  const word = record + ((number >> 6) << 3);
  store<u64>(word, load<u64>(word) | ((<u64>1) << (number & 63)));
  return block;
}

export function hasBit(matrix: BitMatrix, row: u32, column: u32): bool {
  const record = load<u32>(matrix.rows + (row << 2));
  if (record == 0) return false;
  const block = blockOf(record, column >> BLOCK_SHIFT);
  if (block == 0) return false;
  return ((load<u64>(block + (((column & BLOCK_MASK) >> 6) << 3)) >> (column & 63)) & 1) != 0;
}

export function setBit(matrix: BitMatrix, row: u32, column: u32): void {
  const record = claimRecord(matrix, row);
  if (record == 0) return;
  const block = claimBlock(record, column >> BLOCK_SHIFT);
  if (block == 0) return;
  const word = block + (((column & BLOCK_MASK) >> 6) << 3);
  store<u64>(word, load<u64>(word) | ((<u64>1) << (column & 63)));
}

/** Adds to row `row` of `to` the numbers from `from` on that row `row` of `known` does not have. */
export function addNumbers(to: BitMatrix, known: BitMatrix, row: u32, from: u32, end: u32): void {
  if (from == end) return;
  const knownRecord = recordOf(known, row);
  let record = recordOf(to, row);
  for (; from < end; from += 4) {
    const column = load<u32>(from);
    const number = column >> BLOCK_SHIFT;
    const word = ((column & BLOCK_MASK) >> 6) << 3;
    const bit = (<u64>1) << (column & 63);
    const not = knownRecord == 0 ? 0 : blockOf(knownRecord, number);
    if (not != 0 && (load<u64>(not + word) & bit) != 0) continue;
    if (record == 0) {
      record = claimRecord(to, row);
      if (record == 0) return;
    }
    const block = claimBlock(record, number);
    if (block == 0) return;
    store<u64>(block + word, load<u64>(block + word) | bit);
  }
}

/**
 * Adds a list of columns to a row; those that it has already are written to `carried`, which may be
 * where the list is, and taken out if `clears`. Answers the address behind the last one.
 */
export function addOrCarry(
  to: BitMatrix,
  row: u32,
  from: u32,
  end: u32,
  carried: u32,
  clears: bool,
): u32 {
  const record = from == end ? 0 : claimRecord(to, row);
  if (record == 0) return carried;
  for (; from < end; from += 4) {
    const column = load<u32>(from);
    const block = claimBlock(record, column >> BLOCK_SHIFT);
    if (block == 0) return carried;
    const word = block + (((column & BLOCK_MASK) >> 6) << 3);
    const bit = (<u64>1) << (column & 63);
    const bits = load<u64>(word);
    if ((bits & bit) == 0) {
      store<u64>(word, bits | bit);
      continue;
    }
    if (clears) store<u64>(word, bits ^ bit);
    store<u32>(carried, column);
    carried += 4;
  }
  return carried;
}

/** Takes out of a record the bits that another one (0: none at all) has, or does not have. */
export function maskRow(record: u32, other: u32, has: bool): void {
  if (other == 0 && has) return;
  for (let s: u32 = 0; s < summaryWords; s++) {
    let summary = load<u64>(record + (s << 3));
    while (summary != 0) {
      const number = (s << 6) + (ctz(summary) as u32);
      summary &= summary - 1;
      const block = blockOf(record, number);
      const from = other == 0 ? 0 : blockOf(other, number);
      if (from == 0) {
        if (!has) memory.fill(block, 0, BLOCK_BYTES);
        continue;
      }
      for (let i: u32 = 0; i < BLOCK_BYTES; i += 16) {
        const bits = v128.load(block + i);
        const mask = v128.load(from + i);
        v128.store(block + i, has ? v128.andnot(bits, mask) : v128.and(bits, mask));
      }
    }
  }
}

export function clearInRow(record: u32, column: u32): void {
  const block = blockOf(record, column >> BLOCK_SHIFT);
  if (block == 0) return;
  const word = block + (((column & BLOCK_MASK) >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~((<u64>1) << (column & 63)));
}

/**
 * Adds to row `row` of `to` the bits of `source`, a record, that row `row` of `known` does not
 * have. Answers the blocks it looked at.
 */
export function addRow(to: BitMatrix, known: BitMatrix, row: u32, source: u32): u32 {
  const knownRecord = recordOf(known, row);
  let record = recordOf(to, row);
  let work: u32 = 1;
  for (let s: u32 = 0; s < summaryWords; s++) {
    let summary = load<u64>(source + (s << 3));
    while (summary != 0) {
      const number = (s << 6) + (ctz(summary) as u32);
      summary &= summary - 1;
      work += 1;
      const from = blockOf(source, number);
      let a = v128.load(from);
      let b = v128.load(from, 16);
      let c = v128.load(from, 32);
      let d = v128.load(from, 48);
      const not = knownRecord == 0 ? 0 : blockOf(knownRecord, number);
      if (not != 0) {
        a = v128.andnot(a, v128.load(not));
        b = v128.andnot(b, v128.load(not, 16));
        c = v128.andnot(c, v128.load(not, 32));
        d = v128.andnot(d, v128.load(not, 48));
        if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) continue;
      }
      if (record == 0) {
        record = claimRecord(to, row);
        if (record == 0) return work;
      }
      const block = claimBlock(record, number);
      if (block == 0) return work;
      v128.store(block, v128.or(v128.load(block), a));
      v128.store(block, v128.or(v128.load(block, 16), b), 16);
      v128.store(block, v128.or(v128.load(block, 32), c), 32);
      v128.store(block, v128.or(v128.load(block, 48), d), 48);
    }
  }
  return work;
}

/** All bits of a record, which it does not have, into row `row` of `to`; answers how many. */
export function mergeRow(to: BitMatrix, row: u32, source: u32): u32 {
  const record = claimRecord(to, row);
  if (record == 0) return 0;
  let bits: u32 = 0;
  for (let s: u32 = 0; s < summaryWords; s++) {
    let summary = load<u64>(source + (s << 3));
    while (summary != 0) {
      const number = (s << 6) + (ctz(summary) as u32);
      summary &= summary - 1;
      const from = blockOf(source, number);
      const block = claimBlock(record, number);
      if (block == 0) return bits;
      for (let i: u32 = 0; i < BLOCK_BYTES; i += 16) {
        v128.store(block + i, v128.or(v128.load(block + i), v128.load(from + i)));
      }
      bits += blockBits(from);
    }
  }
  return bits;
}

/** Bits of a record whose summary has `words` words. */
export function wideBits(record: u32, words: u32): u32 {
  if (record == 0) return 0;
  let bits: u32 = 0;
  for (let s: u32 = 0; s < words; s++) {
    let summary = load<u64>(record + (s << 3));
    while (summary != 0) {
      const number = (s << 6) + (ctz(summary) as u32);
      summary &= summary - 1;
      bits += blockBits(load<u32>(record + (words << 3) + (number << 2)));
    }
  }
  return bits;
}

function blockBits(block: u32): u32 {
  let bits: u64 = 0;
  for (let i: u32 = 0; i < BLOCK_BYTES; i += 8) bits += popcnt(load<u64>(block + i));
  return bits as u32;
}

/** Bits of a record. */
export function countBits(record: u32): u32 {
  return wideBits(record, summaryWords);
}

/** Takes a row out of a matrix; its record belongs to the caller. */
export function detachRow(matrix: BitMatrix, row: u32): u32 {
  const at = matrix.rows + (row << 2);
  const record = load<u32>(at);
  store<u32>(at, 0);
  return record;
}

/** A record, which stands in no matrix, becomes row `row`, which has none. */
export function attachRow(matrix: BitMatrix, row: u32, record: u32): void {
  if (push(matrix.filled, row)) store<u32>(matrix.rows + (row << 2), record);
  else poolEnded = true;
}

export function clearBit(matrix: BitMatrix, row: u32, column: u32): void {
  const record = recordOf(matrix, row);
  const block = record == 0 ? 0 : blockOf(record, column >> BLOCK_SHIFT);
  if (block == 0) return;
  const word = block + (((column & BLOCK_MASK) >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~((<u64>1) << (column & 63)));
}

/** Takes all bits away; records and blocks go back to the pool. */
export function clearMatrix(matrix: BitMatrix): void {
  const filled = matrix.filled;
  for (let i: u32 = 0; i < filled.length; i++) {
    freeRecord(detachRow(matrix, wordAt(filled, i)));
  }
  clearVector(filled);
}

/** A record that stands in no matrix goes back to the pool. */
export function freeRecord(record: u32): void {
  for (let s: u32 = 0; s < summaryWords; s++) {
    let summary = load<u64>(record + (s << 3));
    while (summary != 0) {
      const number = (s << 6) + (ctz(summary) as u32);
      summary &= summary - 1;
      const block = blockOf(record, number);
      store<u32>(block, freeBlocks);
      freeBlocks = block;
    }
  }
  store<u32>(record, freeRecords);
  freeRecords = record;
}

/* Walking over the bits of a record. A cursor has 40 bytes:
 *   | word u64 | summary u64 | block u32 | next word of it u32 | number u32 | record u32 |
 *   | words of the summary u32 | */
export const BITS_CURSOR_BYTES: u32 = 40;

export function openBits(cursor: u32, record: u32): void {
  openWide(cursor, record, summaryWords);
}

/** Of a record with a summary of so many words, which may stand in a pool that is kept. */
export function openWide(cursor: u32, record: u32, words: u32): void {
  store<u32>(cursor, words, 32);
  store<u64>(cursor, 0);
  store<u64>(cursor, record == 0 ? 0 : load<u64>(record), 8);
  store<u32>(cursor, 8, 20);
  store<u32>(cursor, 0, 24);
  store<u32>(cursor, record, 28);
}

/** The answer of `nextBit` behind the last one. */
export const NO_BIT: u32 = 0xffffffff;

export function nextBit(cursor: u32): u32 {
  let word = load<u64>(cursor);
  let at = load<u32>(cursor, 20);
  while (word == 0) {
    if (at == 8) {
      if (!nextBlock(cursor)) return NO_BIT;
      at = 0;
    }
    word = load<u64>(load<u32>(cursor, 16) + (at << 3));
    at += 1;
    store<u32>(cursor, at, 20);
  }
  store<u64>(cursor, word & (word - 1));
  return (load<u32>(cursor, 24) << BLOCK_SHIFT) + ((at - 1) << 6) + (ctz(word) as u32);
}

/** The high part of a cursor's number counts summary words, which `openBits` starts at 0. */
function nextBlock(cursor: u32): bool {
  let summary = load<u64>(cursor, 8);
  const record = load<u32>(cursor, 28);
  if (record == 0) return false;
  let s = load<u32>(cursor, 24) >> 6;
  const words = load<u32>(cursor, 32);
  while (summary == 0) {
    s += 1;
    if (s >= words) return false;
    summary = load<u64>(record + (s << 3));
  }
  const number = (s << 6) + (ctz(summary) as u32);
  store<u64>(cursor, summary & (summary - 1), 8);
  store<u32>(cursor, number, 24);
  store<u32>(cursor, load<u32>(record + (words << 3) + (number << 2)), 16);
  return true;
}
