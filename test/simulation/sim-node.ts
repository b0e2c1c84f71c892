/** A machine with a replica. */
import { CaucusError } from '../../host/errors.ts';
import type { Engine } from '../../host/engine/engine.ts';
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import type { Log } from '../../host/log/log.ts';
import { createReplica } from '../../host/replica/create-replica.ts';
import type { FetchedCheckpoint, ReplicaDependencies } from '../../host/replica/dependencies.ts';
import type { Phase } from '../../host/replica/lifecycle.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import { blockRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { rowKey } from '../oracle/row-set.ts';
import { acquireEngine, compilersOf, releaseEngine } from './engines.ts';
import type { EngineName, HeldEngine } from './engines.ts';
import type { Broker } from './fake-log.ts';
import type { Lane } from './scheduler.ts';
import { SimProcess } from './sim-process.ts';
import type { Life, ProcessParts } from './sim-process.ts';

export interface NodeParts extends ProcessParts {
  readonly engineName: EngineName;
  /** Replicas; digests are compared where there is more than one. */
  readonly nodeCount: number;
  readonly digestRevisions: number;
  readonly checkpointRevisions: number;
  readonly recordBytes: number;
  /** A `state` event is written at revisions that this divides. */
  readonly stateRevisions: number;
  readonly peer: (id: string) => SimNode;
  /** It replays the log rather than to ask others for a checkpoint, unless that was trimmed. */
  readonly isFresh: boolean;
  readonly wrapEngine: ((engine: Engine) => Engine) | undefined;
  /** What the replica sees in place of the log: how negative controls switch something off. */
  readonly wrapLog: ((log: Log, broker: Broker) => Log) | undefined;
}

/** The process that was asked is gone; what was asked may be done or not. */
export class Gone extends Error {}

const RESTART_MS = 100;

export class SimNode extends SimProcess {
  /** Newest of this run. */
  revision = -1;
  readonly #nodeParts: NodeParts;
  #replica: LocalReplica | undefined;
  #phase: Phase = 'starting';
  #engine: HeldEngine | undefined;
  #checkpoints: CheckpointStore | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(parts: NodeParts) {
    super(parts);
    this.#nodeParts = parts;
  }

  get isLive(): boolean {
    return this.#replica !== undefined && this.#phase === 'live';
  }

  /** Where the events of its present life happen. */
  get here(): Lane {
    return this.lane;
  }

  get phase(): string {
    return this.isUp ? this.#phase : 'down';
  }

  /** Asks the process over a network: late, in its own time, and no answer when it is gone. */
  request<T>(client: Lane, call: (replica: LocalReplica) => Promise<T>): Promise<T> {
    const { scheduler } = this.#nodeParts;
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
        if (this.#replica === undefined) {
          const error = new CaucusError('not_ready', 'the replica is starting');
          answer(() => reject(error));
          return;
        }
        call(this.#replica).then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error)),
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
  recordState(): void {
    if (this.#replica === undefined) return;
    const { revision, digest } = this.#replica.status();
    this.#recordStateAt(revision, digest);
  }

  protected async begin(life: Life): Promise<void> {
    const { scheduler, engineName } = this.#nodeParts;
    this.#phase = 'starting';
    this.revision = -1;
    const turn = (): Promise<void> => life.lane.step();
    const engine = await scheduler.real(acquireEngine(engineName, turn));
    this.#engine = engine;
    try {
      const replica = await createReplica(this.#dependencies(life, engine));
      this.#replica = replica;
      this.revision = replica.status().revision;
      if (this.isLive) this.note('live');
    } catch (error) {
      this.#failedToStart(error);
    }
  }

  protected async finish(): Promise<boolean> {
    if (this.#replica === undefined) return false;
    await this.#replica.close();
    return true;
  }

  protected async end(): Promise<void> {
    this.#replica = undefined;
    for (const gone of this.#waiting) gone();
    const engine = this.#engine;
    this.#engine = undefined;
    if (engine !== undefined) await this.#nodeParts.scheduler.real(releaseEngine(engine));
  }

  #dependencies({ run, lane, ...life }: Life, engine: HeldEngine): ReplicaDependencies {
    const { broker, random, wrapLog, record, ...parts } = this.#nodeParts;
    const checkpoints = new CheckpointStore(this.disk.attach(), '/data/checkpoints');
    this.#checkpoints = checkpoints;
    return {
      engine: parts.wrapEngine?.(engine) ?? engine,
      ...compilersOf(parts.engineName),
      log: wrapLog?.(life.log, broker) ?? life.log,
      store: life.store,
      checkpoints,
      fetchCheckpoint: (url) => {
        const isWhole = [...broker.topics].every(([name, { start }]) => {
          return name === 'replicas' || start === 0;
        });
        if (!parts.isFresh || !isWhole) return parts.peer(url).giveCheckpoint(lane);
        return Promise.reject(new CaucusError('not_ready', 'nobody is asked'));
      },
      now: life.now,
      setTimer: (callback, ms) => lane.after(ms, callback),
      random: () => random.next(),
      randomId: life.randomId,
      yield: () => lane.step(),
      onProblem: (error) => {
        if (run === this.run) this.#problem(error);
      },
      onPhase: (phase) => {
        if (run !== this.run) return;
        this.#phase = phase;
        if (phase === 'quarantined') this.note('problem', { code: 'quarantined' });
      },
      onRevision: (revision, digestNow) => {
        if (run !== this.run) return;
        const digest = digestNow();
        this.revision = revision;
        record({ event: 'commit', atMs: this.atMs(), node: this.id, run, revision, digest });
        if (revision % parts.stateRevisions === 0) this.#recordStateAt(revision, digest);
      },
      onDiverged: () => {
        this.hasFailed = true;
      },
      onOvertaken: () => {
        if (run !== this.run) return;
        this.note('problem', { code: 'overtaken' });
        lane.after(0, () => void this.exit(RESTART_MS));
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

  #recordStateAt(revision: number, digest: string): void {
    const engine = this.#engine;
    if (engine === undefined) return;
    const { id: node, run } = this;
    const atMs = this.atMs();
    const keys = Object.keys(engine.stats().tables).filter((table) => !table.startsWith('$'));
    const births = this.#replica === undefined ? null : birthsOf(this.#replica, keys.sort());
    // Read before anything else runs: small tables come without a turn of the loop.
    const reading = keys.map(async (table) => [table, rowsOf(await engine.rows(table))] as const);
    void Promise.all(reading).then((read) => {
      const tables = Object.fromEntries(read.filter(([, rows]) => rows.length > 0));
      const { record } = this.#nodeParts;
      record({ event: 'state', atMs, node, run, revision, digest, tables, births });
    });
  }

  #problem(error: Error): void {
    const code = codeOf(error);
    // While it starts, what is of no use is reported and something else tried.
    const isForGood = FATAL.has(code) && this.#replica !== undefined;
    this.note(isForGood ? 'failed' : 'problem', { code, message: error.message });
    if (isForGood) this.hasFailed = true;
  }

  #failedToStart(error: unknown): void {
    const code = codeOf(error);
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.hasFailed = FATAL.has(code);
    this.note(this.hasFailed ? 'failed' : 'problem', {
      code,
      message: this.hasFailed ? message : '',
    });
    void this.exit(RESTART_MS);
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
