/**
 * The links of one node: a proxy before each broker, and one before the database. Kafka tells its
 * clients where brokers are, so each node has a listener of its own there (`linkPorts`).
 */
import type { RunningKafka } from '../../deploy/loopback/kafka.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { FaultMode, FaultProxy, Target } from '../support/fault-proxy.ts';

export class Links {
  readonly kafka: readonly FaultProxy[];
  readonly database: FaultProxy;

  private constructor(kafka: readonly FaultProxy[], database: FaultProxy) {
    this.kafka = kafka;
    this.database = database;
  }

  /** Where they lead is said later; until then they are cut. */
  static async open(brokers: number, seed: number): Promise<Links> {
    const proxies = await Promise.all(
      Array.from({ length: brokers + 1 }, (_, index) => startFaultProxy({ seed: seed + index })),
    );
    return new Links(proxies.slice(1), proxies[0] as FaultProxy);
  }

  get ports(): readonly number[] {
    return this.kafka.map(({ port }) => port);
  }

  /** `host:port` of each broker, through this node's links. */
  get brokers(): readonly string[] {
    return this.kafka.map(({ host, port }) => `${host}:${port}`);
  }

  /** `index`: which of the listeners is this node's. */
  leadToKafka(kafka: RunningKafka, index: number): void {
    for (const [broker, proxy] of this.kafka.entries()) {
      proxy.forwardTo(kafka.nodes[broker]?.linkTargets[index] as Target);
    }
  }

  /** The URL through this node's link. */
  leadToDatabase(url: string): string {
    const through = new URL(url);
    this.database.forwardTo({ host: through.hostname, port: Number(through.port) });
    through.hostname = this.database.host;
    through.port = String(this.database.port);
    return through.href;
  }

  setKafka(mode: FaultMode): void {
    for (const proxy of this.kafka) proxy.set(mode);
  }

  heal(): void {
    this.setKafka({ kind: 'pass' });
    this.database.set({ kind: 'pass' });
  }

  async close(): Promise<void> {
    await Promise.all([...this.kafka, this.database].map((proxy) => proxy.close()));
  }
}
