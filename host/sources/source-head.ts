/** Who wrote a record of a source's topic, without looking at its rows. */
import { BrokenBytes, ByteReader } from '../log/bytes.ts';
import { ENVELOPE_BYTES, RECORD_KINDS } from '../log/records.ts';

export interface SourceHead {
  readonly generation: number;
  readonly owner: string;
  /** 0 of an `open`. */
  readonly sequence: number;
}

/** Replicas cannot use this generation. */
export interface RefusedHead {
  readonly generation: number;
  readonly refused: string;
}

const { open, snapshot, delta, heartbeat, stale, refused } = RECORD_KINDS;
const KIND_AT = 5;

/** Undefined for records that do not have one. Bytes are not verified: the fold does that. */
export function sourceHead(bytes: Uint8Array): SourceHead | RefusedHead | undefined {
  const kind = bytes[KIND_AT] ?? 0;
  if (![open, snapshot, delta, heartbeat, stale, refused].includes(kind)) return undefined;
  try {
    const reader = new ByteReader(bytes.subarray(ENVELOPE_BYTES));
    const generation = reader.u64();
    if (kind === refused) return { generation, refused: reader.text() };
    const owner = reader.text();
    return { generation, owner, sequence: kind === open ? 0 : reader.u64() };
  } catch (error) {
    if (error instanceof BrokenBytes) return undefined;
    throw error;
  }
}
