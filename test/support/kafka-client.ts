/** Kafka through the stock client: what others may do to the topics, and a log to test. */
import { Kafka, logLevel } from 'kafkajs';
import type { Admin, ITopicConfig } from 'kafkajs';
import { openKafkaLog } from '../../host/log/kafka-log.ts';
import type { KafkaLog, KafkaLogOptions } from '../../host/log/kafka-log.ts';

/** A stock client that says nothing. */
export function stockClient(brokers: readonly string[]): Kafka {
  return new Kafka({ brokers: [...brokers], clientId: 'foreign', logLevel: logLevel.NOTHING });
}

export async function asAdmin<T>(
  brokers: readonly string[],
  body: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = stockClient(brokers).admin();
  await admin.connect();
  try {
    return await body(admin);
  } finally {
    await admin.disconnect();
  }
}

/** As the log makes its topics, on one broker; `settings` on top. */
export function topicConfig(
  topic: string,
  settings: Readonly<Record<string, string>> = {},
  numPartitions = 1,
): ITopicConfig {
  const all = {
    'retention.ms': '-1',
    'message.timestamp.type': 'LogAppendTime',
    'max.message.bytes': String(32 * 1024 * 1024),
    ...settings,
  };
  const configEntries = Object.entries(all).map(([name, value]) => ({ name, value }));
  return { topic, numPartitions, replicationFactor: 1, configEntries };
}

/** On one broker, and silent. */
export function openTestLog(
  brokers: readonly string[],
  bus: string,
  options: Partial<KafkaLogOptions> = {},
): Promise<KafkaLog> {
  return openKafkaLog({
    brokers,
    bus,
    clientId: 'test',
    replicationFactor: 1,
    now: Date.now,
    onProblem: () => undefined,
    onEvent: () => undefined,
    ...options,
  });
}
