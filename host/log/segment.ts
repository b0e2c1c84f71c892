/**
 * The bytes of a segment file: a header, then entries one after another.
 *
 *   header                                     entry
 *   0   magic     "CAUCLOG1"                   0   length   u32, of the payload
 *   8   length    u32, of the whole header     4   checksum u32, CRC-32C over the rest
 *   12  checksum  u32, CRC-32C over the rest   8   type     u8: 1 record, 2 topic, 3 close
 *   16  number    u64, of the segment          9   reserved 3 bytes, 0
 *   24  previous  u64, length of the one       12  topic    u32, its id in this log
 *                 before it, 0 for the first   16  offset   u64, of the record in its topic
 *   32  nonce     u32, random                  24  time     u64, append time, ms since the epoch
 *   36  time      u64, last append time        32  synced   u64, see below
 *   44  topics    u32 count, then each:        40  payload: the record; the topic's name
 *       id u32, next offset u64, name text
 *
 * An entry's checksum starts from the nonce, so that no bytes that a client sent and no bytes of an
 * older file pass for an entry. `synced` is the position below which the segment was durable when
 * the entry was written: a broken entry below some later entry's `synced` had been durable, so it
 * is damage; any other broken entry is the tail of a write that a crash interrupted.
 */
import { RECORD_BYTES_MAX } from '../limits.ts';
import { BrokenBytes, ByteReader, ByteWriter } from './bytes.ts';
import { crc32c } from './crc32c.ts';
import type { DiskFile } from './disk.ts';

export const ENTRY_HEADER_BYTES = 40;
export const TYPE_RECORD = 1;
export const TYPE_TOPIC = 2;
export const TYPE_CLOSE = 3;

export const MAGIC = new TextEncoder().encode('CAUCLOG1');
const HEADER_FIXED_BYTES = 48;
const HEADER_BYTES_MAX = 64 * 1024 * 1024;
/** Below this a payload is copied next to its header: one write of many small buffers is slower. */
const COPIED_PAYLOAD_BYTES_MAX = 16 * 1024;
/** What a scan holds in memory at a time, unless one entry is larger. */
const SCAN_BYTES = 1024 * 1024;

export interface SegmentTopic {
  readonly id: number;
  readonly name: string;
  readonly next: number;
}

export interface SegmentHeader {
  readonly number: number;
  readonly previousLength: number;
  readonly nonce: number;
  readonly lastTimeMs: number;
  readonly topics: readonly SegmentTopic[];
}

export interface Entry {
  readonly type: number;
  readonly topic: number;
  readonly offset: number;
  readonly timeMs: number;
  readonly synced: number;
  /** A view into the bytes that were parsed. */
  readonly payload: Uint8Array;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(10, '0')}.log`;
}

/** The number in a segment's file name, or undefined for another file. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{10}\.log$/.test(name) ? Number(name.slice(0, 10)) : undefined;
}

export function encodeHeader(header: SegmentHeader): Uint8Array {
  const writer = new ByteWriter(HEADER_FIXED_BYTES + header.topics.length * 64);
  writer.raw(MAGIC);
  writer.u32(0);
  writer.u32(0);
  writer.u64(header.number);
  writer.u64(header.previousLength);
  writer.u32(header.nonce);
  writer.u64(header.lastTimeMs);
  writer.u32(header.topics.length);
  for (const topic of header.topics) {
    writer.u32(topic.id);
    writer.u64(topic.next);
    writer.text(topic.name);
  }
  const bytes = writer.finish();
  writer.patchU32(8, bytes.length);
  writer.patchU32(12, headerChecksum(bytes));
  return bytes;
}

/** The header and its length; undefined where the file does not start with a whole one. */
export async function readHeader(
  file: DiskFile,
): Promise<{ readonly header: SegmentHeader; readonly length: number } | undefined> {
  const start = await file.read(0, HEADER_FIXED_BYTES);
  if (start.length < HEADER_FIXED_BYTES) return undefined;
  const length = new DataView(start.buffer, start.byteOffset).getUint32(8, true);
  if (length < HEADER_FIXED_BYTES || length > HEADER_BYTES_MAX) return undefined;
  const bytes = await file.read(0, length);
  if (bytes.length < length) return undefined;
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true);
  if (stored !== headerChecksum(bytes)) return undefined;
  try {
    return { header: parseHeader(bytes), length };
  } catch (error) {
    if (error instanceof BrokenBytes) return undefined;
    throw error;
  }
}

function parseHeader(bytes: Uint8Array): SegmentHeader {
  const reader = new ByteReader(bytes);
  for (const expected of MAGIC) if (reader.u8() !== expected) reader.fail('no segment');
  reader.u32();
  reader.u32();
  const number = reader.u64();
  const previousLength = reader.u64();
  const nonce = reader.u32();
  const lastTimeMs = reader.u64();
  const count = reader.u32();
  const topics: SegmentTopic[] = [];
  for (let index = 0; index < count; index++) {
    const id = reader.u32();
    const next = reader.u64();
    topics.push({ id, next, name: reader.text() });
  }
  reader.expectEnd();
  return { number, previousLength, nonce, lastTimeMs, topics };
}

function headerChecksum(bytes: Uint8Array): number {
  return crc32c(bytes, crc32c(bytes, 0, 0, 12), 16);
}

/** Headers and small payloads in one buffer, large payloads as they are. */
export function encodeEntries(entries: readonly Entry[], nonce: number): Uint8Array[] {
  let staged = 0;
  for (const { payload } of entries) {
    staged += ENTRY_HEADER_BYTES;
    if (payload.length <= COPIED_PAYLOAD_BYTES_MAX) staged += payload.length;
  }
  const bytes = new Uint8Array(staged);
  const view = viewOf(bytes);
  const parts: Uint8Array[] = [];
  let from = 0;
  let at = 0;
  for (const entry of entries) {
    encodeEntryHeader(bytes, view, at, entry, nonce);
    at += ENTRY_HEADER_BYTES;
    if (entry.payload.length <= COPIED_PAYLOAD_BYTES_MAX) {
      bytes.set(entry.payload, at);
      at += entry.payload.length;
    } else {
      parts.push(bytes.subarray(from, at), entry.payload);
      from = at;
    }
  }
  if (at > from) parts.push(bytes.subarray(from, at));
  return parts;
}

/**
 * Writes the entry's header at `at` of `bytes`; the payload is written by itself, without a copy.
 */
function encodeEntryHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  entry: Entry,
  nonce: number,
): void {
  view.setUint32(at, entry.payload.length, true);
  view.setUint32(at + 8, entry.type, true);
  view.setUint32(at + 12, entry.topic, true);
  setU64(view, at + 16, entry.offset);
  setU64(view, at + 24, entry.timeMs);
  setU64(view, at + 32, entry.synced);
  const crc = crc32c(bytes, crc32c(bytes, nonce, at, at + 4), at + 8, at + ENTRY_HEADER_BYTES);
  view.setUint32(at + 4, crc32c(entry.payload, crc), true);
}

/** `short`: the entry goes on beyond the bytes. `broken`: no entry of this segment is here. */
export function parseEntry(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  nonce: number,
): Entry | 'short' | 'broken' {
  if (at + ENTRY_HEADER_BYTES > bytes.length) return 'short';
  const length = view.getUint32(at, true);
  const type = view.getUint32(at + 8, true);
  if (length > RECORD_BYTES_MAX || type < TYPE_RECORD || type > TYPE_CLOSE) return 'broken';
  const start = at + ENTRY_HEADER_BYTES;
  const end = start + length;
  if (end > bytes.length) return 'short';
  const crc = crc32c(bytes, crc32c(bytes, nonce, at, at + 4), at + 8, end);
  if (crc !== view.getUint32(at + 4, true)) return 'broken';
  return {
    type,
    topic: view.getUint32(at + 12, true),
    offset: getU64(view, at + 16),
    timeMs: getU64(view, at + 24),
    synced: getU64(view, at + 32),
    payload: bytes.subarray(start, end),
  };
}

/**
 * Visits the entries in `from`..`to` and returns where they end: `to`, or the position of the first
 * broken one.
 */
export async function scanEntries(
  file: DiskFile,
  nonce: number,
  from: number,
  to: number,
  visit: (entry: Entry, position: number) => void,
): Promise<number> {
  let position = from;
  let wanted = SCAN_BYTES;
  while (position < to) {
    const bytes = await file.read(position, Math.min(wanted, to - position));
    const view = viewOf(bytes);
    let at = 0;
    for (;;) {
      const entry = parseEntry(bytes, view, at, nonce);
      if (entry === 'broken') return position + at;
      if (entry === 'short') break;
      visit(entry, position + at);
      at += ENTRY_HEADER_BYTES + entry.payload.length;
    }
    position += at;
    // Not one whole entry: the next one is larger than the window, or the file ends inside it.
    const whole = entryBytes(bytes, view, at);
    if (at === 0 && (whole <= bytes.length || position + whole > to || bytes.length < wanted))
      return position;
    wanted = Math.max(SCAN_BYTES, whole);
  }
  return position;
}

/**
 * Whether the segment was durable beyond `position`: some entry behind it says so. Called where an
 * entry is broken, so it looks at every byte for the start of one.
 */
export async function wasSyncedBeyond(
  file: DiskFile,
  nonce: number,
  position: number,
  to: number,
): Promise<boolean> {
  for (let base = position; base < to; base += SCAN_BYTES) {
    const bytes = await file.read(base, Math.min(SCAN_BYTES + ENTRY_HEADER_BYTES, to - base));
    const view = viewOf(bytes);
    const last = Math.min(bytes.length - ENTRY_HEADER_BYTES, SCAN_BYTES - 1);
    for (let at = 0; at <= last; at++) {
      const type = view.getUint32(at + 8, true);
      if (type < TYPE_RECORD || type > TYPE_CLOSE) continue;
      const synced = getU64(view, at + 32);
      if (synced <= position || synced > base + at) continue;
      const whole = await file.read(base + at, entryBytes(bytes, view, at));
      const entry = parseEntry(whole, viewOf(whole), 0, nonce);
      if (typeof entry === 'object') return true;
    }
  }
  return false;
}

/**
 * Bytes of the entry at `at` by its length field; 0 where not even that is there or it cannot be.
 */
function entryBytes(bytes: Uint8Array, view: DataView, at: number): number {
  if (at + 4 > bytes.length) return 0;
  const length = view.getUint32(at, true);
  return length > RECORD_BYTES_MAX ? 0 : ENTRY_HEADER_BYTES + length;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
