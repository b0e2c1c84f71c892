/*
 * Sets of ids that are found by a hash, in up to 256 shards that grow one by one, so that no single
 * insert moves more than a shard: a table of millions never stops the world.
 *
 * A shard is a ring of buckets of one cache line each, with 14 places (after F14: Bronson and Shi,
 * Open-sourcing F14, 2019):
 *
 *   | 14 tags u8 (0: empty) | overflows u8 | 14 ids of 28 bits |
 *
 * An id stands in the first bucket with an empty place from its home on, and each full bucket that
 * it passed counts it, up to 255, which stays: a search ends at a bucket that nothing passed, or
 * when it has been around. Hash bits 31..24 choose the shard (once there are several), 23 and below
 * the bucket, 7..0 the tag. A search compares all tags of a bucket at once, and looks at an id's
 * row where one agrees.
 *
 * The ring's buckets stand in up to 12 pieces of 2^k buckets: so a shard has a size that fits, and
 * memory has blocks of few sizes. The hashes are not kept: growth asks the owner for them, some
 * hundred ids at a time, so that its waits for memory overlap.
 *
 *   shard (64 bytes): | pieces | k | used | limit | address of each piece |
 */
import { allocate, allocateZeroed, memoryLow, release } from './memory';

export const SHARD_COUNT: u32 = 256;
/** A set of more ids has all shards. */
const SPLIT_AT: u32 = 0x6000;
const SHARD_SHIFT: u32 = 6;
const SHARD_BYTES: u32 = 1 << SHARD_SHIFT;
const PIECES_AT: u32 = 16;
const PIECES_MAX: u32 = 12;

const BUCKET_SHIFT: u32 = 6;
const BUCKET_BYTES: u32 = 1 << BUCKET_SHIFT;
const PLACES: u32 = 14;
const PLACE_BITS: u32 = (1 << PLACES) - 1;
const OVERFLOWS_AT: u32 = 14;
const OVERFLOWS_MAX: u32 = 255;
const IDS_AT: u32 = 15;
const ID_MASK: u32 = 0x0fffffff;
/** Bits of a hash that choose the bucket. */
const HOME_BITS: u32 = 24;
const HOME_MASK: u32 = (1 << HOME_BITS) - 1;

/** The answer of a search that found nothing. */
export const NOT_FOUND: u32 = 0xffffffff;

/** Writes the hashes of `count` ids of a set; `owner` is whatever the set was made with. */
export type HashIds = (owner: u32, ids: u32, count: u32, hashes: u32) => void;

@unmanaged
class Shard {
  pieces: u32;
  /** Logarithm of the buckets of a piece. */
  pieceShift: u32;
  used: u32;
  limit: u32;
}

@unmanaged
export class IdSet {
  /** Address of the first shard. */
  shards: u32;
  /** 0 while there is one shard, else all ones. */
  shardMask: u32;
  used: u32;
  /** It comes to its size for the first time: shards grow fourfold, and are fitted later. */
  filling: bool;
  /** Later a shard grows by its size shifted by this. */
  growthShift: u32;
  owner: u32;
  /** Index of the function that hashes ids. */
  hashIds: u32;
}

/* Shards. */

export function shardNumber(set: IdSet, number: u32): Shard {
  return changetype<Shard>((set.shards + (number << SHARD_SHIFT)) as usize);
}

export function shardCount(set: IdSet): u32 {
  return set.shardMask == 0 ? 1 : SHARD_COUNT;
}

export function shardOf(set: IdSet, hash: u32): Shard {
  return shardNumber(set, (hash >> HOME_BITS) & set.shardMask);
}

/** Number of the bucket where the search for a hash begins. */
export function homeOf(shard: Shard, hash: u32): u32 {
  return ((hash & HOME_MASK) * shard.pieces) >> (HOME_BITS - shard.pieceShift);
}

export function bucketAt(shard: Shard, number: u32): u32 {
  const shift = shard.pieceShift;
  const address = (changetype<usize>(shard) as u32) + ((number >> shift) << 2);
  return load<u32>(address, PIECES_AT) + ((number & ((1 << shift) - 1)) << BUCKET_SHIFT);
}

/** The bucket behind another one, in the ring. */
export function bucketBehind(shard: Shard, number: u32): u32 {
  return number + 1 == bucketCount(shard) ? 0 : number + 1;
}

export function bucketCount(shard: Shard): u32 {
  return shard.pieces << shard.pieceShift;
}

/* Buckets. */

function tagOf(hash: u32): u32 {
  const tag = hash & 0xff;
  return tag == 0 ? 1 : tag;
}

/** A bit for each place of a bucket whose tag is that of the hash. */
export function placesOf(bucket: u32, hash: u32): u32 {
  return i8x16.bitmask(i8x16.eq(v128.load(bucket), i8x16.splat(tagOf(hash) as i8))) & PLACE_BITS;
}

function emptyPlaces(bucket: u32): u32 {
  return i8x16.bitmask(i8x16.eq(v128.load(bucket), i8x16.splat(0))) & PLACE_BITS;
}

/** A bit for each place of a bucket that holds an id. */
export function usedPlaces(bucket: u32): u32 {
  return ~emptyPlaces(bucket) & PLACE_BITS;
}

/** Ids may stand behind this bucket that belong to it or to one before it. */
export function isPassed(bucket: u32): bool {
  return load<u8>(bucket, OVERFLOWS_AT) != 0;
}

/** The id at a place: 28 bits from bit 120 + 28 · place on. */
export function idAt(bucket: u32, place: u32): u32 {
  return (load<u32>(bucket + ((place * 7) >> 1), IDS_AT) >> ((place & 1) << 2)) & ID_MASK;
}

export function setIdAt(bucket: u32, place: u32, id: u32): void {
  const at = bucket + ((place * 7) >> 1);
  const shift = (place & 1) << 2;
  store<u32>(at, (load<u32>(at, IDS_AT) & ~(ID_MASK << shift)) | (id << shift), IDS_AT);
}

function put(shard: Shard, hash: u32, id: u32): void {
  let number = homeOf(shard, hash);
  let bucket = bucketAt(shard, number);
  let places = emptyPlaces(bucket);
  while (places == 0) {
    const overflows = load<u8>(bucket, OVERFLOWS_AT) as u32;
    if (overflows < OVERFLOWS_MAX) store<u8>(bucket, overflows + 1, OVERFLOWS_AT);
    number = bucketBehind(shard, number);
    bucket = bucketAt(shard, number);
    places = emptyPlaces(bucket);
  }
  const place = ctz(places);
  store<u8>(bucket + place, tagOf(hash));
  setIdAt(bucket, place, id);
  shard.used += 1;
}

/* Sizes. */

/** Ids in a number of buckets before they grow: 29 of 32 places. */
function limitOf(buckets: u32): u32 {
  return (buckets * PLACES * 29) >> 5;
}

function bucketsFor(ids: u32): u32 {
  return (ids << 5) / (PLACES * 29) + 1;
}

/** Logarithm of the buckets of a piece: few buckets are one piece, more are 7 to 12. */
function pieceShiftFor(buckets: u32): u32 {
  if (buckets <= 8) return buckets <= 1 ? 0 : 32 - clz(buckets - 1);
  let shift: u32 = 0;
  while ((buckets - 1) >> shift >= PIECES_MAX) shift += 1;
  return shift;
}

/** Empty buckets, at least as many as asked for; false without memory. */
function initShard(shard: Shard, buckets: u32): bool {
  const shift = pieceShiftFor(buckets);
  const pieces = ((buckets - 1) >> shift) + 1;
  shard.pieces = 0;
  shard.pieceShift = shift;
  shard.used = 0;
  shard.limit = limitOf(pieces << shift);
  for (let i: u32 = 0; i < pieces; i++) {
    const piece = allocateZeroed(BUCKET_BYTES << shift);
    if (piece == 0) {
      releasePieces(shard);
      return false;
    }
    store<u32>((changetype<usize>(shard) as u32) + (i << 2), piece, PIECES_AT);
    shard.pieces = i + 1;
  }
  return true;
}

function releasePieces(shard: Shard): void {
  for (let i: u32 = 0; i < shard.pieces; i++) {
    const piece = load<u32>((changetype<usize>(shard) as u32) + (i << 2), PIECES_AT);
    release(piece, BUCKET_BYTES << shard.pieceShift);
  }
}

/* Moving. */

const BLOCK_IDS: u32 = 512;
const blockIds: u32 = memory.data((BLOCK_IDS + PLACES) * 4, 8) as u32;
const blockHashes: u32 = memory.data((BLOCK_IDS + PLACES) * 4, 8) as u32;
/** A shard that is about to be replaced. */
let blockLength: u32 = 0;
const oldShard: u32 = memory.data(SHARD_BYTES, 8) as u32;

/** Takes ids and hashes from a bucket of a shard on into the block; answers the bucket behind. */
function takeIds(set: IdSet, shard: Shard, from: u32): u32 {
  const end = bucketCount(shard);
  blockLength = 0;
  let number = from;
  for (; number < end && blockLength < BLOCK_IDS; number++) {
    const bucket = bucketAt(shard, number);
    let places = usedPlaces(bucket);
    while (places != 0) {
      store<u32>(blockIds + (blockLength << 2), idAt(bucket, ctz(places)));
      blockLength += 1;
      places &= places - 1;
    }
  }
  call_indirect<void>(set.hashIds, set.owner, blockIds, blockLength, blockHashes);
  return number;
}

/** Another number of buckets for one shard; false, and nothing changed, without memory. */
function resizeShard(set: IdSet, shard: Shard, buckets: u32): bool {
  const old = changetype<Shard>(oldShard as usize);
  memory.copy(oldShard, changetype<usize>(shard), SHARD_BYTES);
  if (!initShard(shard, buckets)) {
    memory.copy(changetype<usize>(shard), oldShard, SHARD_BYTES);
    return false;
  }
  const end = bucketCount(old);
  for (let from: u32 = 0; from < end;) {
    from = takeIds(set, old, from);
    for (let i: u32 = 0; i < blockLength << 2; i += 4)
      put(shard, load<u32>(blockHashes + i), load<u32>(blockIds + i));
  }
  releasePieces(old);
  return true;
}

function growShard(set: IdSet, shard: Shard): bool {
  const buckets = bucketCount(shard);
  if (set.filling) return resizeShard(set, shard, buckets << 2);
  return resizeShard(set, shard, buckets + (buckets < 8 ? buckets : buckets >> set.growthShift));
}

/** From one shard to all of them, each with room for so many ids. */
function split(set: IdSet, idsEach: u32): bool {
  const shards = allocateZeroed(SHARD_COUNT << SHARD_SHIFT);
  if (shards == 0) return false;
  const old = shardNumber(set, 0);
  const oldShards = set.shards;
  set.shards = shards;
  set.shardMask = SHARD_COUNT - 1;
  if (initShards(set, idsEach) && fillShards(set, old)) {
    releasePieces(old);
    release(oldShards, SHARD_BYTES);
    return true;
  }
  releaseShards(set);
  set.shards = oldShards;
  set.shardMask = 0;
  return false;
}

function initShards(set: IdSet, idsEach: u32): bool {
  for (let i: u32 = 0; i < SHARD_COUNT; i++) {
    if (!initShard(shardNumber(set, i), bucketsFor(idsEach))) return false;
  }
  return true;
}

/** Puts the ids of the one shard that there was into the many: which get room before. */
function fillShards(set: IdSet, old: Shard): bool {
  const end = bucketCount(old);
  for (let from: u32 = 0; from < end;) {
    const begin = from;
    from = takeIds(set, old, begin);
    for (let i: u32 = 0; i < blockLength; i++) {
      const hash = load<u32>(blockHashes + (i << 2));
      const shard = shardOf(set, hash);
      if (shard.used < shard.limit) {
        put(shard, hash, load<u32>(blockIds + (i << 2)));
        continue;
      }
      // Of a skewed hash. Growth uses the block, so it is taken again.
      if (!growShard(set, shard)) return false;
      takeIds(set, old, begin);
      i -= 1;
    }
  }
  return true;
}

function releaseShards(set: IdSet): void {
  const count = shardCount(set);
  for (let i: u32 = 0; i < count; i++) releasePieces(shardNumber(set, i));
  release(set.shards, count << SHARD_SHIFT);
}

/* The set. */

/** An empty set to be filled, or null (0) without memory. */
export function createIdSet(owner: u32, hashIds: HashIds): IdSet {
  const set = changetype<IdSet>(allocateZeroed(offsetof<IdSet>() as u32) as usize);
  if (changetype<usize>(set) == 0) return set;
  set.owner = owner;
  set.hashIds = hashIds.index;
  set.filling = true;
  set.growthShift = 2;
  set.shards = allocateZeroed(SHARD_BYTES);
  if (set.shards != 0 && initShard(shardNumber(set, 0), 1)) return set;
  release(set.shards, SHARD_BYTES);
  release(changetype<usize>(set) as u32, offsetof<IdSet>() as u32);
  return changetype<IdSet>(0);
}

/** Ids of a set whose buckets and rows are in the cache anyway. */
export const CACHED_IDS: u32 = 0x4000;

/** Address of the bucket where the search for a hash begins. */
export function homeBucket(set: IdSet, hash: u32): u32 {
  const shard = shardOf(set, hash);
  return bucketAt(shard, homeOf(shard, hash));
}

/** One more than the id that a hash finds first in a bucket, going by the tag, else 0. */
export function firstIn(bucket: u32, hash: u32): u32 {
  const places = placesOf(bucket, hash);
  return places == 0 ? 0 : idAt(bucket, ctz(places)) + 1;
}

/** Makes room for one more id with this hash; false (and nothing changed) without memory. */
export function reserveId(set: IdSet, hash: u32): bool {
  if (set.shardMask == 0 && set.used >= SPLIT_AT) return split(set, (set.used / SHARD_COUNT) << 2);
  const shard = shardOf(set, hash);
  return shard.used < shard.limit || growShard(set, shard);
}

/**
 * Room for `more` ids, so that shards need not grow on the way; a hash that is not even may still
 * make one grow. False without memory, which changes nothing that is seen.
 */
export function reserveIds(set: IdSet, more: u32): bool {
  const total = set.used + more;
  if (set.shardMask == 0 && total < SPLIT_AT) {
    const shard = shardNumber(set, 0);
    return total <= shard.limit || resizeShard(set, shard, bucketsFor(total));
  }
  const each = total / SHARD_COUNT;
  // Shards differ: with two standard deviations more than the mean, few come to their limit.
  const most = each + ((sqrt<f64>(each as f64) as u32) << 1);
  if (set.shardMask == 0) return split(set, most);
  for (let i: u32 = 0; i < SHARD_COUNT; i++) {
    const shard = shardNumber(set, i);
    if (shard.limit < most && !resizeShard(set, shard, bucketsFor(most))) return false;
  }
  return true;
}

/** Puts an id if the bucket of its hash shows at once that no equal one is there; `reserveId`. */
export function putIfFirst(set: IdSet, hash: u32, id: u32): bool {
  const shard = shardOf(set, hash);
  const bucket = bucketAt(shard, homeOf(shard, hash));
  const tags = v128.load(bucket);
  const same = i8x16.bitmask(i8x16.eq(tags, i8x16.splat(tagOf(hash) as i8))) & PLACE_BITS;
  const empty = i8x16.bitmask(i8x16.eq(tags, i8x16.splat(0))) & PLACE_BITS;
  if (same != 0 || empty == 0 || isPassed(bucket)) return false;
  const place = ctz(empty);
  store<u8>(bucket + place, tagOf(hash));
  setIdAt(bucket, place, id);
  shard.used += 1;
  set.used += 1;
  return true;
}

/** Gives an empty set all its shards. */
export function spreadSet(set: IdSet): bool {
  return set.shardMask != 0 || split(set, 0);
}

/** Room for so many more ids in a shard, and few others. */
export function reserveShard(set: IdSet, number: u32, more: u32): bool {
  const shard = shardNumber(set, number);
  const ids = shard.used + more;
  return ids <= shard.limit || resizeShard(set, shard, bucketsFor(ids + (ids >> 5)));
}

/** Puts an id that is not there; `reserveId` made the room. */
export function putId(set: IdSet, hash: u32, id: u32): void {
  put(shardOf(set, hash), hash, id);
  set.used += 1;
}

/** Takes out an id that is there, by its hash. */
export function removeId(set: IdSet, hash: u32, id: u32): void {
  const shard = shardOf(set, hash);
  let number = homeOf(shard, hash);
  while (!takeFrom(bucketAt(shard, number), hash, id)) {
    const bucket = bucketAt(shard, number);
    const overflows = load<u8>(bucket, OVERFLOWS_AT) as u32;
    if (overflows < OVERFLOWS_MAX) store<u8>(bucket, overflows - 1, OVERFLOWS_AT);
    number = bucketBehind(shard, number);
  }
  shard.used -= 1;
  set.used -= 1;
  if (shard.used < shard.limit >> 2) shrinkShard(set, shard);
}

/** Empties the place of an id if it is in this bucket. */
function takeFrom(bucket: u32, hash: u32, id: u32): bool {
  let places = placesOf(bucket, hash);
  while (places != 0) {
    const place = ctz(places);
    if (idAt(bucket, place) == id) {
      store<u8>(bucket + place, 0);
      return true;
    }
    places &= places - 1;
  }
  return false;
}

/** To half of its buckets: there is room for as many ids again. Without memory it stays. */
function shrinkShard(set: IdSet, shard: Shard): void {
  const buckets = bucketCount(shard);
  if (buckets > 1 && !memoryLow) resizeShard(set, shard, buckets >> 1);
}

/**
 * The set has come to its size: shards with much more room than they need get a fitting one, and
 * grow in small steps from now on. Works from a shard on, for about `budget` ids; answers the shard
 * to go on with, or the number of shards.
 */
export function fitShards(set: IdSet, from: u32, budget: u32): u32 {
  const count = shardCount(set);
  set.filling = false;
  let moved: u32 = 0;
  let i = from;
  for (; i < count && moved < budget && !memoryLow; i++) {
    const shard = shardNumber(set, i);
    const buckets = bucketsFor(shard.used + (shard.used >> 5));
    if (buckets >= bucketCount(shard) - (bucketCount(shard) >> 3)) continue;
    resizeShard(set, shard, buckets);
    moved += shard.used;
  }
  return memoryLow ? count : i;
}

/** Bytes of all pieces. */
export function idSetBytes(set: IdSet): u32 {
  const count = shardCount(set);
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const shard = shardNumber(set, i);
    bytes += bucketCount(shard) << BUCKET_SHIFT;
  }
  return bytes;
}

export function destroyIdSet(set: IdSet): void {
  if (changetype<usize>(set) == 0) return;
  releaseShards(set);
  release(changetype<usize>(set) as u32, offsetof<IdSet>() as u32);
}
