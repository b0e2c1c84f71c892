/*
 * Rows that an evaluation over bits (dense.ts) found and that nothing has looked at: they stay bits
 * behind their relation, which counts them, until somebody reads it; then they are appended, for
 * `listing.ts` to find. Only relations of a batch, which have no ranks, are kept so; units over
 * bits read them as they are. The relations of a unit share the memory of its bits. Their values
 * are held by the rows they were found from: a transaction makes rows of all bits before any
 * change.
 */
import { RELATION_DIGEST_ALL, RELATION_POSITIONS, RELATION_RANKED, ROW_LIVE, ROW_OLD } from './abi';
import {
  BitMatrix,
  BITS_CURSOR_BYTES,
  chunkBytes,
  clearBit,
  destroyMatrix,
  nextBit,
  NO_BIT,
  openWide,
  recordOf,
  releaseChunks,
  summaryLength,
  takeOverPool,
  wideBits,
} from './bit-matrix';
import { allocate, allocateZeroed, release } from './memory';
import { cellAt, destroyNumbering, Numbering, numberOf } from './numbering';
import { appendFound, hasRoom } from './relation';
import { Relation, rowAddress } from './row-store';
import { Vector, wordAt } from './vector';

/** What the relations of a unit share. */
@unmanaged
class KeptPool {
  numbering: Numbering;
  chunks: Vector;
  /** Words of a row's summary. */
  words: u32;
  /** Relations that have bits in it. */
  users: u32;
}

@unmanaged
class KeptBits {
  pool: KeptPool;
  matrix: BitMatrix;
  /** The column that stands for the matrix' rows. */
  main: u32;
  /** Rows of the relation that are not appended yet. */
  left: u32;
  /** Place in the list of the matrix' rows, and the row that the cursor walks over. */
  place: u32;
  row: u32;
  cursor: u32;
}

/** Relations that were left as bits, since the engine started. */
export let keptTables: u32 = 0;

function keptOf(relation: Relation): KeptBits {
  return changetype<KeptBits>(relation.kept as usize);
}

/** True for a relation whose rows nobody needs as rows before the transaction ends. */
export function mayKeep(relation: Relation): bool {
  const needsRows = RELATION_RANKED | RELATION_POSITIONS | RELATION_DIGEST_ALL;
  return (
    relation.fresh && !relation.isSearched && !relation.isRead && (relation.flags & needsRows) == 0
  );
}

/** The pool in use and the numbering become those of what is kept; null without memory. */
export function createKeptPool(numbering: Numbering): KeptPool {
  const pool = changetype<KeptPool>(allocateZeroed(offsetof<KeptPool>() as u32) as usize);
  if (changetype<usize>(pool) == 0) return pool;
  pool.numbering = numbering;
  pool.words = summaryLength();
  pool.chunks = takeOverPool();
  return pool;
}

/** Leaves a pool that nobody came to use. */
export function releaseKeptPool(pool: KeptPool): void {
  if (pool.users != 0) return;
  destroyNumbering(pool.numbering);
  releaseChunks(pool.chunks);
  release(changetype<usize>(pool) as u32, offsetof<KeptPool>() as u32);
}

/**
 * The bits of a matrix stand for rows of a relation, but for those that it has; `rows` in all. The
 * matrix belongs to the relation then. False without memory.
 */
export function keepBits(
  relation: Relation,
  pool: KeptPool,
  matrix: BitMatrix,
  main: u32,
  rows: u32,
): bool {
  const kept = changetype<KeptBits>(allocateZeroed(offsetof<KeptBits>() as u32) as usize);
  const cursor = allocate(BITS_CURSOR_BYTES);
  if (changetype<usize>(kept) == 0 || cursor == 0) {
    release(changetype<usize>(kept) as u32, offsetof<KeptBits>() as u32);
    release(cursor, BITS_CURSOR_BYTES);
    return false;
  }
  kept.pool = pool;
  kept.matrix = matrix;
  kept.main = main;
  kept.left = rows;
  kept.cursor = cursor;
  openWide(cursor, 0, pool.words);
  pool.users += 1;
  keptTables += 1;
  relation.kept = changetype<usize>(kept) as u32;
  // Rows that are made of it later are appended behind what its set knows.
  relation.unlistedFrom = min(relation.unlistedFrom, relation.top);
  return true;
}

/** Takes away the bits of rows that a relation has already. */
export function clearPresent(
  relation: Relation,
  numbering: Numbering,
  matrix: BitMatrix,
  main: u32,
): void {
  for (let id: u32 = 0; id < relation.top; id++) {
    const row = rowAddress(relation, id);
    if ((load<u32>(row) & ROW_LIVE) == 0) continue;
    const cells = row + relation.cellsAt;
    const isPair = relation.arity == 2;
    const left = isPair ? numberOf(numbering, load<u32>(cells)) : 0;
    const right = numberOf(numbering, load<u32>(cells + (isPair ? 4 : 0)));
    if (main == 0) clearBit(matrix, left, right);
    else clearBit(matrix, right, left);
  }
}

/** Rows that stand behind those with an id. */
export function keptRows(relation: Relation): u32 {
  return relation.kept == 0 ? 0 : keptOf(relation).left;
}

/** Appends about `rows` kept rows; false without memory. In the end `relation.kept` is 0. */
export function appendKept(relation: Relation, rows: u32): bool {
  const kept = keptOf(relation);
  const numbering = kept.pool.numbering;
  const filled = kept.matrix.filled;
  const main = kept.main;
  const cursor = kept.cursor;
  const flags: u32 = relation.fresh ? ROW_LIVE : ROW_LIVE | ROW_OLD;
  const isUnary = relation.arity == 1;
  let work: u32 = 0;
  while (work < rows) {
    if (!hasRoom(relation)) return false;
    const column = nextBit(cursor);
    if (column == NO_BIT) {
      if (kept.place == filled.length) {
        dropKept(relation);
        return true;
      }
      kept.row = wordAt(filled, kept.place);
      kept.place += 1;
      work += 1;
      openWide(cursor, recordOf(kept.matrix, kept.row), kept.pool.words);
      continue;
    }
    const columnCell = cellAt(numbering, column);
    const rowCell = cellAt(numbering, kept.row);
    appendFound(
      relation,
      isUnary || main != 0 ? columnCell : rowCell,
      main != 0 ? rowCell : columnCell,
      flags,
    );
    kept.left -= 1;
    work += 1;
  }
  return true;
}

/* A walk over kept rows that leaves them as they are; one at a time. */

const reader: u32 = memory.data(BITS_CURSOR_BYTES, 8) as u32;
let readPlace: u32 = 0;
let readRow: u32 = 0;
/** Cells of the row under way; of a relation of one column the second one. */
export let keptFirst: u32 = 0;
export let keptSecond: u32 = 0;

export function openKept(relation: Relation): void {
  const kept = keptOf(relation);
  memory.copy(reader, kept.cursor, BITS_CURSOR_BYTES);
  readPlace = kept.place;
  readRow = kept.row;
}

/** The next row; false behind the last one. */
export function nextKept(relation: Relation): bool {
  const kept = keptOf(relation);
  let column = nextBit(reader);
  while (column == NO_BIT) {
    if (readPlace == kept.matrix.filled.length) return false;
    readRow = wordAt(kept.matrix.filled, readPlace);
    readPlace += 1;
    openWide(reader, recordOf(kept.matrix, readRow), kept.pool.words);
    column = nextBit(reader);
  }
  const numbering = kept.pool.numbering;
  const isByFirst = kept.main == 0;
  keptFirst = cellAt(numbering, isByFirst ? readRow : column);
  keptSecond = cellAt(numbering, isByFirst ? column : readRow);
  return true;
}

/** True where none of a relation's kept rows was appended: rows of one value stand together. */
export function isKeptBy(relation: Relation, column: u32): bool {
  if (relation.kept == 0 || relation.arity != 2) return false;
  const kept = keptOf(relation);
  return kept.place == 0 && kept.main == column;
}

/** Of such a relation, behind `openKept`: how many rows the next value has; 0 behind the last. */
export function nextKeptGroup(relation: Relation): u32 {
  const kept = keptOf(relation);
  while (readPlace != kept.matrix.filled.length) {
    readRow = wordAt(kept.matrix.filled, readPlace);
    readPlace += 1;
    keptFirst = cellAt(kept.pool.numbering, readRow);
    const count = wideBits(recordOf(kept.matrix, readRow), kept.pool.words);
    if (count != 0) return count;
  }
  return 0;
}

/** Appends all of them. */
export function appendAllKept(relation: Relation): bool {
  return relation.kept == 0 || appendKept(relation, u32.MAX_VALUE);
}

export function dropKept(relation: Relation): void {
  if (relation.kept == 0) return;
  const kept = keptOf(relation);
  const pool = kept.pool;
  destroyMatrix(kept.matrix);
  release(kept.cursor, BITS_CURSOR_BYTES);
  release(changetype<usize>(kept) as u32, offsetof<KeptBits>() as u32);
  relation.kept = 0;
  pool.users -= 1;
  releaseKeptPool(pool);
}

/** Its share of the memory of the bits. */
export function keptBytes(relation: Relation): u32 {
  if (relation.kept == 0) return 0;
  const kept = keptOf(relation);
  return chunkBytes(kept.pool.chunks) / kept.pool.users + (kept.matrix.size << 2);
}
