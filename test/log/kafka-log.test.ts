/** The contract of the log, and what only Kafka does, over a real broker. */
import { openKafkaLog } from '../../host/log/kafka-log.ts';
import type { KafkaLog, KafkaLogOptions } from '../../host/log/kafka-log.ts';
import { logSuite } from '../suites/log-suite.ts';
import { freshTopicPrefix, kafkaOrSkip } from '../support/components.ts';

function openOn(
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

logSuite('log on kafka', async (t) => {
  const brokers = await kafkaOrSkip(t);
  if (brokers === undefined) return undefined;
  const bus = `${freshTopicPrefix()}x`;
  const opened: KafkaLog[] = [];
  return {
    open: async () => {
      const log = await openOn(brokers, bus);
      opened.push(log);
      return log;
    },
    close: async () => {
      await Promise.all(opened.map((log) => log.close()));
    },
  };
});
