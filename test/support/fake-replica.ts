/**
 * A replica without rules: a query names one table, `owner:table(x, y)`, and its answer is all rows
 * of that table. Everything the API relies on is here: revisions, tokens, views, history for
 * resume, commits. `pause` lets a test decide when an asynchronous call goes on.
 */
import type { PolicyDescription } from '../../host/compiler/describe-policies.ts';
import { CaucusError } from '../../host/errors.ts';
import type {
  Batch,
  Commit,
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
  ViewDelta,
  WhyNotAnswer,
  WhyNotRequest,
} from '../../host/replica/replica.ts';
import type { TableDelta } from '../../host/engine/engine.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import { compareRows, formatValue } from '../../host/value/value.ts';
import type { Row } from '../../host/value/value.ts';

const LOG_ID = 'fake';

export interface FakeReplica extends Replica {
  /** Inserts and deletes in one revision. */
  commit(
    changes: Readonly<Record<string, { insert?: readonly Row[]; delete?: readonly Row[] }>>,
  ): Position;
  rowsAt(revision: number, table: string): Row[];
  lose(table: string, error: Error): void;
  /** Awaited inside every asynchronous call. */
  pause: () => Promise<void>;
  ready: boolean;
  /** Revisions before it cannot be resumed from. */
  retainFromRevision: number;
  readonly openViews: number;
}

export function createFakeReplica(): FakeReplica {
  return new ScriptedReplica();
}

class ScriptedReplica implements FakeReplica {
  pause: () => Promise<void> = async () => {};
  ready = true;
  retainFromRevision = 0;
  openViews = 0;
  #revision = 0;
  /** By revision: table → row key → row. */
  readonly #states: Map<string, Map<string, Row>>[] = [new Map()];
  readonly #history: Commit[] = [];
  readonly #batches = new Map<string, { digest: string; position: Position }>();
  readonly #policies = new Map<string, string>();
  readonly #commitListeners = new Set<(commit: Commit) => void>();
  readonly #lostListeners = new Set<(table: string, error: Error) => void>();

  status(): ReplicaStatus {
    const tables = [...(this.#states[this.#revision] ?? new Map<string, Map<string, Row>>())];
    return {
      ...this.#position(),
      phase: this.ready ? 'live' : 'starting',
      ready: this.ready,
      logId: LOG_ID,
      policies: [...this.#policies.keys()].map((name) => ({
        name,
        kind: 'nonrecursive',
        rules: 1,
        failed: null,
      })),
      sources: [
        {
          name: 'inv',
          stale: false,
          tables: Object.fromEntries(
            tables
              .filter(([key]) => key.startsWith('inv:'))
              .map(([key, rows]) => [key.slice(4), rows.size]),
          ),
        },
      ],
      digest: '00',
      retainFrom: tokenOf(this.retainFromRevision),
    };
  }

  async query(request: QueryRequest): Promise<QueryAnswer> {
    await this.pause();
    const { table, columns } = parseQuery(request.query);
    const consistency = request.consistency ?? 'any';
    if (typeof consistency === 'object') {
      const [kind, token] = Object.entries(consistency)[0] as [string, string];
      const revision = revisionOf(token);
      if (revision > this.#revision) throw behind(this.#revision);
      if (kind === 'exact' && revision < this.#revision) {
        throw new CaucusError('revision_expired', `revision ${revision} is gone`);
      }
    }
    const rows = this.rowsAt(this.#revision, table);
    const kept = rows.slice(0, request.rowsMax ?? rows.length);
    const block = encodeRows(columns.length, kept);
    return { ...this.#position(), columns, rows: block, truncated: kept.length < rows.length };
  }

  /** The first row of the table; all rows come from outside. */
  async explain(request: ExplainRequest): Promise<Explanation> {
    await this.pause();
    const { table } = parseQuery(request.row);
    const [row] = this.rowsAt(this.#revision, table);
    if (row === undefined) return this.#position();
    const proof = { nodes: [{ table, row, by: 'source' as const }], rules: [], cut: 0n };
    return { ...this.#position(), proof };
  }

  async whyNot(request: WhyNotRequest): Promise<WhyNotAnswer> {
    await this.pause();
    const { table } = parseQuery(request.query);
    if (this.rowsAt(this.#revision, table).length > 0) return this.#position();
    const failing = [{ literal: request.query, why: 'missing' as const }];
    const reasons = { failing, holding: [], isShortest: true, absences: [] };
    return { ...this.#position(), reasons };
  }

  async writeBatch(batch: Batch): Promise<Position> {
    await this.pause();
    const held = batch.id === undefined ? undefined : this.#batches.get(batch.id.key);
    if (held !== undefined) {
      if (held.digest === batch.id?.bodyDigest) return held.position;
      throw new CaucusError('conflict', `batch \`${batch.id?.key}\` had another body`, {
        remedy: 'use a new id',
      });
    }
    const changes: Record<string, { insert: Row[]; delete: Row[] }> = {};
    for (const change of batch.changes) {
      const table = `${batch.source}:${change.table}`;
      const old = change.replace === true ? this.rowsAt(this.#revision, table) : [];
      changes[table] = {
        delete: [...old, ...(change.delete === undefined ? [] : decodeRows(change.delete))],
        insert: change.insert === undefined ? [] : decodeRows(change.insert),
      };
    }
    const position = this.commit(changes);
    if (batch.id !== undefined) {
      this.#batches.set(batch.id.key, { digest: batch.id.bodyDigest, position });
    }
    return position;
  }

  async readPolicy(name: string): Promise<Position & { text: string }> {
    const text = this.#policies.get(name);
    if (text === undefined) throw unknownPolicy(name);
    return { ...this.#position(), text };
  }

  async describePolicy(name: string): Promise<Position & PolicyDescription> {
    const { text, ...position } = await this.readPolicy(name);
    const rules = [{ ordinal: 1, text }];
    const parts = { kind: 'nonrecursive', imports: [], tables: [], reads: [], rules, facts: 0 };
    return { name, ...(parts as Omit<PolicyDescription, 'name'>), ...position };
  }

  async writePolicies(writes: readonly PolicyWrite[]): Promise<PolicyPosition> {
    for (const write of writes) {
      const { diagnostics } = await this.dryRun(write);
      if (diagnostics.length > 0) {
        throw new CaucusError('invalid_policy', `policy \`${write.name}\` has an error`, {
          remedy: 'see `diagnostics`',
          details: { diagnostics },
        });
      }
    }
    for (const { name, text } of writes) {
      if (text === null && !this.#policies.delete(name)) throw unknownPolicy(name);
      if (text !== null) this.#policies.set(name, text);
    }
    return this.commit({});
  }

  async dryRun({ text }: PolicyWrite): Promise<PolicyDryRun> {
    const at = text?.indexOf('bad') ?? -1;
    if (at >= 0) {
      const span = { start: at, end: at + 3 };
      const message = 'the word `bad` is bad';
      const diagnostic = { severity: 'error', code: 'bad-word', message, span, line: 1 } as const;
      return { diagnostics: [{ ...diagnostic, column: at + 1, note: 'use `good`' }], deltas: [] };
    }
    const insert = encodeRows(1, [[1n]]);
    return { diagnostics: [], deltas: [{ table: 'p:q', insert, delete: encodeRows(1, []) }] };
  }

  async openView(request: { query: string; policy?: string; from?: string }): Promise<View> {
    const { table, columns } = parseQuery(request.query);
    await this.pause();
    const from = request.from === undefined ? undefined : revisionOf(request.from);
    if (from !== undefined && from > this.#revision) throw behind(this.#revision);
    const position = this.#position();
    const snapshot = encodeRows(columns.length, this.rowsAt(this.#revision, table));
    const since =
      from === undefined || from < this.retainFromRevision
        ? undefined
        : this.#history.flatMap((commit): ViewDelta[] => {
            const delta = commit.deltas.get(table);
            if (commit.revision <= from || delta === undefined) return [];
            const { revision, token } = commit;
            return [{ revision, token, insert: delta.insert, delete: delta.delete }];
          });
    this.openViews++;
    let open = true;
    const close = (): void => {
      if (open) this.openViews--;
      open = false;
    };
    // The state is read here; the answer arrives later, after other commits.
    await this.pause();
    return { columns, snapshot, position, table, close, ...(since === undefined ? {} : { since }) };
  }

  onCommit(listener: (commit: Commit) => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  onViewLost(listener: (table: string, error: Error) => void): () => void {
    this.#lostListeners.add(listener);
    return () => this.#lostListeners.delete(listener);
  }

  async close(): Promise<void> {}

  commit(
    changes: Readonly<Record<string, { insert?: readonly Row[]; delete?: readonly Row[] }>>,
  ): Position {
    const state = new Map(this.#states[this.#revision]);
    const deltas = new Map<string, TableDelta>();
    for (const [table, change] of Object.entries(changes)) {
      const before = state.get(table) ?? new Map<string, Row>();
      const after = new Map(before);
      for (const row of change.delete ?? []) after.delete(keyOf(row));
      for (const row of change.insert ?? []) after.set(keyOf(row), row);
      const insert = [...after].filter(([key]) => !before.has(key)).map(([, row]) => row);
      const gone = [...before].filter(([key]) => !after.has(key)).map(([, row]) => row);
      state.set(table, after);
      if (insert.length + gone.length === 0) continue;
      const arity = (insert[0] ?? gone[0] ?? []).length;
      const [inserted, deleted] = [encodeRows(arity, insert), encodeRows(arity, gone)];
      deltas.set(table, { table, insert: inserted, delete: deleted });
    }
    this.#states.push(state);
    this.#revision++;
    const commit: Commit = { ...this.#position(), deltas };
    this.#history.push(commit);
    for (const listener of [...this.#commitListeners]) listener(commit);
    return this.#position();
  }

  rowsAt(revision: number, table: string): Row[] {
    const rows = this.#states[revision]?.get(table) ?? new Map<string, Row>();
    return [...rows.values()].sort(compareRows);
  }

  lose(table: string, error: Error): void {
    for (const listener of [...this.#lostListeners]) listener(table, error);
  }

  #position(): Position {
    return { revision: this.#revision, token: tokenOf(this.#revision) };
  }
}

function tokenOf(revision: number): string {
  return `${LOG_ID}.${revision}`;
}

function revisionOf(token: string): number {
  const match = /^([a-z]+)\.(\d+)$/.exec(token);
  if (match === null) throw new CaucusError('token_invalid', `\`${token}\` is no token`);
  if (match[1] !== LOG_ID) throw new CaucusError('token_foreign', `\`${token}\` is of another log`);
  return Number(match[2]);
}

function keyOf(row: Row): string {
  return row.map(formatValue).join(',');
}

function parseQuery(text: string): { table: string; columns: string[] } {
  const match = /^\s*([\w.]+:[\w.]+)\(([\w, ]*)\)\s*$/.exec(text);
  if (match === null) {
    const span = { start: 0, end: text.length };
    const diagnostic = { severity: 'error', code: 'syntax', message: 'no query', span } as const;
    throw new CaucusError('invalid_policy', `\`${text}\` is no query`, {
      remedy: 'see `diagnostics`',
      details: { diagnostics: [{ ...diagnostic, line: 1, column: 1 }] },
    });
  }
  const columns = (match[2] ?? '').split(',').map((name) => name.trim());
  return { table: match[1] as string, columns: columns.filter((name) => name !== '') };
}

function behind(revision: number): CaucusError {
  return new CaucusError('replica_behind', `the replica is at revision ${revision}`, {
    remedy: 'ask another replica',
    details: { revision },
  });
}

function unknownPolicy(name: string): CaucusError {
  return new CaucusError('unknown_policy', `there is no policy \`${name}\``, {
    remedy: 'list them with `GET /v1/policies`',
  });
}
