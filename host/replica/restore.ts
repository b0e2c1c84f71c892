/**
 * From the log and the checkpoints to a state to go on from: genesis, newest checkpoint, checks.
 */
import { tableKey } from '../compiler/stratified.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { Engine, TableChange } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { decodeRecord, encodeRecord, recordChecksum } from '../log/records.ts';
import type { GenesisRecord } from '../log/records.ts';
import type { RowBlock } from '../value/row-block.ts';
import { decodeCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { catalogOf } from './catalog-of.ts';
import { expectKnownLevel } from './conflicts.ts';
import { diverged } from './cut-reader.ts';
import type { ReplicaDependencies } from './dependencies.ts';
import { stateDigest } from './digest.ts';
import { failedTableChange } from './fold.ts';
import { readForks } from './forks.ts';
import type { Forks } from './forks.ts';
import type { LiveEngine } from './live-engine.ts';
import { nowTableChange } from './now-row.ts';
import { planProgram } from './planner.ts';
import { compilePolicies } from './program.ts';
import type { Compiled } from './program.ts';
import { pastMembers } from './members.ts';
import type { Member } from './members.ts';
import { PeerCheckpoints } from './peer-checkpoints.ts';
import { initialState } from './replicated-state.ts';
import type { ReplicatedState } from './replicated-state.ts';
import { sourceRows, sourcesTableChange } from './source-rows.ts';
import { DIVERGED_REMEDY, LOG_REMEDY, TopicReader } from './topic-reader.ts';
import { CUTS_TOPIC, POLICY_TOPIC } from './topics.ts';

export const LOG_FORMAT = 1;
/** The highest level of meaning that this code knows; a log begins with it. */
const SEMANTICS_LEVEL = 1;

export function semanticsMax({ settings }: Pick<ReplicaDependencies, 'settings'>): number {
  return settings?.semanticsMax ?? SEMANTICS_LEVEL;
}

export interface Restored {
  readonly state: ReplicatedState;
  readonly compiled: Compiled;
  readonly forks: Forks;
}

/**
 * Makes the log's identity if it has none; undefined where it was trimmed (the checkpoint has it).
 */
export async function readGenesis(
  deps: Pick<ReplicaDependencies, 'log' | 'randomId' | 'checkpoints' | 'store' | 'settings'>,
): Promise<GenesisRecord | undefined> {
  const { log } = deps;
  await log.ensureTopic(CUTS_TOPIC);
  await log.ensureTopic(POLICY_TOPIC);
  let { start, end } = await log.bounds(CUTS_TOPIC);
  if (start > 0) return undefined;
  if (end === 0) {
    await expectNothingElse(deps);
    // Another starter may have begun the log meanwhile: then the first identity holds, not ours.
    const genesis = {
      kind: 'genesis',
      logId: deps.randomId(),
      format: LOG_FORMAT,
      semantics: semanticsMax(deps),
    } as const;
    await log.append(CUTS_TOPIC, [encodeRecord(genesis)]);
    end = 1;
  }
  const record = decodeRecord(await readRecord(log, CUTS_TOPIC, 0));
  if (record.kind !== 'genesis') {
    throw new CaucusError('log_damaged', 'the log does not begin with its identity', {
      remedy: LOG_REMEDY,
      details: { kind: record.kind },
    });
  }
  if (record.format !== LOG_FORMAT || record.semantics > semanticsMax(deps)) {
    throw new CaucusError(
      'unsupported_record',
      `the log has format ${record.format} and semantics level ${record.semantics}`,
      { remedy: 'run the version of caucus that wrote it, or a later one' },
    );
  }
  return record;
}

/** An empty log beside anything that was made from one: it was lost, and must not begin anew. */
async function expectNothingElse({
  log,
  checkpoints,
  store,
}: Pick<ReplicaDependencies, 'log' | 'checkpoints' | 'store'>): Promise<void> {
  const { checkpoint, damaged } = await checkpoints.loadNewest();
  const { version } = await store.head();
  const hasCheckpoint = checkpoint !== undefined || damaged.length > 0;
  if (!hasCheckpoint && version === 0) return;
  // What was written meanwhile came after another starter's identity.
  if ((await log.bounds(CUTS_TOPIC)).end > 0) return;
  const left = hasCheckpoint ? 'checkpoints are there' : `${version} policy changes are stored`;
  throw new CaucusError('log_damaged', `the log is empty, but ${left}`, { remedy: LOG_REMEDY });
}

/** Loads the newest checkpoint that fits the log, else begins with the log's first record. */
export async function restore(
  deps: ReplicaDependencies,
  live: LiveEngine,
  genesis: GenesisRecord | undefined,
): Promise<Restored> {
  const loaded = new Set<TableKey>();
  const { node } = deps;
  const announced = node === undefined ? [] : await pastMembers(deps.log);
  // What was saved after the replicas parted may be wrong.
  let revisionMax = node?.suspect?.agreedRevision ?? Number.MAX_SAFE_INTEGER;
  const peers = new PeerCheckpoints(deps, announced);
  const forks = await readForks(deps.log);
  for (;;) {
    const { checkpoint: file, damaged } = await deps.checkpoints.loadNewest(revisionMax);
    for (const { file: name, reason } of damaged) deps.onProblem?.(unusable(name, reason));
    if (file === undefined) {
      const fetched = await peers.fetchNext();
      if (fetched === undefined) break;
      revisionMax = Math.max(revisionMax, fetched);
      continue;
    }
    try {
      const checkpoint = decodeCheckpoint(await collect(file.chunks));
      const { state } = checkpoint;
      expectKnownLevel(state.semantics, semanticsMax(deps));
      if (state.revision !== file.revision) throw unusable(file.file, 'it is of another revision');
      const logId = forks.logIdAt(state.revision, genesis?.logId) ?? state.logId;
      if (state.logId !== logId || forks.isVoid(state.revision)) {
        throw unusable(file.file, 'it belongs to another log');
      }
      if (isContradicted(checkpoint, announced, node?.nodeId)) {
        throw unusable(file.file, 'other replicas had another state at its revision');
      }
      await verifyEnds(deps.log, state);
      return { ...(await load(deps, live, checkpoint, loaded)), forks };
    } catch (error) {
      // A checkpoint ahead of its log means that the log lost what was acknowledged.
      if (!(error instanceof CaucusError) || error.code !== 'log_damaged') throw error;
      deps.onProblem?.(error);
      revisionMax = file.revision - 1;
    }
  }
  if (genesis === undefined) {
    if (peers.areExpected) {
      throw new CaucusError('not_ready', 'no other replica gives a checkpoint at the moment', {
        remedy: 'start again when another replica can be reached',
      });
    }
    throw new CaucusError('log_damaged', 'the log was trimmed and no checkpoint fits it', {
      remedy: LOG_REMEDY,
    });
  }
  const state = initialState(genesis.logId, genesis.semantics);
  const first = { state, base: new Map(), digest: '' };
  return { ...(await load(deps, live, first, loaded)), forks };
}

/** Others have published a digest of this revision, and none is that of the checkpoint. */
function isContradicted(
  { state, digest }: Checkpoint,
  announced: readonly Member[],
  nodeId: string | undefined,
): boolean {
  const published = announced
    .filter((member) => member.nodeId !== nodeId)
    .map(({ digests }) => digests.get(state.revision))
    .filter((text) => text !== undefined);
  return published.length > 0 && !published.includes(digest);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of chunks) {
    parts.push(part);
    length += part.length;
  }
  if (parts.length === 1) return parts[0] as Uint8Array;
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** The last record that was applied of each topic must still be the same. */
async function verifyEnds(log: Log, state: ReplicatedState): Promise<void> {
  const ends = [...state.ends].map(([topic, { end, checksum }]) => ({ topic, end, checksum }));
  for (const { topic, end, checksum } of ends) {
    const bounds = await boundsOf(log, topic);
    if (bounds.end < end) throw lostRecords(topic, bounds.end, end);
    if (bounds.start > end) throw trimmedPast(topic, bounds.start, end);
    if (end === 0 || bounds.start > end - 1) continue;
    if (recordChecksum(await readRecord(log, topic, end - 1)) !== checksum) {
      throw diverged(topic, end - 1);
    }
  }
  const cuts = await log.bounds(CUTS_TOPIC);
  if (cuts.end <= state.revision) throw lostRecords(CUTS_TOPIC, cuts.end, state.revision + 1);
  if (cuts.start > state.revision + 1)
    throw trimmedPast(CUTS_TOPIC, cuts.start, state.revision + 1);
}

async function load(
  deps: ReplicaDependencies,
  live: LiveEngine,
  checkpoint: Checkpoint,
  loaded: Set<TableKey>,
): Promise<Omit<Restored, 'forks'>> {
  const { state, base } = checkpoint;
  const catalog = catalogOf(state.policies, state.sources, [...state.failures.values()]);
  const compiled = compilePolicies(catalog);
  const planned = planProgram(deps.lower, {
    program: compiled.program,
    roots: state.failures,
    views: [],
    compileView: () => {
      throw new Error('there are no views yet');
    },
  });
  const known = new Set(compiled.program.tables.map(tableKey));
  const changes: TableChange[] = [
    failedTableChange(planned.failures),
    sourcesTableChange(sourceRows(state.sources.values(), state.timeMs)),
    nowTableChange(state.timeMs),
  ];
  for (const [table, insert] of base) changes.push({ table, replace: true, insert });
  // What a checkpoint before this one left in the engine.
  for (const table of loaded) {
    if (!base.has(table) && known.has(table)) changes.push({ table, replace: true });
  }
  for (const table of base.keys()) loaded.add(table);
  const failure = await live.transact({ plan: planned.plan, changes, withoutDeltas: true }, () => {
    const { program, plan, tables, failures, readsNow } = planned;
    live.commit({
      program,
      plan,
      tables,
      failures,
      readsNow,
      viewTables: new Set(),
      generation: 0,
    });
  });
  if (failure !== undefined) {
    const code = failure.code === 'out_of_memory' ? 'out_of_memory' : 'log_damaged';
    throw new CaucusError(
      code,
      `checkpoint ${state.revision} cannot be loaded: ${failure.message}`,
      {
        remedy: code === 'out_of_memory' ? 'give the machine more memory' : LOG_REMEDY,
      },
    );
  }
  if (checkpoint.digest === '') return { state, compiled };
  await verifyBirths(live.engine, state);
  const digest = stateDigest(state, live.engine.digest());
  if (digest !== checkpoint.digest) {
    throw new CaucusError('log_damaged', `checkpoint ${state.revision} gives another state`, {
      remedy: 'remove the checkpoint: the one before it or the log is used',
      details: { revision: state.revision, digest, expected: checkpoint.digest },
    });
  }
  return { state, compiled };
}

async function verifyBirths(engine: Engine, state: ReplicatedState): Promise<void> {
  for (const table of state.births.tables()) {
    const rows: RowBlock = await engine.rows(table, { inAnyOrder: true });
    if (state.births.covers(table, rows)) continue;
    throw new CaucusError('log_damaged', `checkpoint ${state.revision}: births of \`${table}\``, {
      remedy: 'remove the checkpoint: the one before it or the log is used',
    });
  }
}

export async function readRecord(log: Log, topic: string, offset: number): Promise<Uint8Array> {
  const reader = new TopicReader({ log, topic, from: offset });
  try {
    for await (const record of reader.readTo(offset + 1)) return record.bytes;
  } finally {
    reader.close();
  }
  throw new Error(`topic ${topic} has no record ${offset}`);
}

async function boundsOf(log: Log, topic: string): ReturnType<Log['bounds']> {
  await log.ensureTopic(topic);
  return await log.bounds(topic);
}

function lostRecords(topic: string, end: number, wanted: number): CaucusError {
  return new CaucusError(
    'log_diverged',
    `topic \`${topic}\` ends at ${end}, ${wanted} was acknowledged`,
    { remedy: DIVERGED_REMEDY, details: { topic, end, wanted } },
  );
}

function trimmedPast(topic: string, start: number, wanted: number): CaucusError {
  return new CaucusError('log_damaged', `topic \`${topic}\` begins at ${start}, after ${wanted}`, {
    remedy: LOG_REMEDY,
    details: { topic, start, wanted },
  });
}

function unusable(file: string, reason: string): CaucusError {
  return new CaucusError('log_damaged', `checkpoint \`${file}\` is not used: ${reason}`, {
    remedy: 'remove the file: an older one or the log itself is used',
    details: { file },
  });
}
