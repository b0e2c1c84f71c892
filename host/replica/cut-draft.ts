/**
 * What a cut would make of the state, before the engine has agreed: which policy records follow,
 * which batches count, what was fixed for the first time. Reads the state, changes nothing in it;
 * `commitDraft` does when the engine has committed.
 */
import type { Catalog } from '../compiler/catalog.ts';
import { compile } from '../compiler/compile.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { TableChange } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { joinChanges } from '../log/batch-parts.ts';
import { continuesChain } from '../log/policy-hash.ts';
import type { FencedRecord, PolicyRecord, PushRecord } from '../log/records.ts';
import type { RowBlock } from '../value/row-block.ts';
import type { Row } from '../value/value.ts';
import { collectPart, engineChanges, replacing } from './batch-changes.ts';
import { catalogOf, isInvalid } from './catalog-of.ts';
import { expectKnownLevel, idConflict, nameTaken } from './conflicts.ts';
import type { CutContent, LoggedRecord } from './cut-reader.ts';
import type { FailureRoot } from './failures.ts';
import { retryRevision, touchesInputs } from './failures.ts';
import { fencedOnMisfit, fencedOnRecord } from './fenced-source.ts';
import type { FencedBatch, FencedState } from './fenced-source.ts';
import { compilePolicies, compiledProgram, invalidPolicy } from './program.ts';
import type { Compiled } from './program.ts';
import { kindTaken, parseRegistration } from './registration.ts';
import { newSource } from './replicated-state.ts';
import type {
  PolicyState,
  ReplicatedState,
  SourceState,
  UnfinishedBatch,
} from './replicated-state.ts';
import { checkDecodedRows, checkRows } from './row-check.ts';
import type { Verdict } from './sequencer.ts';
import { sourceRows } from './source-rows.ts';
import { sourceTopic } from './topics.ts';

export interface AcceptedBatch {
  /** `topic@offset` of its first record. */
  readonly key: string;
  readonly source: string;
  readonly changes: readonly TableChange[];
  /** Of a push source. */
  readonly id:
    | { readonly key: string; readonly bodyDigest: string; readonly appendTimeMs: number }
    | undefined;
}

export interface DraftInput {
  readonly state: ReplicatedState;
  readonly revision: number;
  readonly timeMs: number;
  readonly content: CutContent;
  readonly compiled: Compiled;
  /** The highest level of meaning that is known. */
  readonly semanticsMax: number;
  /** Base rows stored before this cut. */
  readonly baseRows: (table: TableKey) => Promise<RowBlock>;
}

export class CutDraft {
  readonly revision: number;
  readonly timeMs: number;
  readonly content: CutContent;
  readonly policies: Map<string, PolicyState>;
  readonly sources: Map<string, SourceState>;
  readonly roots: Map<string, FailureRoot>;
  /** Arity of tables seen for the first time, by source. */
  readonly arities = new Map<string, Map<string, number>>();
  /** By topic and writer; only topics that this cut reads. */
  readonly unfinished = new Map<string, Map<string, UnfinishedBatch>>();
  /** By source; only those that this cut reads. */
  readonly fenced = new Map<string, FencedState>();
  readonly verdicts = new Map<string, Verdict>();
  batches: AcceptedBatch[] = [];
  policyVersion: number;
  policyHash: string;
  lastPolicyRecord: PolicyRecord | undefined;
  semantics: number;
  ignoredPolicyRecords = 0;
  readonly rejectedPolicyVersions: number[] = [];
  rejectedBatches = 0;
  ignoredRecords = 0;
  compiled: Compiled;
  /** Policies that this cut wrote: blamed first when the engine cannot say whom to blame. */
  readonly written = new Set<string>();
  readonly #input: DraftInput;
  /** Failed policies that are tried again in this cut. */
  readonly #retried = new Map<string, FailureRoot>();
  /** Batches by source and id, with the key of the first. */
  readonly #ids = new Map<string, { readonly key: string; readonly bodyDigest: string }>();
  /** Repeats inside this cut: they get the verdict of the first. */
  readonly #repeats: { readonly key: string; readonly firstKey: string }[] = [];
  readonly #fencedRecords = new Map<SourceState, LoggedRecord<FencedRecord>[]>();
  /** Batches of fenced sources that the engine did not take, with the reason. */
  readonly #misfits = new Map<string, string>();

  constructor(input: DraftInput) {
    const { state } = input;
    this.#input = input;
    this.revision = input.revision;
    this.timeMs = input.timeMs;
    this.content = input.content;
    this.policies = new Map(state.policies);
    this.sources = new Map(state.sources);
    this.roots = new Map(state.failures);
    this.policyVersion = state.policyVersion;
    this.policyHash = state.policyHash;
    this.lastPolicyRecord = state.lastPolicyRecord;
    this.semantics = state.semantics;
    this.compiled = input.compiled;
  }

  async decide(): Promise<void> {
    for (const logged of this.content.policies) {
      this.verdicts.set(keyOf(logged), await this.#decidePolicy(logged.record));
    }
    const byTopic = this.#sourcesByTopic();
    this.#decidePushes(byTopic);
    this.#decideFenced(byTopic);
    this.#decideRetries();
    if (this.arities.size > 0 || [...this.#retried.values()].some(isInvalid)) this.#recompile();
  }

  /** Failed policies are tried when their time has come and what they read has changed. */
  #decideRetries(): void {
    const changes = this.batches.flatMap((batch) => batch.changes);
    const hasDeletes = changes.some((one) => one.replace === true || (one.delete?.count ?? 0) > 0);
    const tables = new Set(changes.map((one) => one.table));
    const changed = { policies: this.written, tables, hasDeletes };
    for (const root of this.roots.values()) {
      const inputsChanged =
        root.inputsChanged === true || touchesInputs(root, this.compiled.program, changed);
      if (inputsChanged && retryRevision(root) <= this.revision) {
        this.roots.delete(root.policy);
        this.#retried.set(root.policy, root);
      } else if (inputsChanged !== (root.inputsChanged === true)) {
        this.roots.set(root.policy, { ...root, inputsChanged });
      }
    }
  }

  /** The policy cannot be kept at this revision. */
  fail(policy: string, table: TableKey | null, code: string, message: string): void {
    const before = this.#retried.get(policy);
    if (before === undefined) {
      const failedAt = this.revision;
      this.roots.set(policy, { policy, table, code, message, failedAt, retries: 0 });
      return;
    }
    let root: FailureRoot = { ...before, table, code, message, inputsChanged: false };
    while (retryRevision(root) <= this.revision) root = { ...root, retries: root.retries + 1 };
    this.roots.set(policy, root);
  }

  /** Leaves a batch out: it does not fit, whatever policies are left out. */
  reject(batch: AcceptedBatch, error: CaucusError): void {
    const source = this.sources.get(batch.source);
    if (source?.kind === 'fenced') {
      this.#rejectFenced(source, batch, error);
      return;
    }
    this.batches = this.batches.filter((other) => other !== batch);
    this.verdicts.set(batch.key, { kind: 'rejected', error });
    this.rejectedBatches++;
  }

  /** The rows of `system:sources` after this cut. */
  sourceRows(): Row[] {
    const sources = [...this.sources.values()].map((source) => ({
      ...source,
      fenced: this.fenced.get(source.name) ?? source.fenced,
    }));
    return sourceRows(sources, this.timeMs);
  }

  /** The verdict of every record that a writer may wait for. */
  finalVerdicts(): ReadonlyMap<string, Verdict> {
    for (const { key } of this.batches) this.verdicts.set(key, this.#applied());
    for (const { key, firstKey } of this.#repeats) {
      this.verdicts.set(key, this.verdicts.get(firstKey) ?? this.#applied());
    }
    return this.verdicts;
  }

  async #decidePolicy(record: PolicyRecord): Promise<Verdict> {
    if (!continuesChain({ version: this.policyVersion, hash: this.policyHash }, record)) {
      this.ignoredPolicyRecords++;
      return { kind: 'superseded' };
    }
    // The record takes its place in the chain even when what it says is rejected.
    this.policyVersion = record.version;
    this.policyHash = record.hash;
    this.lastPolicyRecord = record;
    try {
      if (record.op === 'source') this.#addSources(record);
      else if (record.op === 'semantics') this.#raiseSemantics(record);
      else await this.#changePolicies(record);
      return this.#applied();
    } catch (error) {
      if (!(error instanceof CaucusError) || error.code === 'unsupported_record') throw error;
      this.rejectedPolicyVersions.push(record.version);
      return { kind: 'rejected', error };
    }
  }

  #addSources(record: PolicyRecord): void {
    const added = record.changes.map(({ name, text }) => {
      const registration = parseRegistration(name, text);
      if (this.policies.has(name)) throw nameTaken('source', name, 'policy');
      const before = this.sources.get(name);
      if (before !== undefined && before.kind !== registration.kind) {
        throw kindTaken(name, before.kind);
      }
      return before ?? newSource(name, registration);
    });
    for (const source of added) this.sources.set(source.name, source);
  }

  /** One level at a time; one that is not known stops the replica. */
  #raiseSemantics({ changes }: PolicyRecord): void {
    const level = Number(changes[0]?.text);
    if (level !== this.semantics + 1) {
      throw new CaucusError('conflict', `the semantics level is ${this.semantics}`, {
        remedy: `only ${this.semantics + 1} can follow it`,
        details: { level: this.semantics },
      });
    }
    expectKnownLevel(level, this.#input.semanticsMax);
    this.semantics = level;
  }

  async #changePolicies(record: PolicyRecord): Promise<void> {
    const next = new Map(this.policies);
    const written = new Set<string>();
    for (const { name, text } of record.changes) {
      if (this.sources.has(name)) throw nameTaken('policy', name, 'source');
      written.add(name);
      if (text === null) next.delete(name);
      else next.set(name, { name, text });
    }
    const roots = [...this.roots.values()].filter((root) => !written.has(root.policy));
    const catalog = this.#catalog(next, roots);
    const { memory } = this.compiled;
    const { program, diagnostics } = compile(catalog, { memory });
    if (program === undefined) throw invalidPolicy('the policy', diagnostics);
    const compiled = compiledProgram(catalog, program, memory);
    await this.#checkStoredRows(compiled);
    this.policies.clear();
    for (const [name, policy] of next) this.policies.set(name, policy);
    for (const name of written) {
      this.roots.delete(name);
      this.#retried.delete(name);
      this.written.add(name);
    }
    this.compiled = compiled;
  }

  /** A declaration that stored rows violate is refused, and names one. */
  async #checkStoredRows(compiled: Compiled): Promise<void> {
    for (const [table, shape] of compiled.shapes) {
      if (shape.columns === undefined) continue;
      const before = this.compiled.shapes.get(table)?.columns;
      if (JSON.stringify(before) === JSON.stringify(shape.columns)) continue;
      const stored = await this.#input.baseRows(table);
      if (stored.count > 0) checkRows(table, shape, stored);
    }
  }

  #sourcesByTopic(): Map<string, SourceState> {
    const byTopic = new Map<string, SourceState>();
    for (const source of this.sources.values()) {
      byTopic.set(sourceTopic(source.name, source.incarnation), source);
    }
    return byTopic;
  }

  #decidePushes(byTopic: ReadonlyMap<string, SourceState>): void {
    for (const logged of this.content.pushes) {
      const source = byTopic.get(logged.topic);
      if (source === undefined) {
        throw new CaucusError('log_damaged', `topic \`${logged.topic}\` is of no known source`, {
          remedy: 'restore the data directory from a copy',
        });
      }
      if (source.kind !== 'push') {
        const error = kindTaken(source.name, source.kind);
        this.verdicts.set(keyOf(logged), { kind: 'rejected', error });
        this.ignoredRecords++;
        continue;
      }
      const complete = this.#collect(source, logged);
      if (complete !== undefined) this.#decideBatch(source, complete, logged);
    }
  }

  /** The batch that this record completes. */
  #collect(source: SourceState, logged: LoggedRecord<PushRecord>): UnfinishedBatch | undefined {
    let unfinished = this.unfinished.get(logged.topic);
    if (unfinished === undefined) {
      unfinished = new Map(source.unfinished);
      this.unfinished.set(logged.topic, unfinished);
    }
    return collectPart(unfinished, logged);
  }

  #decideBatch(
    source: SourceState,
    { first, head, changes }: UnfinishedBatch,
    { topic, appendTimeMs }: LoggedRecord<PushRecord>,
  ): void {
    const key = `${topic}@${first}`;
    const id =
      head.batchId === null
        ? undefined
        : { key: head.batchId, bodyDigest: head.bodyDigest ?? '', appendTimeMs };
    try {
      if (id !== undefined && this.#isRepeat(source, key, id)) return;
      const joined = joinChanges(changes);
      const arities = this.#checkChanges(source, joined);
      for (const [table, arity] of arities) this.#fixArity(source, table, arity);
      const tables = engineChanges(source.name, this.#knownTables(source), joined, head.snapshot);
      this.batches.push({ key, source: source.name, changes: tables, id });
      if (id !== undefined)
        this.#ids.set(`${source.name}\n${id.key}`, { key, bodyDigest: id.bodyDigest });
    } catch (error) {
      if (!(error instanceof CaucusError)) throw error;
      this.verdicts.set(key, { kind: 'rejected', error });
      this.rejectedBatches++;
    }
  }

  #isRepeat(
    source: SourceState,
    key: string,
    id: { readonly key: string; readonly bodyDigest: string },
  ): boolean {
    const stored = source.batchIds.find(id.key);
    const inCut = this.#ids.get(`${source.name}\n${id.key}`);
    const bodyDigest = stored?.bodyDigest ?? inCut?.bodyDigest;
    if (bodyDigest === undefined) return false;
    if (bodyDigest !== id.bodyDigest) throw idConflict(id.key);
    if (stored !== undefined) {
      this.verdicts.set(key, { kind: 'applied', revision: stored.revision });
    } else if (inCut !== undefined) {
      this.#repeats.push({ key, firstKey: inCut.key });
    }
    return true;
  }

  #decideFenced(byTopic: ReadonlyMap<string, SourceState>): void {
    for (const logged of this.content.fenced) {
      const source = byTopic.get(logged.topic);
      if (source?.kind !== 'fenced') {
        // Its registration was rejected, or made it a push source: the writer should have looked.
        this.ignoredRecords++;
        continue;
      }
      const records = this.#fencedRecords.get(source);
      if (records === undefined) this.#fencedRecords.set(source, [logged]);
      else records.push(logged);
    }
    for (const source of this.#fencedRecords.keys()) this.#foldFenced(source);
  }

  /** From the state before this cut on. */
  #foldFenced(source: SourceState): void {
    let state = source.fenced;
    const records = this.#fencedRecords.get(source) ?? [];
    for (const { topic, offset, appendTimeMs, record } of records) {
      const step = fencedOnRecord(state, record, { offset, appendTimeMs });
      state = step.state;
      if (step.batch === undefined) continue;
      const key = `${topic}@${step.batch.first}`;
      const reason = this.#misfits.get(key) ?? this.#addFenced(source, key, step.batch);
      if (reason !== undefined) state = fencedOnMisfit(state, reason);
    }
    this.fenced.set(source.name, state);
  }

  /** Undefined when it fits, else why not. */
  #addFenced(source: SourceState, key: string, { kind, changes }: FencedBatch): string | undefined {
    try {
      const joined = joinChanges(kind === 'snapshot' ? replacing(changes) : changes);
      const arities = this.#checkChanges(source, joined);
      for (const [table, arity] of arities) this.#fixArity(source, table, arity);
      const known = this.#knownTables(source);
      const tables = engineChanges(source.name, known, joined, kind === 'snapshot');
      this.batches.push({ key, source: source.name, changes: tables, id: undefined });
      return undefined;
    } catch (error) {
      if (!(error instanceof CaucusError)) throw error;
      return error.message;
    }
  }

  /** Decides again what follows from the batch: a later generation may have repaired it. */
  #rejectFenced(source: SourceState, batch: AcceptedBatch, error: CaucusError): void {
    // Decided again since it was blamed.
    if (!this.batches.includes(batch)) return;
    this.#misfits.set(batch.key, error.message);
    this.batches = this.batches.filter((other) => other.source !== batch.source);
    this.#foldFenced(source);
  }

  /** The arities that the batch fixes; throws `invalid_row` where it does not fit. */
  #checkChanges(source: SourceState, changes: readonly TableChange[]): Map<string, number> {
    const fixed = new Map<string, number>();
    for (const change of changes) {
      for (const block of [change.delete, change.insert]) {
        if (block === undefined || block.count === 0) continue;
        const table = tableKey({ owner: source.name, name: change.table });
        const arity = this.#arityOf(source, change.table) ?? fixed.get(change.table) ?? block.arity;
        const shape = this.compiled.shapes.get(table);
        const columns = shape?.arity === arity ? shape.columns : undefined;
        checkDecodedRows(table, columns === undefined ? { arity } : { arity, columns }, block);
        fixed.set(change.table, arity);
      }
    }
    return fixed;
  }

  /** A declaration counts as much as rows; the mere use in a rule does not. */
  #arityOf(source: SourceState, table: string): number | undefined {
    const pushed = source.tables.get(table) ?? this.arities.get(source.name)?.get(table);
    if (pushed !== undefined) return pushed;
    const shape = this.compiled.shapes.get(tableKey({ owner: source.name, name: table }));
    return shape?.columns === undefined ? undefined : shape.arity;
  }

  #fixArity(source: SourceState, table: string, arity: number): void {
    if (source.tables.has(table)) return;
    let tables = this.arities.get(source.name);
    if (tables === undefined) this.arities.set(source.name, (tables = new Map()));
    tables.set(table, arity);
  }

  /** Tables of which an arity is known. */
  #knownTables(source: SourceState): Set<string> {
    return new Set([...source.tables.keys(), ...(this.arities.get(source.name)?.keys() ?? [])]);
  }

  #recompile(): void {
    const catalog = this.#catalog(this.policies, [...this.roots.values()]);
    this.compiled = compilePolicies(catalog, this.compiled.memory);
    for (const [policy, message] of this.compiled.invalid) {
      this.fail(policy, null, 'invalid_policy', message);
    }
  }

  #catalog(policies: ReadonlyMap<string, PolicyState>, roots: readonly FailureRoot[]): Catalog {
    return catalogOf(policies, this.sources, roots, this.arities);
  }

  #applied(): Verdict {
    return { kind: 'applied', revision: this.revision };
  }
}

function keyOf(logged: { readonly topic: string; readonly offset: number }): string {
  return `${logged.topic}@${logged.offset}`;
}
