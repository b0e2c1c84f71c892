/**
 * A replica with its writer: the fold in a loop over the cuts, and around it what clients see.
 * SPEC.md has the phases; `create-replica.ts` starts one.
 */
import { describePolicy } from '../compiler/describe-policies.ts';
import type { PolicyDescription } from '../compiler/describe-policies.ts';
import type { TableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import { DIGEST_REVISIONS, DISK_PROBE_MS, PUSH_LOG_MS } from '../limits.ts';
import { decodeRecord, recordChecksum } from '../log/records.ts';
import type { CutRecord } from '../log/records.ts';
import type { RowBlock } from '../value/row-block.ts';
import { BatchWriter } from './batch-writer.ts';
import { Checkpointer } from './checkpointer.ts';
import type { ClusterCheckpoints } from './checkpointer.ts';
import { contentStatus } from './content-status.ts';
import { CutReader } from './cut-reader.ts';
import type { ReplicaDependencies, ReplicaSettings } from './dependencies.ts';
import { stateDigest } from './digest.ts';
import { dryRunPolicy } from './dry-run.ts';
import { Explainer } from './explainer.ts';
import { Fold, FoldStalled } from './fold.ts';
import type { FoldCommit } from './fold.ts';
import type { Forks } from './forks.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { LiveEngine } from './live-engine.ts';
import { expectKnownLevel } from './members.ts';
import { Peers } from './peers.ts';
import { readPolicyRecords } from './policy-history.ts';
import { PolicyWriter, policyInvalid, unknownPolicy } from './policy-writer.ts';
import { QueryRunner } from './query-runner.ts';
import type {
  Batch,
  Commit,
  Consistency,
  Explanation,
  ExplainRequest,
  PolicyDryRun,
  PolicyPosition,
  PolicyWrite,
  Position,
  QueryAnswer,
  QueryRequest,
  Replica,
  ReplicaStatus,
  View,
  WhyNotAnswer,
  WhyNotRequest,
} from './replica.ts';
import type { ReplicatedState } from './replicated-state.ts';
import { semanticsMax } from './restore.ts';
import type { Restored } from './restore.ts';
import { policiesBehind, RevisionWaiters } from './revision-waiters.ts';
import { Sequencer } from './sequencer.ts';
import { encodePolicyToken, encodeToken } from './token.ts';
import { ReadingStopped, TopicReader } from './topic-reader.ts';
import { encodeCut, topicsOf } from './topic-ends.ts';
import { CUTS_TOPIC, POLICY_TOPIC } from './topics.ts';
import { adoptEnds } from './uncut-tail.ts';
import { ViewOpener } from './view-opener.ts';
import type { OpenRequest } from './view-opener.ts';
import { ViewRegistry } from './view-registry.ts';

export interface LocalReplicaOptions {
  readonly deps: ReplicaDependencies;
  readonly live: LiveEngine;
  readonly lifecycle: Lifecycle;
  readonly restored: Restored;
  readonly settings: ReplicaSettings;
}

export class LocalReplica implements Replica {
  readonly #deps: ReplicaDependencies;
  readonly #live: LiveEngine;
  readonly #lifecycle: Lifecycle;
  readonly #state: ReplicatedState;
  readonly #forks: Forks;
  readonly #fold: Fold;
  readonly #views = new ViewRegistry();
  readonly #sequencer: Sequencer;
  readonly #cutReader: CutReader;
  readonly #cuts: TopicReader;
  readonly #waiters: RevisionWaiters;
  /** For policy versions. */
  readonly #versionWaiters: RevisionWaiters;
  readonly #peers: Peers | undefined;
  readonly #followed = new Set<string>();
  readonly #batches: BatchWriter;
  readonly #policies: PolicyWriter;
  readonly #queries: QueryRunner;
  readonly #explainer: Explainer;
  readonly #opener: ViewOpener;
  readonly #checkpointer: Checkpointer;
  readonly #commitListeners = new Set<(commit: Commit) => void>();
  readonly #lostListeners = new Set<(table: TableKey, error: Error) => void>();
  #position: Position;
  #folding: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #probedAtMs = 0;

  constructor({ deps, live, lifecycle, restored, settings }: LocalReplicaOptions) {
    const { state, compiled, forks } = restored;
    this.#forks = forks;
    this.#deps = deps;
    this.#live = live;
    this.#lifecycle = lifecycle;
    this.#state = state;
    this.#position = this.#positionAt(state.revision);
    this.#waiters = new RevisionWaiters(deps.setTimer);
    this.#versionWaiters = new RevisionWaiters(deps.setTimer);
    const owner = deps.randomId();
    this.#peers = this.#createPeers(owner);
    lifecycle.onPhase(() => this.#peers?.phaseOnChange());
    this.#fold = new Fold(
      {
        state,
        live,
        lower: deps.lower,
        views: this.#views,
        memoryFailsPolicies: settings.memoryFailsPolicies,
        semanticsMax: settings.semanticsMax,
        onCommit: (commit) => this.#committed(commit),
      },
      compiled,
    );
    this.#cutReader = new CutReader({
      log: deps.log,
      setTimer: deps.setTimer,
      onSeen: (topic, end) => this.#peers?.topicOnSeen(topic, end),
      onFailed: (error) => this.#stall(error),
    });
    this.#cuts = new TopicReader({
      log: deps.log,
      topic: CUTS_TOPIC,
      from: state.revision + 1,
      onSeen: (_reader, records) => this.#peers?.cutsOnSeen(records),
    });
    this.#sequencer = new Sequencer({
      log: deps.log,
      cutsTopic: CUTS_TOPIC,
      encodeCut: (ends) => encodeCut(state, ends, deps.now()),
      checksumOf: recordChecksum,
      onAppend: (error) => this.#appended(error),
    });
    const submit = this.#sequencer.submit.bind(this.#sequencer);
    const position = (): Position => this.#position;
    this.#policies = new PolicyWriter({
      state,
      store: deps.store,
      submit,
      readPolicyRecords: () => readPolicyRecords(deps.log, state.ends.get(POLICY_TOPIC)?.end ?? 0),
      versionReached: (version, waitMs) => this.#versionReached(version, waitMs),
      setTimer: deps.setTimer,
      isAlone: deps.node === undefined,
    });
    this.#batches = new BatchWriter({
      state,
      compiled: () => this.#fold.compiled,
      submit,
      addSource: (name) => this.#policies.addSource(name),
      setTimer: deps.setTimer,
      logMs: deps.node === undefined ? Infinity : PUSH_LOG_MS,
      owner,
      recordBytes: settings.recordBytes,
    });
    this.#queries = new QueryRunner({
      logId: () => state.logId,
      live,
      lowerQuery: deps.lowerQuery,
      waiters: this.#waiters,
      versionReached: (version, waitMs) => this.#versionReached(version, waitMs),
      compiled: () => this.#fold.compiled,
      position,
      newestRevision: async () => (await deps.log.bounds(CUTS_TOPIC)).end - 1,
    });
    this.#explainer = new Explainer({
      live,
      queries: this.#queries,
      texts: () => this.#fold.compiled.catalog,
      yield: deps.yield,
    });
    this.#opener = this.#createOpener(position);
    this.#checkpointer = this.#createCheckpointer(settings);
  }

  /** Applies what the log has, cuts an uncut tail, agrees with the policy database. */
  async start(): Promise<void> {
    const { log } = this.#deps;
    await this.#catchUpTo((await log.bounds(CUTS_TOPIC)).end).catch((error: unknown) => {
      // Whoever tries again has readers of its own.
      this.#cuts.close();
      this.#cutReader.close();
      throw error instanceof FoldStalled ? error.error : error;
    });
    const isTailUncut = await adoptEnds(log, this.#state, this.#sequencer);
    if (isTailUncut && (await this.#cutTail())) {
      await this.#foldTo((await log.bounds(CUTS_TOPIC)).end);
    }
    this.#folding = this.#foldOn();
    try {
      await this.#policies.heal();
    } catch (error) {
      // The outbox waits: the next policy write, or the next look at it, heals it.
      if (!(error instanceof CaucusError)) throw error;
      if (error.code === 'disk_full') this.#lifecycle.on('append-failed');
      else if (this.#peers !== undefined && error.status === 503) this.#deps.onProblem?.(error);
      else throw error;
    }
    if (this.#peers === undefined) {
      this.#lifecycle.on('caught-up');
      return;
    }
    await this.#followTopics();
    // Until the others confirm it.
    if (this.#peers.isSuspect) this.#lifecycle.on('diverged');
    await this.#peers.start();
    this.#lifecycle.on('caught-up');
  }

  /** A transaction of the engine is under way. */
  get isEvaluating(): boolean {
    return this.#live.isEvaluating;
  }

  status(): ReplicaStatus {
    this.#probeDisk();
    const retained = this.#views.historyFrom;
    return {
      ...this.#position,
      phase: this.#lifecycle.phase,
      ready: this.#lifecycle.ready,
      ...contentStatus(this.#state, this.#live),
      digest: this.#digest(),
      ...(this.#peers === undefined ? {} : { cluster: this.#peers.status() }),
      ...(retained === undefined ? {} : { retainFrom: this.#positionAt(retained).token }),
    };
  }

  async query(request: QueryRequest): Promise<QueryAnswer> {
    this.#lifecycle.expectReadable();
    return await this.#queries.query(request);
  }

  async explain(request: ExplainRequest): Promise<Explanation> {
    this.#lifecycle.expectReadable();
    return await this.#explainer.explain(request);
  }

  async whyNot(request: WhyNotRequest): Promise<WhyNotAnswer> {
    this.#lifecycle.expectReadable();
    return await this.#explainer.whyNot(request);
  }

  async writeBatch(batch: Batch): Promise<Position> {
    this.#lifecycle.expectWritable();
    return this.#positionAt(await this.#batches.write(batch));
  }

  /** What a table of a source was given, in any order; undefined: the source is not there. */
  async baseRows(source: string, table: string): Promise<RowBlock | undefined> {
    this.#lifecycle.expectReadable();
    return await this.#live.read(async () => {
      if (!this.#state.sources.has(source)) return undefined;
      const options = { base: true, inAnyOrder: true };
      return await this.#live.engine.rows(`${source}:${table}`, options);
    });
  }

  async readPolicy(
    name: string,
    consistency?: Consistency,
  ): Promise<Position & { readonly text: string }> {
    this.#lifecycle.expectReadable();
    await this.#queries.settle(consistency);
    const policy = this.#state.policies.get(name);
    if (policy === undefined) throw unknownPolicy(name);
    return { text: policy.text, ...this.#position };
  }

  async describePolicy(
    name: string,
    consistency?: Consistency,
  ): Promise<Position & PolicyDescription> {
    this.#lifecycle.expectReadable();
    await this.#queries.settle(consistency);
    if (!this.#state.policies.has(name)) throw unknownPolicy(name);
    const { program } = this.#live.running;
    const info = program.policies?.find((policy) => policy.name === name);
    if (info === undefined) throw policyInvalid(name);
    return { ...describePolicy(program, info), ...this.#position };
  }

  async writePolicies(writes: readonly PolicyWrite[]): Promise<PolicyPosition> {
    this.#lifecycle.expectWritable();
    // A proposal would stay in the outbox and surprise its author after an error.
    if (this.#lifecycle.phase === 'read-only') await this.#sequencer.requestCut();
    const outcome = await this.#policies.write(writes);
    if (outcome === undefined) return this.#position;
    if ('revision' in outcome) return this.#positionAt(outcome.revision);
    const { logId, revision } = this.#state;
    return { revision, token: encodePolicyToken(logId, outcome.pendingVersion), pending: true };
  }

  /**
   * Raises the level of meaning on all replicas. `conflict` while one that was there lately does
   * not announce that it knows the level.
   */
  async raiseSemantics(level: number): Promise<Position> {
    this.#lifecycle.expectWritable();
    expectKnownLevel(level, semanticsMax(this.#deps), this.#peers?.members.list() ?? []);
    const outcome = await this.#policies.raiseSemantics(level);
    if (outcome !== undefined && 'revision' in outcome) return this.#positionAt(outcome.revision);
    throw new CaucusError('log_unavailable', 'the log cannot be reached', {
      remedy: 'look at the status in a moment: the change is stored',
    });
  }

  async dryRun(write: PolicyWrite): Promise<PolicyDryRun> {
    this.#lifecycle.expectReadable();
    return await dryRunPolicy(
      { fold: this.#fold, live: this.#live, policies: this.#policies },
      write,
    );
  }

  async openView(request: OpenRequest): Promise<View> {
    this.#lifecycle.expectReadable();
    return await this.#opener.open(request);
  }

  onCommit(listener: (commit: Commit) => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  onViewLost(listener: (table: TableKey, error: Error) => void): () => void {
    this.#lostListeners.add(listener);
    return () => this.#lostListeners.delete(listener);
  }

  /** Births of the rows of `execute` tables: the revision at which a row appeared. */
  births(table: TableKey): readonly (readonly [row: string, revision: number])[] {
    return this.#state.births.rows(table);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#lifecycle.on('close');
    // What was accepted is answered; the last cut is applied before the state is saved.
    await this.#sequencer.drain();
    this.#cuts.close();
    this.#cutReader.close();
    await this.#folding;
    await this.#live.queue.idle();
    if (this.#lifecycle.stall === undefined) await this.#checkpointer.saveLast();
    const stopped = new CaucusError('not_ready', 'the replica has stopped', {
      remedy: 'ask another replica, or again when it is back',
    });
    this.#waiters.fail(stopped);
    this.#versionWaiters.fail(stopped);
    this.#sequencer.fail(stopped);
    this.#lifecycle.on('drained');
    await this.#peers?.close();
  }

  /** Folds for ever; an error stops it and everything that waits for it. */
  async #foldOn(): Promise<void> {
    try {
      await this.#foldTo(Infinity);
    } catch (error) {
      if (!(error instanceof ReadingStopped)) this.#stall(error);
    }
  }

  /** Nothing more is applied, and nobody waits for it. */
  #stall(error: unknown): void {
    if (this.#lifecycle.stall !== undefined || this.#closing !== undefined) return;
    const reason = stallReason(error);
    this.#lifecycle.stallWith(reason);
    this.#sequencer.fail(reason);
    this.#waiters.fail(reason);
    this.#versionWaiters.fail(reason);
    this.#deps.onProblem?.(error instanceof Error ? error : reason);
    const isCurable = reason.code === 'revision_expired' || reason.code === 'state_diverged';
    if (isCurable && this.#peers !== undefined) this.#deps.onOvertaken?.();
  }

  /** A digest that nothing checks would tell of memory as it was. */
  async #scrub(): Promise<void> {
    const error = await this.#live.scrub();
    if (error !== undefined) this.#stall(error);
  }

  /** Replays, and lets the event loop turn meanwhile: whoever asks is told how far it is. */
  async #catchUpTo(end: number): Promise<void> {
    const { onProgress, yield: turn } = this.#deps;
    for (const newest = end - 1; ;) {
      const { revision } = this.#position;
      onProgress?.({ revision, newest: Math.max(revision, newest) });
      await turn();
      const { next } = this.#cuts;
      if (next >= end) return;
      await this.#foldTo(next + 1);
    }
  }

  async #foldTo(end: number): Promise<void> {
    for await (const { offset, bytes, appendTimeMs } of this.#cuts.readTo(end)) {
      if (this.#forks.isVoid(offset)) continue;
      const record = decodeRecord(bytes);
      if (record.kind === 'fork') {
        const fork = this.#forks.at(offset) ?? record;
        await this.#live.queue.run(() => Promise.resolve(this.#fold.fork(offset, fork)));
        continue;
      }
      // Two starters may both have written an identity: the first one holds.
      const cut = record.kind === 'genesis' ? EMPTY_CUT : record;
      if (cut.kind !== 'cut') {
        throw new CaucusError('unsupported_record', `\`${cut.kind}\` record among the cuts`, {
          remedy: 'run the version of caucus that wrote it, or a later one',
        });
      }
      const content = await this.#cutReader.read(cut, this.#state.ends);
      await this.#live.queue.run(() => this.#fold.apply(offset, cut, appendTimeMs, content));
    }
  }

  /** Names what a crash left without a cut. False while the disk is full. */
  async #cutTail(): Promise<boolean> {
    try {
      await this.#deps.log.append(CUTS_TOPIC, [
        encodeCut(this.#state, this.#sequencer.ends, this.#deps.now()),
      ]);
      return true;
    } catch (error) {
      this.#appended(error);
      if (this.#lifecycle.phase !== 'read-only') throw error;
      return false;
    }
  }

  #createOpener(position: () => Position): ViewOpener {
    const { now, yield: turn } = this.#deps;
    return new ViewOpener({
      logId: () => this.#state.logId,
      fold: this.#fold,
      live: this.#live,
      views: this.#views,
      queries: this.#queries,
      position,
      now,
      yield: turn,
      onLost: (entry, error) => this.#viewLost(entry.table, error),
    });
  }

  #createCheckpointer(settings: ReplicaSettings): Checkpointer {
    const { log, checkpoints, onProblem } = this.#deps;
    const cluster =
      this.#peers === undefined ? {} : { cluster: clusterCheckpoints(this.#deps, this.#peers) };
    return new Checkpointer(
      {
        state: this.#state,
        live: this.#live,
        log,
        checkpoints,
        settings,
        ...cluster,
        onProblem: (error) => onProblem?.(error),
      },
      this.#state.revision,
    );
  }

  #createPeers(owner: string): Peers | undefined {
    const { log, leases, node, now, setTimer, random, onProblem, onDiverged } = this.#deps;
    if (node === undefined) return undefined;
    return new Peers({
      log,
      leases,
      node,
      owner,
      semantics: semanticsMax(this.#deps),
      now,
      setTimer,
      random,
      applied: this.#state.ends,
      presence: () => ({
        phase: this.#lifecycle.phase,
        revision: this.#state.revision,
        checkpointRevision: this.#checkpointer.savedRevision,
      }),
      propose: async (ends) => {
        for (const [topic, end] of ends) this.#sequencer.adoptEnd(topic, end);
        await this.#sequencer.requestCut();
      },
      repair: () => this.#policies.repair(),
      onDiverged: (suspect, error) => {
        onProblem?.(error);
        this.#lifecycle.on('diverged');
        onDiverged?.(suspect);
      },
      onAgreed: () => this.#lifecycle.on('agreed'),
      onProblem: (error) => onProblem?.(error),
    });
  }

  /** Reads ahead of the cuts what any writer may append to. */
  async #followTopics(): Promise<void> {
    for (const topic of topicsOf(this.#state)) {
      if (this.#followed.has(topic)) continue;
      this.#followed.add(topic);
      await this.#cutReader.follow(topic, this.#state.ends.get(topic)?.end ?? 0);
    }
  }

  async #versionReached(version: number, waitMs: number): Promise<void> {
    if (this.#state.policyVersion >= version) return;
    await this.#versionWaiters.wait(version, waitMs, () => policiesBehind(this.#state, version));
  }

  /** In the tick of the commit. */
  #committed(commit: FoldCommit): void {
    const { revision, deltas, verdicts, lostViews, recordBytes } = commit;
    this.#position = this.#positionAt(revision);
    this.#views.record(deltas, this.#position);
    this.#deps.onRevision?.(revision, () => this.#digest());
    for (const listener of this.#commitListeners) {
      this.#guarded(() => listener({ ...this.#position, deltas }));
    }
    for (const { entry, error } of lostViews) this.#viewLost(entry.table, error);
    this.#sequencer.cutApplied(revision, verdicts);
    this.#waiters.reached(revision);
    this.#versionWaiters.reached(this.#state.policyVersion);
    this.#peers?.revisionOnCommit(revision, () => this.#digest());
    const { digestRevisions = DIGEST_REVISIONS } = this.#deps.node ?? {};
    if (revision % digestRevisions === 0 && this.#lifecycle.ready) void this.#scrub();
    if (this.#peers !== undefined && this.#followed.size <= this.#state.sources.size) {
      this.#followTopics().catch((error: unknown) => {
        if (error instanceof ReadingStopped) return;
        this.#deps.onProblem?.(error instanceof Error ? error : new Error(String(error)));
      });
    }
    this.#checkpointer.committed(recordBytes);
    this.#opener.sweep();
  }

  #viewLost(table: TableKey, error: Error): void {
    for (const listener of this.#lostListeners) this.#guarded(() => listener(table, error));
  }

  /** A defect of a subscriber must not stop the fold. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#deps.onProblem?.(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #appended(error: unknown): void {
    if (error === undefined) this.#lifecycle.on('append-worked');
    else if (error instanceof CaucusError && error.code === 'log_diverged') this.#stall(error);
    else if (error instanceof CaucusError && error.code === 'disk_full') {
      this.#lifecycle.on('append-failed');
    }
  }

  /** Health checks of a replica whose disk was full find out whether it still is. */
  #probeDisk(): void {
    if (this.#lifecycle.phase !== 'read-only' || this.#lifecycle.stall !== undefined) return;
    const nowMs = this.#deps.now();
    if (nowMs - this.#probedAtMs < DISK_PROBE_MS) return;
    this.#probedAtMs = nowMs;
    // Still full: the phase says so.
    this.#sequencer.requestCut().catch(() => undefined);
  }

  #digest(): string {
    return stateDigest(this.#state, this.#live.engine.digest());
  }

  #positionAt(revision: number): Position {
    return { revision, token: encodeToken(this.#state.logId, revision) };
  }
}

function clusterCheckpoints({ node }: ReplicaDependencies, peers: Peers): ClusterCheckpoints {
  return {
    digestRevisions: node?.digestRevisions ?? 1,
    trimRevision: () => peers.trimRevision(),
  };
}

const EMPTY_CUT: CutRecord = { kind: 'cut', vector: [], timeMs: 0, asOf: null };

function stallReason(error: unknown): CaucusError {
  if (error instanceof FoldStalled) return error.error;
  if (error instanceof CaucusError) return error;
  return new CaucusError('internal', 'the replica stopped applying the log', {
    remedy: 'restart it; if it stops again, report the problem with the log',
    cause: error,
  });
}
