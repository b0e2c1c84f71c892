/** The policy records that were applied, as far back as the log goes. */
import type { Log } from '../log/log.ts';
import { decodeRecord } from '../log/records.ts';
import type { PolicyRecord } from '../log/records.ts';
import { TopicReader } from './topic-reader.ts';
import { POLICY_TOPIC } from './topics.ts';

/** `end`: up to where the topic is applied. */
export async function readPolicyRecords(log: Log, end: number): Promise<PolicyRecord[]> {
  const { start } = await log.bounds(POLICY_TOPIC);
  const records: PolicyRecord[] = [];
  const reader = new TopicReader({ log, topic: POLICY_TOPIC, from: start });
  try {
    for await (const { bytes } of reader.readTo(end)) {
      const record = decodeRecord(bytes);
      if (record.kind === 'policy') records.push(record);
    }
  } finally {
    reader.close();
  }
  return records;
}
