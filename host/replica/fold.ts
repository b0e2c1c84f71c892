/**
 * The fold: state at one cut → state at the next. No clock, no randomness, no I/O but reading the
 * log; what it decides is a function of the records alone, so every replica decides the same.
 *
 * What is in the log always applies. Where derived rows exceed a limit, the policy to blame is left
 * out and failed, and the cut is applied without it; only a lack of memory stops the fold.
 */
import { PlanMemory } from '../compiler/plan-memory.ts';
import { compileQuery } from '../compiler/query.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type {
  TableChange,
  TableDelta,
  TransactionFailure,
  TransactionSuccess,
} from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { REJECTED_VERSIONS_MAX, TIME_STEP_MS } from '../limits.ts';
import type { CutRecord, ForkRecord } from '../log/records.ts';
import { encodeRows } from '../value/row-block.ts';
import type { Row } from '../value/value.ts';
import { CutDraft } from './cut-draft.ts';
import type { AcceptedBatch } from './cut-draft.ts';
import type { CutContent } from './cut-reader.ts';
import { failedRows } from './failures.ts';
import type { Failures } from './failures.ts';
import type { LiveEngine, Running } from './live-engine.ts';
import { nowTableChange } from './now-row.ts';
import { planProgram } from './planner.ts';
import type { Lower, Planned } from './planner.ts';
import type { Compiled } from './program.ts';
import { invalidPolicy } from './program.ts';
import type { ReplicatedState } from './replicated-state.ts';
import type { Verdict } from './sequencer.ts';
import { sameRows, sourceRows, sourcesTableChange } from './source-rows.ts';
import { isViewTable, plannedTable } from './view-registry.ts';
import type { ViewEntry, ViewRegistry } from './view-registry.ts';

export const FAILED_TABLE: TableKey = 'system:failed';

export interface FoldOptions {
  readonly state: ReplicatedState;
  readonly live: LiveEngine;
  readonly lower: Lower;
  readonly views: ViewRegistry;
  readonly memoryFailsPolicies: boolean;
  readonly semanticsMax: number;
  /** In the tick of the commit, before anything else can run. */
  readonly onCommit: (commit: FoldCommit) => void;
}

export interface FoldCommit {
  readonly revision: number;
  readonly deltas: ReadonlyMap<TableKey, TableDelta>;
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly lostViews: readonly { readonly entry: ViewEntry; readonly error: CaucusError }[];
  readonly recordBytes: number;
}

interface LostView {
  readonly entry: ViewEntry;
  readonly error: CaucusError;
}

/** The cut cannot be applied by this process: it stays where it is, and is not ready. */
export class FoldStalled extends Error {
  readonly error: CaucusError;

  constructor(error: CaucusError) {
    super(error.message);
    this.name = 'FoldStalled';
    this.error = error;
  }
}

export class Fold {
  readonly state: ReplicatedState;
  readonly #options: FoldOptions;
  #compiled: Compiled;
  readonly #planMemory = new PlanMemory();
  #generation = 0;
  /** Rows of `system:sources` that the engine holds. */
  #sources: readonly Row[];

  constructor(options: FoldOptions, compiled: Compiled) {
    this.state = options.state;
    this.#options = options;
    this.#compiled = compiled;
    this.#sources = sourceRows(options.state.sources.values(), options.state.timeMs);
  }

  get compiled(): Compiled {
    return this.#compiled;
  }

  /** Inside the engine's queue. `appendTimeMs`: of the cut's record. */
  async apply(
    revision: number,
    cut: CutRecord,
    appendTimeMs: number,
    content: CutContent,
  ): Promise<void> {
    const { live } = this.#options;
    const draft = new CutDraft({
      state: this.state,
      revision,
      timeMs: timeInForce(this.state.timeMs, cut.timeMs, appendTimeMs),
      content,
      compiled: this.#compiled,
      semanticsMax: this.#options.semanticsMax,
      baseRows: (table) => live.engine.rows(table, { base: true }),
    });
    await draft.decide();
    await this.#transact(draft);
  }

  /** Inside the engine's queue: the state of the fork's base goes on under another log id. */
  fork(revision: number, { logId, previousLogId, base }: ForkRecord): void {
    const { state } = this;
    if (state.revision !== base || state.logId !== previousLogId) {
      throw new CaucusError('log_diverged', `the log was forked at revision ${base}`, {
        remedy: 'restart this replica: its state is built anew from there',
        details: { base, revision: state.revision },
      });
    }
    state.logId = logId;
    state.revision = revision;
    this.#options.onCommit({
      revision,
      deltas: new Map(),
      verdicts: new Map(),
      lostViews: [],
      recordBytes: 0,
    });
  }

  /** Tries until the engine takes it, leaving out what does not fit. */
  async #transact(draft: CutDraft): Promise<void> {
    const { live, views } = this.#options;
    const lost: LostView[] = [];
    let kept = views.all();
    for (;;) {
      const replan =
        draft.compiled !== this.#compiled ||
        lost.length > 0 ||
        !sameKeys(draft.roots, this.state.failures);
      const planned = replan ? this.plan(draft.compiled, draft.roots, kept) : undefined;
      if (planned !== undefined && planned.lost.length > 0) {
        lost.push(...planned.lost);
        kept = planned.kept.map(({ entry }) => entry);
      }
      const changes = this.#changes(draft, planned);
      if (changes.length === 0 && planned === undefined) {
        this.#commit(draft, undefined, undefined, lost);
        return;
      }
      const plan = planned === undefined ? {} : { plan: planned.plan };
      const failure = await live.transact({ ...plan, changes }, (result) => {
        this.#commit(draft, planned, result, lost);
      });
      if (failure === undefined) return;
      kept = this.#leaveOut(draft, failure, kept, lost);
    }
  }

  plan(
    compiled: Compiled,
    roots: ReplicatedState['failures'],
    views: readonly ViewEntry[],
    watchAll = false,
  ): Planned {
    return planProgram(this.#options.lower, {
      program: compiled.program,
      roots,
      views,
      watchAll,
      memory: this.#planMemory,
      compileView: (text) => {
        const { query, diagnostics } = compileQuery(compiled.program, compiled.catalog, text);
        if (query === undefined) throw invalidPolicy('the query', diagnostics);
        return query;
      },
    });
  }

  /** What the engine runs after `planned` is committed. */
  running(planned: Planned): Running {
    const { program, plan, tables, failures, readsNow, viewTables } = planned;
    const generation = ++this.#generation;
    return { program, plan, tables, failures, readsNow, viewTables, generation };
  }

  #changes(draft: CutDraft, planned: Planned | undefined): TableChange[] {
    const changes = draft.batches.flatMap((batch) => batch.changes);
    const sources = draft.sourceRows();
    if (!sameRows(sources, this.#sources)) changes.push(sourcesTableChange(sources));
    if (draft.timeMs !== this.state.timeMs) changes.push(nowTableChange(draft.timeMs));
    if (planned !== undefined) {
      changes.push(failedTableChange(planned.failures), ...planned.keyChanges);
    }
    return changes;
  }

  /** Leaves out whoever is to blame; local views before anything replicated. */
  #leaveOut(
    draft: CutDraft,
    failure: TransactionFailure,
    kept: ViewEntry[],
    lost: LostView[],
  ): ViewEntry[] {
    const { table, code, message } = failure;
    const blamed = kept.filter((entry) => plannedTable(entry) === table);
    // Without a table any view may be what was too much: views never decide about the state.
    const dropped =
      blamed.length > 0 ? blamed : table === undefined || isViewTable(table) ? kept : [];
    if (dropped.length > 0) {
      const error = viewError(failure);
      for (const entry of dropped) lost.push({ entry, error });
      return kept.filter((entry) => !dropped.includes(entry));
    }
    const policies = this.#policiesToBlame(draft, table);
    const isMemory = code === 'out_of_memory';
    if (isMemory && (policies.length === 0 || !this.#options.memoryFailsPolicies)) {
      throw new FoldStalled(
        new CaucusError('out_of_memory', `revision ${draft.revision} does not fit into memory`, {
          remedy: 'give the machine more memory or split the policies, then restart',
          details: { revision: draft.revision },
        }),
      );
    }
    if (policies.length > 0) {
      for (const policy of policies) draft.fail(policy, table ?? null, code, message);
      return kept;
    }
    const batches = batchesToBlame(draft, table);
    if (batches.length === 0) {
      throw new FoldStalled(
        new CaucusError('internal', `revision ${draft.revision} cannot be applied: ${message}`, {
          details: { revision: draft.revision, code },
        }),
      );
    }
    for (const batch of batches) draft.reject(batch, batchError(batch, failure));
    return kept;
  }

  /** Whose rules define the table; without a table those that were just written, else all. */
  #policiesToBlame(draft: CutDraft, table: TableKey | undefined): string[] {
    const { program } = draft.compiled;
    const active = program.rules.filter((rule) => !draft.roots.has(rule.policy));
    const named = active.filter((rule) => {
      const head = program.tables[rule.head];
      return head !== undefined && tableKey(head) === table;
    });
    if (named.length > 0) return uniqueSorted(named.map((rule) => rule.policy));
    // A base table is over its limit: no policy can help that.
    if (table !== undefined) return [];
    const policies = uniqueSorted(active.map((rule) => rule.policy));
    const written = policies.filter((policy) => draft.written.has(policy));
    return written.length > 0 ? written : policies;
  }

  #commit(
    draft: CutDraft,
    planned: Planned | undefined,
    result: TransactionSuccess | undefined,
    lostViews: readonly LostView[],
  ): void {
    const { live, views, onCommit } = this.#options;
    const verdicts = draft.finalVerdicts();
    this.#sources = draft.sourceRows();
    commitDraft(this.state, draft);
    // What goes with them is no change of theirs.
    for (const { entry } of lostViews) views.remove(entry);
    const deltas = views.route(result?.deltas ?? []);
    for (const delta of deltas.values()) {
      if (delta.table.startsWith('execute:')) this.state.births.apply(delta, draft.revision);
    }
    this.#compiled = draft.compiled;
    if (planned === undefined) {
      if (result !== undefined) live.commit();
    } else {
      live.commit(this.running(planned));
      const tables = new Set(planned.program.tables.map(tableKey));
      for (const table of this.state.births.tables()) {
        if (!tables.has(table)) this.state.births.dropTable(table);
      }
      for (const { entry, query } of planned.kept) entry.query = query;
    }
    const { revision, content } = draft;
    onCommit({ revision, deltas, verdicts, lostViews, recordBytes: content.recordBytes });
  }
}

/** The rows of `system:failed`, as a change that replaces them. */
export function failedTableChange(failures: Failures): TableChange {
  return { table: FAILED_TABLE, replace: true, insert: encodeRows(3, failedRows(failures)) };
}

function commitDraft(state: ReplicatedState, draft: CutDraft): void {
  state.revision = draft.revision;
  state.timeMs = draft.timeMs;
  for (const [topic, end] of draft.content.ends) state.ends.set(topic, end);
  state.semantics = draft.semantics;
  state.policyVersion = draft.policyVersion;
  state.policyHash = draft.policyHash;
  state.lastPolicyRecord = draft.lastPolicyRecord;
  replaceAll(state.policies, draft.policies);
  replaceAll(state.sources, draft.sources);
  replaceAll(state.failures, draft.roots);
  for (const [name, tables] of draft.arities) {
    const source = state.sources.get(name);
    for (const [table, arity] of tables) source?.tables.set(table, arity);
  }
  for (const { source, id } of draft.batches) {
    if (id === undefined) continue;
    state.sources.get(source)?.batchIds.add({ ...id, revision: draft.revision });
  }
  for (const source of state.sources.values()) {
    const unfinished = draft.unfinished.get(`source.${source.name}.${source.incarnation}`);
    if (unfinished !== undefined) replaceAll(source.unfinished, unfinished);
    source.fenced = draft.fenced.get(source.name) ?? source.fenced;
  }
  state.ignoredPolicyRecords += draft.ignoredPolicyRecords;
  state.rejectedPolicyVersions = [
    ...state.rejectedPolicyVersions,
    ...draft.rejectedPolicyVersions,
  ].slice(-REJECTED_VERSIONS_MAX);
  state.rejectedBatches += draft.rejectedBatches;
  state.ignoredRecords += draft.ignoredRecords;
}

function replaceAll<K, V>(target: Map<K, V>, source: ReadonlyMap<K, V>): void {
  target.clear();
  for (const [key, value] of source) target.set(key, value);
}

/** Never back, never ahead of the log's own clock, in steps that many cuts share. */
function timeInForce(beforeMs: number, proposedMs: number, appendTimeMs: number): number {
  const timeMs = Math.max(beforeMs, Math.min(proposedMs, appendTimeMs));
  return timeMs - (timeMs % TIME_STEP_MS);
}

function batchesToBlame(draft: CutDraft, table: TableKey | undefined): AcceptedBatch[] {
  if (table === undefined) return draft.batches;
  return draft.batches.filter((batch) => batch.changes.some((change) => change.table === table));
}

function batchError(batch: AcceptedBatch, failure: TransactionFailure): CaucusError {
  const where = failure.table === undefined ? `source \`${batch.source}\`` : `\`${failure.table}\``;
  return new CaucusError('limit_exceeded', `the rows do not fit ${where}: ${failure.message}`, {
    remedy: 'delete rows first, or send fewer',
    details: {
      limit: failure.code,
      ...(failure.table === undefined ? {} : { table: failure.table }),
    },
  });
}

export function viewError(failure: TransactionFailure): CaucusError {
  const code = failure.code === 'out_of_memory' ? 'out_of_memory' : 'limit_exceeded';
  return new CaucusError(code, `the query's rows cannot be kept: ${failure.message}`, {
    remedy: 'narrow the query',
    details: { limit: failure.code },
  });
}

function uniqueSorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

function sameKeys(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
