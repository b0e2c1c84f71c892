import type { Appended } from '../log/log.ts';
import { recordChecksum } from '../log/records.ts';
import type { TopicEnd } from '../replica/sequencer.ts';

/** Where a topic ends behind records that were just appended; at least one. */
export function endOf(appended: Appended, records: readonly Uint8Array[]): TopicEnd {
  const last = appended.offsets?.at(-1) ?? appended.first + records.length - 1;
  return { end: last + 1, checksum: recordChecksum(records.at(-1) as Uint8Array) };
}
