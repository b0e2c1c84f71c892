/**
 * One simulated machine with one replica: its disk, its clock, its links, its process that may
 * crash and is started again, as a supervisor would.
 */
import { CaucusError } from '../../host/errors.ts';
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import type { Log } from '../../host/log/log.ts';
import { createReplica } from '../../host/replica/create-replica.ts';
import type { FetchedCheckpoint, ReplicaDependencies } from '../../host/replica/dependencies.ts';
import type { Phase } from '../../host/replica/lifecycle.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import type { Store } from '../../host/store/store.ts';
import { blockRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { rowKey } from '../oracle/row-set.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import type { HistoryEvent, NodeEvent } from '../support/history.ts';
import type { Random } from '../support/random.ts';
import { acquireEngine, compilersOf, releaseEngine } from './engines.ts';
import type { EngineName, PooledEngine } from './engines.ts';
import { FakeLog, goodLink } from './fake-log.ts';
import type { Broker, Link } from './fake-log.ts';
import { FakeStore } from './fake-store.ts';
import type { StoreLink, StoreState } from './fake-store.ts';
import type { Lane, Scheduler } from './scheduler.ts';

export interface NodeParts {
  readonly id: string;
  readonly scheduler: Scheduler;
  readonly broker: Broker;
  readonly store: StoreState;
  readonly random: Random;
  readonly engineName: EngineName;
  /** All nodes; digests are compared where there is more than one. */
  readonly nodeCount: number;
  readonly digestRevisions: number;
  readonly checkpointRevisions: number;
  readonly recordBytes: number;
  /** A `state` event is written at revisions that this divides. */
  readonly stateRevisions: number;
  readonly record: (event: HistoryEvent) => void;
  readonly peer: (id: string) => SimNode;
  /** What the replica sees in place of the log: how negative controls switch something off. */
  readonly wrapLog: ((log: Log, broker: Broker) => Log) | undefined;
}

/** The process that was asked is gone; what was asked may be done or not. */
export class Gone extends Error {}

const RESTART_MS = 100;

export class SimNode {
  readonly id: string;
  readonly disk: FaultyDisk;
  readonly link: Link = goodLink();
  readonly storeLink: StoreLink = { isCut: false, lossChance: 0 };
  /** Of its clock against virtual time. */
  clockOffsetMs = 0;
  run = 0;
  replica: LocalReplica | undefined;
  lane: Lane;
  /** It gave up and is not started again. */
  hasFailed = false;
  /** Newest revision of this run. */
  revision = -1;
  #phase: Phase = 'starting';
  /** Asked for while the process was still ending. */
  #isAskedToStart = false;
  readonly #parts: NodeParts;
  #engine: PooledEngine | undefined;
  #checkpoints: CheckpointStore | undefined;
  #waiting = new Set<() => void>();
  #isStarting = false;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.lane = parts.scheduler.lane(parts.id);
    this.disk = new FaultyDisk({ turn: () => this.lane.step() });
  }

  get isUp(): boolean {
    return this.replica !== undefined || this.#isStarting;
  }

  get isLive(): boolean {
    return this.replica !== undefined && this.#phase === 'live';
  }

  /** Starts the process; where it cannot start now, again after a while. */
  async start(): Promise<void> {
    this.#isAskedToStart = true;
    if (this.isUp || this.hasFailed) return;
    this.#isAskedToStart = false;
    this.#isStarting = true;
    this.#phase = 'starting';
    this.revision = -1;
    const run = ++this.run;
    const { scheduler, engineName } = this.#parts;
    const lane = scheduler.lane(`${this.id}#${run}`);
    this.lane = lane;
    const engine = await scheduler.real(acquireEngine(engineName));
    if (lane.isDead) return;
    engine.yield = () => lane.step();
    this.#engine = engine;
    this.#note('started');
    try {
      const replica = await createReplica(this.#dependencies(lane, engine, run));
      this.replica = replica;
      this.#isStarting = false;
      if (this.isLive) this.#note('live');
    } catch (error) {
      this.#isStarting = false;
      this.#fail(error);
    }
  }

  /** The process is gone at once; with the machine goes what was not synced. */
  async crash(withMachine: boolean): Promise<void> {
    if (!this.isUp) return;
    this.#note('crashed');
    await this.#end();
    if (withMachine) this.disk.crash(this.#parts.random);
    else this.disk.kill();
  }

  /** Ends in good order; it is down when this resolves. */
  async stop(): Promise<void> {
    const { replica } = this;
    if (replica === undefined) return;
    this.#isAskedToStart = false;
    await replica.close();
    if (this.replica !== replica) return;
    this.#note('stopped');
    await this.#end();
    this.disk.kill();
    if (this.#isAskedToStart) await this.start();
  }

  pause(): void {
    if (!this.isUp || this.lane.isPaused) return;
    this.#note('paused');
    this.lane.pause();
  }

  resume(): void {
    if (!this.lane.isPaused) return;
    this.#note('resumed');
    this.lane.resume();
  }

  /** Asks the process over a network: late, in its own time, and no answer when it is gone. */
  request<T>(client: Lane, call: (replica: LocalReplica) => Promise<T>): Promise<T> {
    const { scheduler } = this.#parts;
    const { lane } = this;
    return new Promise((resolve, reject) => {
      const gone = (): void => {
        this.#waiting.delete(gone);
        client.after(scheduler.latency(), () => reject(new Gone()));
      };
      const answer = (settle: () => void): void => {
        if (!this.#waiting.delete(gone)) return;
        client.after(scheduler.latency(), settle);
      };
      this.#waiting.add(gone);
      if (!this.isUp) gone();
      lane.after(scheduler.latency(), () => {
        if (this.replica === undefined) {
          const error = new CaucusError('not_ready', 'the replica is starting');
          answer(() => reject(error));
          return;
        }
        call(this.replica).then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error as Error)),
        );
      });
    });
  }

  /** The newest checkpoint of this node, for another one. */
  async giveCheckpoint(asker: Lane): Promise<FetchedCheckpoint> {
    return await this.request(asker, async () => {
      const { checkpoint } = (await this.#checkpoints?.loadNewest()) ?? {};
      if (checkpoint === undefined) throw new CaucusError('not_ready', 'there is no checkpoint');
      const chunks: Uint8Array[] = [];
      for await (const chunk of checkpoint.chunks) chunks.push(chunk);
      return { revision: checkpoint.revision, chunks: asyncOf(chunks) };
    });
  }

  /** All rows that the replica has now, as an event. */
  recordState(revision: number, digest: string): void {
    const engine = this.#engine;
    const { replica, run } = this;
    if (engine === undefined) return;
    const atMs = this.#atMs();
    const keys = Object.keys(engine.stats().tables).filter((table) => !table.startsWith('$'));
    const births = replica === undefined ? null : birthsOf(replica, keys.sort());
    // Read before anything else runs: small tables come without a turn of the loop.
    const reading = keys.map(async (table) => [table, rowsOf(await engine.rows(table))] as const);
    void Promise.all(reading).then((read) => {
      const tables = Object.fromEntries(read.filter(([, rows]) => rows.length > 0));
      const { id: node } = this;
      this.#parts.record({ event: 'state', atMs, node, run, revision, digest, tables, births });
    });
  }

  #dependencies(lane: Lane, engine: PooledEngine, run: number): ReplicaDependencies {
    const { scheduler, broker, store, random, wrapLog, ...parts } = this.#parts;
    const log = new FakeLog({ broker, lane, link: this.link, random, writer: `${this.id}#${run}` });
    const fakeStore: Store = new FakeStore({
      state: store,
      scheduler,
      network: broker.network,
      lane,
      link: this.storeLink,
      random,
    });
    const checkpoints = new CheckpointStore(this.disk.attach(), '/data/checkpoints');
    this.#checkpoints = checkpoints;
    let ids = 0;
    return {
      engine,
      ...compilersOf(parts.engineName),
      log: wrapLog?.(log, broker) ?? log,
      store: fakeStore,
      checkpoints,
      fetchCheckpoint: (url) => parts.peer(url).giveCheckpoint(lane),
      now: () => Math.floor(scheduler.nowMs + this.clockOffsetMs),
      setTimer: (callback, ms) => lane.after(ms, callback),
      random: () => random.next(),
      randomId: () => `${this.id}#${run}-${ids++}-${random.int(1_000_000)}`,
      yield: () => lane.step(),
      onProblem: (error) => this.#problem(error, run),
      onPhase: (phase) => {
        if (run === this.run) this.#phase = phase;
        if (phase === 'quarantined') this.#note('problem', { code: 'quarantined' });
      },
      onRevision: (revision, digestNow) => {
        const digest = digestNow();
        if (run === this.run) this.revision = revision;
        const atMs = this.#atMs();
        parts.record({ event: 'commit', atMs, node: this.id, run, revision, digest });
        if (revision % parts.stateRevisions === 0) this.recordState(revision, digest);
      },
      onDiverged: () => {
        this.hasFailed = true;
      },
      ...(parts.nodeCount > 1
        ? { node: { nodeId: this.id, url: this.id, digestRevisions: parts.digestRevisions } }
        : {}),
      settings: {
        checkpointRevisions: parts.checkpointRevisions,
        recordBytes: parts.recordBytes,
      },
    };
  }

  #problem(error: Error, run: number): void {
    if (run !== this.run) return;
    const code = codeOf(error);
    // While it starts, what is of no use is reported and something else tried.
    const isForGood = FATAL.has(code) && !this.#isStarting;
    this.#note(isForGood ? 'failed' : 'problem', { code, message: error.message });
    if (isForGood) this.hasFailed = true;
  }

  #fail(error: unknown): void {
    const code = codeOf(error);
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const isForGood = FATAL.has(code);
    this.#note(isForGood ? 'failed' : 'problem', { code, message: isForGood ? message : '' });
    if (isForGood) this.hasFailed = true;
    void this.#end().then(() => {
      this.disk.kill();
      if (isForGood) return;
      this.lane = this.#parts.scheduler.lane(this.id);
      this.lane.after(RESTART_MS, () => void this.start());
    });
  }

  async #end(): Promise<void> {
    this.lane.kill();
    this.replica = undefined;
    this.#isStarting = false;
    for (const gone of this.#waiting) gone();
    const engine = this.#engine;
    this.#engine = undefined;
    if (engine !== undefined) await this.#parts.scheduler.real(releaseEngine(engine));
  }

  #note(what: NodeEvent['what'], more: { code?: string; message?: string } = {}): void {
    const { record } = this.#parts;
    record({ event: 'node', atMs: this.#atMs(), node: this.id, run: this.run, what, ...more });
  }

  #atMs(): number {
    const { scheduler } = this.#parts;
    return Math.round((scheduler.nowMs - scheduler.startMs) * 1000) / 1000;
  }
}

/** No start helps against these. */
const FATAL: ReadonlySet<string> = new Set([
  'log_damaged',
  'log_diverged',
  'state_diverged',
  'unsupported_record',
  'internal',
  'defect',
]);

export function codeOf(error: unknown): string {
  if (error instanceof CaucusError) return error.code;
  if (error instanceof Gone) return 'unknown';
  return 'defect';
}

export function rowsOf(block: RowBlock): string[] {
  return [...blockRows(block)].map(rowKey).sort();
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function birthsOf(
  replica: LocalReplica,
  tables: readonly string[],
): Record<string, [string, number][]> {
  const births: Record<string, [string, number][]> = {};
  for (const table of tables.filter((key) => key.startsWith('execute:'))) {
    const rows = replica.births(table);
    if (rows.length > 0) births[table] = rows.map(([row, born]) => [hexOf(row), born]);
  }
  return births;
}

function hexOf(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('hex');
}
