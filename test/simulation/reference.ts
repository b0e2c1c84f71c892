/**
 * What a log means, worked out anew from its records: cut by cut, with plain sets and the naive
 * evaluator. It shares the bytes of records and the compiler with the replica, nothing else.
 */
import type { Catalog } from '../../host/compiler/catalog.ts';
import { compile } from '../../host/compiler/compile.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { StratifiedProgram, TableKey } from '../../host/compiler/stratified.ts';
import { NO_HASH, policyHash } from '../../host/log/policy-hash.ts';
import { decodeRecord, recordChecksum } from '../../host/log/records.ts';
import type {
  CaucusRecord,
  CutRecord,
  PolicyRecord,
  DeltaRecord,
  PushRecord,
  RecordChange,
  SnapshotRecord,
} from '../../host/log/records.ts';
import { blockRows } from '../../host/value/row-block.ts';
import { evaluate, evaluateQuery } from '../oracle/naive-evaluator.ts';
import { rowKey, RowSet } from '../oracle/row-set.ts';
import type { History, RecordEvent } from '../support/history.ts';

/** A batch that was applied, and where. */
export interface AppliedBatch {
  readonly revision: number;
  readonly source: string;
  readonly id: string | null;
  /** Rows of each change as texts, JSON. */
  readonly body: string;
}

/** The writer of a driven source whose records count. */
interface Writer {
  generation: number;
  owner: string;
  sequence: number;
  /** Nothing more of this generation counts. */
  isBroken: boolean;
  /** Tables whose rows it has told. */
  known: Set<string> | 'all';
  parts: (SnapshotRecord | DeltaRecord)[];
}

interface Source {
  readonly name: string;
  readonly writer: Writer;
  readonly topic: string;
  readonly tables: Map<string, number>;
  /** Revision by batch id. */
  readonly ids: Map<string, number>;
  readonly unfinished: Map<string, { batch: number; parts: PushRecord[] }>;
}

/** Everything at one revision. Sets are shared between revisions and never changed. */
interface State {
  readonly base: ReadonlyMap<TableKey, RowSet>;
  readonly catalog: Catalog;
  readonly policyVersion: number;
  program?: StratifiedProgram | undefined;
  tables?: ReadonlyMap<TableKey, RowSet>;
  readonly answers: Map<string, readonly string[] | undefined>;
}

interface Logged {
  readonly bytes: Uint8Array;
  readonly record: CaucusRecord;
}

export class Reference {
  readonly states: State[] = [];
  readonly batches: AppliedBatch[] = [];
  /** Policy records by version, rejected ones included. */
  readonly chain = new Map<number, PolicyRecord>();
  /** Cuts that name what is not there, in words. */
  readonly problems: string[] = [];
  readonly #topics = new Map<string, Logged[]>();
  readonly #sources = new Map<string, Source>();
  readonly #texts = new Map<string, string>();
  readonly #ends = new Map<string, number>();
  #base = new Map<TableKey, RowSet>();
  #version = 0;
  #hash = NO_HASH;

  constructor(history: History) {
    for (const event of history) if (event.event === 'record') this.#addRecord(event);
    for (const [revision, { record }] of (this.#topics.get('cuts') ?? []).entries()) {
      if (record.kind === 'cut') this.#fold(revision, record);
      this.states.push({
        base: this.#base,
        catalog: this.#catalog(),
        policyVersion: this.#version,
        answers: new Map(),
      });
    }
  }

  get newest(): number {
    return this.states.length - 1;
  }

  /** Sorted rows; undefined where the query has no meaning at the revision. */
  answer(revision: number, text: string): readonly string[] | undefined {
    const state = this.states[revision];
    if (state === undefined) return undefined;
    if (!state.answers.has(text)) state.answers.set(text, this.#answer(state, text));
    return state.answers.get(text);
  }

  /** Texts in force. */
  texts(revision: number): Map<string, string> {
    const policies = this.states[revision]?.catalog.policies ?? [];
    return new Map(policies.map(({ name, text }) => [name, text]));
  }

  /** All tables, base and derived, without empty ones. */
  tables(revision: number): Record<TableKey, string[]> {
    const state = this.states[revision];
    if (state === undefined) return {};
    const tables: Record<TableKey, string[]> = {};
    for (const [table, rows] of [...this.#tables(state)].sort(byKey)) {
      if (rows.size > 0) tables[table] = [...rows].map(rowKey).sort();
    }
    return tables;
  }

  #addRecord({ topic, offset, bytes: text }: RecordEvent): void {
    const records = this.#topics.get(topic) ?? [];
    this.#topics.set(topic, records);
    const bytes = new Uint8Array(Buffer.from(text, 'base64'));
    records[offset] = { bytes, record: decodeRecord(bytes) };
  }

  #fold(revision: number, cut: CutRecord): void {
    const ends = new Map<string, { end: number; checksum: number }>();
    for (const { topic, end, checksum } of [...(cut.asOf?.vector ?? []), ...cut.vector]) {
      if (end > (ends.get(topic)?.end ?? 0)) ends.set(topic, { end, checksum });
    }
    const moved = [...ends]
      .filter(([topic, { end }]) => end > (this.#ends.get(topic) ?? 0))
      .sort(byKey);
    const news = moved.map(([topic, { end, checksum }]) => {
      const records = (this.#topics.get(topic) ?? []).slice(this.#ends.get(topic) ?? 0, end);
      this.#ends.set(topic, end);
      const last = this.#topics.get(topic)?.[end - 1];
      if (last === undefined || recordChecksum(last.bytes) !== checksum) {
        this.problems.push(`cut ${revision} names ${topic} up to ${end}, which is another record`);
      }
      return { topic, records };
    });
    for (const { topic, records } of news) {
      if (topic !== 'policy') continue;
      for (const { record } of records) this.#foldPolicy(record as PolicyRecord);
    }
    for (const { topic, records } of news) {
      const source = [...this.#sources.values()].find((one) => one.topic === topic);
      for (const { record } of records) {
        if (source === undefined) continue;
        if (record.kind === 'push') this.#foldPush(revision, source, record);
        else this.#foldDriven(revision, source, record);
      }
    }
  }

  #foldPolicy(record: PolicyRecord): void {
    if (record.version !== this.#version + 1 || record.previousHash !== this.#hash) return;
    if (record.hash !== policyHash(record)) return;
    this.#version = record.version;
    this.#hash = record.hash;
    this.chain.set(record.version, record);
    if (record.op === 'source') {
      for (const { name, text } of record.changes) {
        if (this.#sources.has(name)) continue;
        const topic = `source.${name}.${text?.split(' ')[0]}`;
        this.#sources.set(name, {
          name,
          topic,
          writer: newWriter(0, ''),
          tables: new Map(),
          ids: new Map(),
          unfinished: new Map(),
        });
      }
      return;
    }
    const before = new Map(this.#texts);
    for (const { name, text } of record.changes) {
      if (text === null) this.#texts.delete(name);
      else this.#texts.set(name, text);
    }
    if (compile(this.#catalog()).program === undefined) {
      this.#texts.clear();
      for (const [name, text] of before) this.#texts.set(name, text);
    }
  }

  #foldPush(revision: number, source: Source, record: PushRecord): void {
    const { owner, batch, part } = record;
    const unfinished = source.unfinished.get(owner);
    source.unfinished.delete(owner);
    let parts: PushRecord[];
    if (part === 0) parts = [record];
    else if (unfinished?.batch === batch && unfinished.parts.length === part)
      parts = [...unfinished.parts, record];
    else return;
    if (!record.lastOfBatch) {
      source.unfinished.set(owner, { batch, parts });
      return;
    }
    if (record.batchId !== null) {
      if (source.ids.has(record.batchId)) return;
      source.ids.set(record.batchId, revision);
    }
    const changes = parts.flatMap((one) => one.changes);
    this.#apply(source, changes, record.snapshot);
    const { name } = source;
    this.batches.push({ revision, source: name, id: record.batchId, body: bodyOf(changes) });
  }

  #foldDriven(revision: number, source: Source, record: CaucusRecord): void {
    const { writer } = source;
    if (record.kind === 'open') {
      const { generation, owner } = record;
      if (generation > writer.generation) Object.assign(writer, newWriter(generation, owner));
      return;
    }
    if (!('sequence' in record)) return;
    if (record.generation !== writer.generation || record.owner !== writer.owner) return;
    if (writer.isBroken || record.sequence <= writer.sequence) return;
    writer.isBroken = record.sequence !== writer.sequence + 1;
    writer.sequence = record.sequence;
    if (writer.isBroken || (record.kind !== 'snapshot' && record.kind !== 'delta')) return;
    writer.parts.push(record);
    if (!record.lastOfBatch) return;
    const changes = writer.parts.flatMap((part) => part.changes);
    writer.parts = [];
    const isSnapshot = record.kind === 'snapshot';
    if (isSnapshot) writer.known = 'all';
    for (const { table, replace } of changes) {
      if (writer.known === 'all' || writer.known.has(table)) continue;
      if (replace !== true) {
        writer.isBroken = true;
        return;
      }
      writer.known.add(table);
    }
    this.#apply(source, isSnapshot ? replacingFirst(changes) : changes, isSnapshot);
    this.batches.push({ revision, source: source.name, id: null, body: bodyOf(changes) });
  }

  #apply(source: Source, changes: readonly RecordChange[], isSnapshot: boolean): void {
    const base = new Map(this.#base);
    const named = new Set(changes.map((change) => change.table));
    for (const table of source.tables.keys()) {
      if (isSnapshot && !named.has(table)) base.delete(`${source.name}:${table}`);
    }
    for (const { table, replace, delete: removed, insert } of changes) {
      const key = `${source.name}:${table}`;
      const rows = new RowSet(replace === true ? [] : (base.get(key) ?? []));
      for (const block of [removed, insert]) {
        if (block === undefined || block.count === 0) continue;
        source.tables.set(table, block.arity);
        for (const row of blockRows(block)) {
          if (block === removed) rows.delete(row);
          else rows.add(row);
        }
      }
      base.set(key, rows);
    }
    this.#base = base;
  }

  #catalog(): Catalog {
    const sources = [...this.#sources.values()].map(({ name, tables }) => ({
      name,
      declared: false,
      tables: [...tables].map(([table, arity]) => ({ name: table, arity })).sort(byName),
    }));
    const policies = [...this.#texts].map(([name, text]) => ({ name, text }));
    return { policies: policies.sort(byName), sources: sources.sort(byName) };
  }

  #tables(state: State): ReadonlyMap<TableKey, RowSet> {
    if (state.tables === undefined) {
      const program = this.#program(state);
      const base = new Map(state.base);
      const tables = new Map(evaluate(program, base));
      for (const [table, rows] of base) if (!tables.has(table)) tables.set(table, rows);
      state.tables = tables;
    }
    return state.tables;
  }

  #program(state: State): StratifiedProgram {
    state.program ??= compile(state.catalog).program;
    if (state.program === undefined) throw new Error('accepted policies do not compile');
    return state.program;
  }

  #answer(state: State, text: string): readonly string[] | undefined {
    const program = this.#program(state);
    const { query } = compileQuery(program, state.catalog, text);
    if (query === undefined) return undefined;
    const tables = this.#tables(state);
    const known = new Map(tables);
    for (const table of query.tables ?? program.tables) {
      if (!known.has(tableKey(table))) known.set(tableKey(table), new RowSet());
    }
    return evaluateQuery(program, query, known).map(rowKey).sort();
  }
}

function newWriter(generation: number, owner: string): Writer {
  return { generation, owner, sequence: 0, isBroken: false, known: new Set(), parts: [] };
}

/** The first change of each table empties it. */
function replacingFirst(changes: readonly RecordChange[]): RecordChange[] {
  return changes.map((change, index) => {
    const isFirst = changes.findIndex((other) => other.table === change.table) === index;
    return isFirst ? { ...change, replace: true } : change;
  });
}

/** Changes as text: what a client sent and what the log has can be compared. Parts are joined. */
export function bodyText(
  changes: readonly {
    readonly table: string;
    readonly insert: readonly string[];
    readonly delete: readonly string[];
  }[],
): string {
  const tables = new Map<string, { insert: string[]; delete: string[] }>();
  for (const { table, insert, delete: removed } of changes) {
    if (insert.length + removed.length === 0) continue;
    const known = tables.get(table) ?? { insert: [], delete: [] };
    tables.set(table, known);
    known.insert.push(...insert);
    known.delete.push(...removed);
  }
  return JSON.stringify([...tables].sort(byKey));
}

function bodyOf(changes: readonly RecordChange[]): string {
  return bodyText(
    changes.map(({ table, insert, delete: removed }) => ({
      table,
      insert: insert === undefined ? [] : [...blockRows(insert)].map(rowKey),
      delete: removed === undefined ? [] : [...blockRows(removed)].map(rowKey),
    })),
  );
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
