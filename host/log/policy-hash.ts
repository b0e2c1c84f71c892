/**
 * The chain of policy records: each carries the hash of the one before it, as the policy database
 * does.
 */
import { createHash } from 'node:crypto';
import { ByteWriter } from './bytes.ts';
import { writePolicyBody } from './record-payloads.ts';
import type { PolicyRecord } from './records.ts';

/** What the first record has as `previousHash`. */
export const NO_HASH = '0'.repeat(64);
const BODY_BYTES = 1024;

/** SHA-256, in hex, of the payload of the policy record without its own hash. */
export function policyHash(record: Omit<PolicyRecord, 'kind' | 'hash'>): string {
  const writer = new ByteWriter(BODY_BYTES);
  writePolicyBody(writer, record);
  return createHash('sha256').update(writer.finish()).digest('hex');
}

/** The last record of the chain so far; version 0 with `NO_HASH` before the first one. */
export interface ChainEnd {
  readonly version: number;
  readonly hash: string;
}

/** Whether the record is the next of the chain: otherwise it counts for nothing. */
export function continuesChain(end: ChainEnd, record: PolicyRecord): boolean {
  return (
    record.version === end.version + 1 &&
    record.previousHash === end.hash &&
    record.hash === policyHash(record)
  );
}
