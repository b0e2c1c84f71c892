/*
 * Open-addressing sets of ids with linear probing, in up to 256 shards that grow one by one, so
 * that no single insert moves more than a shard: a table of millions never stops the world.
 *
 *   slot (8 bytes):  | hash u32 | id + 1 u32 |     id + 1 = 0: empty
 *
 * Hash bits 31..24 choose the shard (once there are several), the low bits the slot. The hash
 * stands in the slot, so growth and removal never look at what the ids stand for, and a probe
 * compares a row only when 32 bits agree. Removal shifts back (Knuth, TAOCP 6.4, Algorithm R):
 * there are no tombstones.
 */
import { allocateZeroed, release } from './memory';

const SHARD_COUNT: u32 = 256;
const SPLIT_AT: u32 = 0x6000;
const FIRST_SLOTS: u32 = 8;
/** Slots of each shard of a set that splits as it grows. */
const SPLIT_SLOTS: u32 = 256;
/** The answer of a search that found nothing. */
export const NOT_FOUND: u32 = 0xffffffff;

@unmanaged
class Shard {
  slots: u32;
  /** Number of slots − 1. */
  mask: u32;
  used: u32;
  limit: u32;
}

@unmanaged
export class IdSet {
  /** Address of the first shard record. */
  shards: u32;
  /** 0 while there is one shard, else all ones. */
  shardMask: u32;
  used: u32;
}

function initShard(shard: Shard, slots: u32): bool {
  const table = allocateZeroed(slots << 3);
  if (table == 0) return false;
  shard.slots = table;
  shard.mask = slots - 1;
  shard.used = 0;
  shard.limit = slots - (slots >> 2) - (slots >> 4);
  return true;
}

/** An empty set, or null (0) without memory. */
export function createIdSet(): IdSet {
  const set = changetype<IdSet>(allocateZeroed(offsetof<IdSet>()) as usize);
  if (changetype<usize>(set) == 0) return set;
  set.shards = allocateZeroed(offsetof<Shard>() as u32);
  if (set.shards == 0 || !initShard(changetype<Shard>(set.shards as usize), FIRST_SLOTS)) {
    return changetype<IdSet>(0);
  }
  return set;
}

export function shardOf(set: IdSet, hash: u32): Shard {
  const index = (hash >> 24) & set.shardMask;
  return changetype<Shard>((set.shards + index * (offsetof<Shard>() as u32)) as usize);
}

/**
 * What the first slot of a hash holds: id + 1 where the hashes agree, else 0. Brings the slot near.
 */
export function firstSlot(set: IdSet, hash: u32): u32 {
  const shard = shardOf(set, hash);
  const at = shard.slots + ((hash & shard.mask) << 3);
  return load<u32>(at) == hash ? load<u32>(at, 4) : 0;
}

function place(shard: Shard, hash: u32, entry: u32): void {
  const mask = shard.mask;
  const slots = shard.slots;
  let slot = hash & mask;
  while (load<u32>(slots + (slot << 3), 4) != 0) slot = (slot + 1) & mask;
  store<u32>(slots + (slot << 3), hash);
  store<u32>(slots + (slot << 3), entry, 4);
  shard.used += 1;
}

function growShard(shard: Shard): bool {
  const oldSlots = shard.slots;
  const oldCount = shard.mask + 1;
  if (!initShard(shard, oldCount << 1)) return false;
  const end = oldSlots + (oldCount << 3);
  for (let at = oldSlots; at < end; at += 8) {
    const entry = load<u32>(at, 4);
    if (entry != 0) place(shard, load<u32>(at), entry);
  }
  release(oldSlots, oldCount << 3);
  return true;
}

/** Of a split that found no memory: its records and the slots of the first `count`. */
function releaseShards(records: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const shard = changetype<Shard>((records + i * (offsetof<Shard>() as u32)) as usize);
    release(shard.slots, (shard.mask + 1) << 3);
  }
  release(records, SHARD_COUNT * (offsetof<Shard>() as u32));
}

function split(set: IdSet, slotsEach: u32): bool {
  const records = allocateZeroed(SHARD_COUNT * (offsetof<Shard>() as u32));
  if (records == 0) return false;
  const old = changetype<Shard>(set.shards as usize);
  for (let i: u32 = 0; i < SHARD_COUNT; i++) {
    const shard = changetype<Shard>((records + i * (offsetof<Shard>() as u32)) as usize);
    if (!initShard(shard, slotsEach)) {
      releaseShards(records, i);
      return false;
    }
  }
  set.shards = records;
  set.shardMask = SHARD_COUNT - 1;
  const end = old.slots + ((old.mask + 1) << 3);
  for (let at = old.slots; at < end; at += 8) {
    const entry = load<u32>(at, 4);
    if (entry == 0) continue;
    const hash = load<u32>(at);
    const shard = shardOf(set, hash);
    // A shard of a skewed hash may be full already; growth of so small a one takes a small block.
    if (shard.used >= shard.limit && !growShard(shard)) return false;
    place(shard, hash, entry);
  }
  release(old.slots, (old.mask + 1) << 3);
  release(changetype<usize>(old) as u32, offsetof<Shard>() as u32);
  return true;
}

/** Makes room for one more id with this hash; false (and nothing changed) without memory. */
export function reserveId(set: IdSet, hash: u32): bool {
  if (set.shardMask == 0 && set.used >= SPLIT_AT) return split(set, SPLIT_SLOTS);
  const shard = shardOf(set, hash);
  return shard.used < shard.limit || growShard(shard);
}

/**
 * Slots for `more` ids, so that they need not grow on the way; a hash that is not even may still
 * make a shard grow. False without memory, which changes nothing that is seen.
 */
export function reserveIds(set: IdSet, more: u32): bool {
  const total = set.used + more;
  if (total < SPLIT_AT) return true;
  const each = total / SHARD_COUNT;
  // With an eighth more than the mean, few shards come to their limit.
  let slots = SPLIT_SLOTS;
  while (slots - (slots >> 2) - (slots >> 4) < each + (each >> 3)) slots <<= 1;
  if (set.shardMask == 0) return split(set, slots);
  for (let i: u32 = 0; i < SHARD_COUNT; i++) {
    const shard = changetype<Shard>((set.shards + i * (offsetof<Shard>() as u32)) as usize);
    while (shard.mask + 1 < slots) if (!growShard(shard)) return false;
  }
  return true;
}

/** True when one more id with this hash has its place without growth. */
export function hasRoom(set: IdSet, hash: u32): bool {
  if (set.shardMask == 0 && set.used >= SPLIT_AT) return false;
  const shard = shardOf(set, hash);
  return shard.used < shard.limit;
}

/** Puts an id into the empty slot at which the search for it ended; `hasRoom` was true. */
export function putIdAt(set: IdSet, slot: u32, hash: u32, id: u32): void {
  store<u32>(slot, hash);
  store<u32>(slot, id + 1, 4);
  shardOf(set, hash).used += 1;
  set.used += 1;
}

/** Puts an id that is not there; `reserveId` made the room. */
export function putId(set: IdSet, hash: u32, id: u32): void {
  place(shardOf(set, hash), hash, id + 1);
  set.used += 1;
}

/** Takes out an id that is there, by its hash. */
export function removeId(set: IdSet, hash: u32, id: u32): void {
  const shard = shardOf(set, hash);
  const mask = shard.mask;
  const slots = shard.slots;
  let gap = hash & mask;
  while (load<u32>(slots + (gap << 3), 4) != id + 1) gap = (gap + 1) & mask;
  let slot = gap;
  while (true) {
    slot = (slot + 1) & mask;
    const entry = load<u32>(slots + (slot << 3), 4);
    if (entry == 0) break;
    const home = load<u32>(slots + (slot << 3)) & mask;
    if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
    store<u64>(slots + (gap << 3), load<u64>(slots + (slot << 3)));
    gap = slot;
  }
  store<u64>(slots + (gap << 3), 0);
  shard.used -= 1;
  set.used -= 1;
}

/** Bytes of all slots. */
export function idSetBytes(set: IdSet): u32 {
  const count = set.shardMask + 1;
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const shard = changetype<Shard>((set.shards + i * (offsetof<Shard>() as u32)) as usize);
    bytes += (shard.mask + 1) << 3;
  }
  return bytes;
}

export function destroyIdSet(set: IdSet): void {
  if (changetype<usize>(set) == 0) return;
  const count = set.shardMask + 1;
  for (let i: u32 = 0; i < count; i++) {
    const shard = changetype<Shard>((set.shards + i * (offsetof<Shard>() as u32)) as usize);
    release(shard.slots, (shard.mask + 1) << 3);
  }
  release(set.shards, count * (offsetof<Shard>() as u32));
  release(changetype<usize>(set) as u32, offsetof<IdSet>() as u32);
}
