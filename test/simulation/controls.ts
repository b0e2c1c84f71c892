/**
 * The negative controls: each switches one mechanism off, from outside, by changing what a process
 * is given. The check that guards the mechanism must then fail.
 */
import { decodeRecord, encodeRecord, recordChecksum } from '../../host/log/records.ts';
import type { CaucusRecord, RecordChange, Vector, VectorEntry } from '../../host/log/records.ts';
import type { Engine } from '../../host/engine/engine.ts';
import type { Chunk, Log, LogRecord } from '../../host/log/log.ts';
import type { Broker } from './fake-log.ts';
import { ALL_ON } from './simulation.ts';
import type { SimulationOptions, Switches } from './simulation.ts';

/** Records as a replica reads them, one by one. */
function rewriting(log: Log, rewrite: (topic: string, record: LogRecord) => LogRecord): Log {
  return {
    ensureTopic: (topic) => log.ensureTopic(topic),
    append: (topic, records) => log.append(topic, records),
    bounds: (topic) => log.bounds(topic),
    trim: (topic, before) => log.trim(topic, before),
    close: () => log.close(),
    async *read(topic, from, signal): AsyncGenerator<Chunk, void, undefined> {
      for await (const { records, next } of log.read(topic, from, signal)) {
        yield { records: records.map((record) => rewrite(topic, record)), next };
      }
    },
  };
}

function rewritingCuts(log: Log, entryOf: (entry: VectorEntry) => VectorEntry): Log {
  const all = (vector: Vector): Vector => vector.map(entryOf);
  return rewriting(log, (topic, logged) => {
    const record = topic === 'cuts' ? decodeRecord(logged.bytes) : undefined;
    if (record?.kind !== 'cut') return logged;
    const { asOf } = record;
    const bytes = encodeRecord({
      ...record,
      vector: all(record.vector),
      asOf: asOf === null ? null : { ...asOf, vector: all(asOf.vector) },
    });
    return { ...logged, bytes };
  });
}

/** Topics count as far as they have come when the cut is read, not as far as it says. */
function withoutCuts(log: Log, broker: Broker): Log {
  return rewritingCuts(log, ({ topic }) => {
    const records = broker.topic(topic).records;
    const last = records.at(-1);
    return { topic, end: records.length, checksum: last === undefined ? 0 : checksumOf(last) };
  });
}

/** The checksum of whatever is there. */
function withoutChecksums(log: Log, broker: Broker): Log {
  return rewritingCuts(log, (entry) => {
    const last = broker.topic(entry.topic).records[entry.end - 1];
    return last === undefined ? entry : { ...entry, checksum: checksumOf(last) };
  });
}

const checksumOf = ({ bytes }: LogRecord): number => recordChecksum(bytes);

/** Every writer's records count, in the order of the log, as if they were those of one. */
function withoutFencing(log: Log, broker: Broker): Log {
  const isDriven = (topic: string): boolean => topic === 'source.drv.1';
  const cuts = rewritingCuts(log, (entry) => {
    const last = isDriven(entry.topic) ? unfenced(broker, entry.topic, entry.end - 1) : undefined;
    return last === undefined ? entry : { ...entry, checksum: checksumOf(last) };
  });
  return rewriting(cuts, (topic, logged) => {
    return isDriven(topic) ? (unfenced(broker, topic, logged.offset) ?? logged) : logged;
  });
}

/** How far a topic has been rewritten; one for all replicas of a run. */
interface Unfenced {
  readonly records: LogRecord[];
  readonly parts: Map<string, RecordChange[]>;
  sequence: number;
  batch: number;
}

const unfencedTopics = new WeakMap<Broker, Unfenced>();

function unfenced(broker: Broker, topic: string, offset: number): LogRecord | undefined {
  let known = unfencedTopics.get(broker);
  if (known === undefined) {
    known = { records: [], parts: new Map(), sequence: 0, batch: 0 };
    unfencedTopics.set(broker, known);
  }
  for (const logged of broker.topic(topic).records.slice(known.records.length)) {
    const bytes = encodeRecord(asOfOneWriter(known, decodeRecord(logged.bytes)));
    known.records.push({ ...logged, bytes });
  }
  return known.records[offset];
}

function asOfOneWriter(known: Unfenced, record: CaucusRecord): CaucusRecord {
  const writer = { generation: 1, owner: 'anybody' };
  if (record.kind === 'open' && known.records.length === 0) return { ...record, ...writer };
  const head = { ...writer, sequence: ++known.sequence };
  if (record.kind !== 'delta' && record.kind !== 'snapshot') return { kind: 'heartbeat', ...head };
  const key = `${record.generation} ${record.owner} ${record.batch}`;
  const changes = [...(known.parts.get(key) ?? []), ...record.changes];
  known.parts.set(key, changes);
  if (!record.lastOfBatch) return { kind: 'heartbeat', ...head };
  return { ...record, ...head, batch: ++known.batch, changes };
}

/** Another meaning: what is deleted stays. */
function withoutDeletes(engine: Engine): Engine {
  const transact: Engine['transact'] = ({ changes, ...transaction }) => {
    const kept = changes.map(({ delete: _gone, ...change }) => change);
    return engine.transact({ ...transaction, changes: kept });
  };
  return new Proxy(engine, {
    get: (target, name) => {
      if (name === 'transact') return transact;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

export type ControlName = 'cuts' | 'fencing' | 'atomicity' | 'tokens' | 'checksums' | 'meaning';

export interface Control extends Pick<SimulationOptions, 'losesRecords' | 'hitsDatasources'> {
  readonly switches: Switches;
  /** The invariants of which one must be found broken. */
  readonly breaks: readonly string[];
}

export const CONTROLS: Readonly<Record<ControlName, Control>> = {
  cuts: { switches: { ...ALL_ON, wrapLog: withoutCuts }, breaks: ['I1'] },
  fencing: {
    switches: { ...ALL_ON, wrapLog: withoutFencing },
    hitsDatasources: true,
    breaks: ['I3'],
  },
  atomicity: {
    switches: { ...ALL_ON, tearsBatches: true },
    breaks: ['I2'],
  },
  // Two builds that do not compute the same: the fresh replica is of the other one.
  meaning: { switches: { ...ALL_ON, wrapFreshEngine: withoutDeletes }, breaks: ['I1'] },
  tokens: { switches: { ...ALL_ON, ignoresTokens: true }, breaks: ['I5'] },
  checksums: {
    switches: { ...ALL_ON, wrapLog: withoutChecksums },
    losesRecords: 'untold',
    breaks: ['I1'],
  },
};
