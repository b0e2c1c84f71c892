/** The policy database of a single process. */
import { CaucusError } from '../errors.ts';
import { NO_HASH, policyHash } from '../log/policy-hash.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';
import { openSqlite, storeError } from './sqlite.ts';
import type { Sqlite, SqliteKind, SqliteRow, SqliteValue } from './sqlite.ts';
import type {
  PolicyHead,
  Proposal,
  ProposalState,
  ProposeResult,
  Store,
  StoredPolicy,
  Verdict,
} from './store.ts';

/**
 * Only ever added to: entry n brings a database from schema n to n + 1. `live_version` is the
 * version of a proposal that counts and null for a superseded one, so that its uniqueness is the
 * compare-and-swap.
 */
const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE proposals (
      version INTEGER NOT NULL,
      hash TEXT NOT NULL,
      previous_hash TEXT NOT NULL,
      live_version INTEGER UNIQUE,
      op TEXT NOT NULL,
      changes TEXT NOT NULL,
      state TEXT NOT NULL,
      verdict TEXT,
      PRIMARY KEY (version, hash)
    )`,
    'CREATE INDEX proposals_by_state ON proposals (state, version)',
    `CREATE TABLE policies (
      name TEXT NOT NULL PRIMARY KEY,
      text TEXT,
      version INTEGER NOT NULL
    )`,
  ],
];

export interface SqliteStoreOptions {
  /** The caller holds the lock of its directory. */
  readonly file: string;
  /** Default: what the runtime has. */
  readonly kind?: SqliteKind;
}

/** Opens, or makes and migrates. Throws `unsupported_record` for a database of a later version. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const database = await openSqlite(options.file, options.kind);
  const store = new SqliteStore(database, options.file);
  try {
    store.migrate();
  } catch (error) {
    database.close();
    throw error;
  }
  return store;
}

class SqliteStore implements Store {
  readonly #database: Sqlite;
  readonly #file: string;

  constructor(database: Sqlite, file: string) {
    this.#database = database;
    this.#file = file;
  }

  migrate(): void {
    this.#write(() => {
      this.#database.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)');
      const [row] = this.#all('SELECT version FROM schema_version');
      const from = row === undefined ? 0 : numberOf(row, 'version');
      if (from > MIGRATIONS.length) {
        throw new CaucusError('unsupported_record', `\`${this.#file}\` has schema ${from}`, {
          remedy: 'run the version of caucus that wrote it, or a later one',
          details: { file: this.#file, schema: from },
        });
      }
      for (const statements of MIGRATIONS.slice(from)) {
        for (const sql of statements) this.#database.exec(sql);
      }
      if (row === undefined) this.#run('INSERT INTO schema_version VALUES (?)', MIGRATIONS.length);
      else if (from < MIGRATIONS.length)
        this.#run('UPDATE schema_version SET version = ?', MIGRATIONS.length);
    });
  }

  async head(): Promise<PolicyHead> {
    return this.#read(() => this.#head());
  }

  async propose(
    previousVersion: number,
    previousHash: string,
    op: PolicyOp,
    changes: readonly PolicyChange[],
  ): Promise<ProposeResult> {
    return this.#write(() => {
      const head = this.#head();
      if (head.version !== previousVersion || head.hash !== previousHash)
        return { ok: false, head };
      const version = previousVersion + 1;
      const hash = policyHash({ version, previousHash, op, changes });
      this.#insert({ kind: 'policy', version, previousHash, hash, op, changes }, 'pending');
      return { ok: true, version, hash };
    });
  }

  async pending(): Promise<Proposal[]> {
    return this.#read(() => this.#proposals("state = 'pending' ORDER BY version"));
  }

  async markPublished(version: number): Promise<void> {
    this.#write(() => {
      this.#existing(version);
      this.#run(
        "UPDATE proposals SET state = 'published' WHERE live_version = ? AND state = 'pending'",
        version,
      );
    });
  }

  async setVerdict(version: number, verdict: Verdict, detail: string | null): Promise<void> {
    this.#write(() => {
      const proposal = this.#existing(version);
      if (proposal.state === 'accepted' || proposal.state === 'rejected') {
        if (proposal.state === verdict) return;
        throw new Error(`proposal ${version} is ${proposal.state} and cannot become ${verdict}`);
      }
      this.#run(
        'UPDATE proposals SET state = ?, verdict = ? WHERE live_version = ?',
        verdict,
        detail === null ? null : JSON.stringify(detail),
        version,
      );
      if (verdict === 'accepted' && proposal.op !== 'source')
        this.#applyTexts(version, proposal.changes);
    });
  }

  async copyBack(record: PolicyRecord): Promise<void> {
    this.#write(() => {
      const [present] = this.#proposals('live_version = ?', record.version);
      if (present?.hash !== record.hash) {
        if (present !== undefined) this.#supersede(present);
        this.#reviveOrInsert(record);
      }
      this.#run(
        "UPDATE proposals SET state = 'published' WHERE live_version = ? AND state = 'pending'",
        record.version,
      );
      let { hash } = record;
      for (const later of this.#proposals('live_version > ? ORDER BY version', record.version)) {
        if (later.previousHash === hash) hash = later.hash;
        else this.#supersede(later);
      }
    });
  }

  async proposal(version: number): Promise<Proposal | undefined> {
    return this.#read(() => this.#proposals('live_version = ?', version)[0]);
  }

  async superseded(): Promise<Proposal[]> {
    return this.#read(() => this.#proposals("state = 'superseded' ORDER BY version, hash"));
  }

  async policies(): Promise<StoredPolicy[]> {
    const sql = 'SELECT name, text, version FROM policies WHERE text IS NOT NULL ORDER BY name';
    return this.#read(() =>
      this.#all(sql).map((row) => ({
        name: textOf(row, 'name'),
        text: fromJson(textOf(row, 'text')),
        version: numberOf(row, 'version'),
      })),
    );
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #head(): PolicyHead {
    const [row] = this.#all(
      'SELECT version, hash FROM proposals WHERE live_version IS NOT NULL ORDER BY live_version DESC LIMIT 1',
    );
    if (row === undefined) return { version: 0, hash: NO_HASH };
    return { version: numberOf(row, 'version'), hash: textOf(row, 'hash') };
  }

  #existing(version: number): Proposal {
    const [proposal] = this.#proposals('live_version = ?', version);
    if (proposal === undefined) throw new Error(`there is no proposal ${version}`);
    return proposal;
  }

  #proposals(where: string, ...values: SqliteValue[]): Proposal[] {
    return this.#all(`SELECT * FROM proposals WHERE ${where}`, ...values).map(proposalOf);
  }

  #insert(record: PolicyRecord, state: ProposalState): void {
    this.#run(
      `INSERT INTO proposals
         (version, hash, previous_hash, live_version, op, changes, state, verdict)
       VALUES (?, ?, ?, ?, ?, ?, ?, NULL)`,
      record.version,
      record.hash,
      record.previousHash,
      record.version,
      record.op,
      JSON.stringify(record.changes),
      state,
    );
  }

  /**
   * A proposal that was superseded by mistake of an older topic may be the one that counts after
   * all.
   */
  #reviveOrInsert(record: PolicyRecord): void {
    const revived = this.#run(
      "UPDATE proposals SET state = 'published', live_version = ? WHERE version = ? AND hash = ?",
      record.version,
      record.version,
      record.hash,
    );
    if (revived === 0) this.#insert(record, 'published');
  }

  #supersede(proposal: Proposal): void {
    if (proposal.state === 'accepted') {
      // Its text was in force here: another log than the one this database belongs to.
      throw new CaucusError(
        'log_damaged',
        `the log and \`${this.#file}\` differ at policy version ${proposal.version}`,
        {
          remedy:
            'restore the log and the policy database from one copy, or move the database away',
          details: { file: this.#file, version: proposal.version },
        },
      );
    }
    this.#run(
      "UPDATE proposals SET state = 'superseded', live_version = NULL WHERE live_version = ?",
      proposal.version,
    );
  }

  /**
   * Verdicts may come in any order: the newest version of each text stays; null stands for a
   * deleted one.
   */
  #applyTexts(version: number, changes: readonly PolicyChange[]): void {
    for (const { name, text } of changes) {
      const newer = this.#all(
        'SELECT version FROM policies WHERE name = ? AND version > ?',
        name,
        version,
      );
      if (newer.length > 0) continue;
      this.#run('DELETE FROM policies WHERE name = ?', name);
      const stored = text === null ? null : JSON.stringify(text);
      this.#run(
        'INSERT INTO policies (name, text, version) VALUES (?, ?, ?)',
        name,
        stored,
        version,
      );
    }
  }

  #all(sql: string, ...values: SqliteValue[]): SqliteRow[] {
    return this.#database.all(sql, values);
  }

  #run(sql: string, ...values: SqliteValue[]): number {
    return this.#database.run(sql, values);
  }

  #read<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw storeError(this.#file, error);
    }
  }

  /** One transaction: all of it is durable when this returns, or nothing is. */
  #write<T>(action: () => T): T {
    return this.#read(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const result = action();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        try {
          this.#database.exec('ROLLBACK');
        } catch {
          // SQLite rolls back by itself after some errors; the first one is what matters.
        }
        throw error;
      }
    });
  }
}

function proposalOf(row: SqliteRow): Proposal {
  const verdict = row['verdict'];
  return {
    version: numberOf(row, 'version'),
    hash: textOf(row, 'hash'),
    previousHash: textOf(row, 'previous_hash'),
    op: textOf(row, 'op') as PolicyOp,
    changes: JSON.parse(textOf(row, 'changes')) as PolicyChange[],
    state: textOf(row, 'state') as ProposalState,
    verdict: typeof verdict === 'string' ? fromJson(verdict) : null,
  };
}

/** Texts of users are stored as JSON strings: SQLite's own end at a NUL character. */
function fromJson(text: string): string {
  return JSON.parse(text) as string;
}

function numberOf(row: SqliteRow, column: string): number {
  return Number(row[column]);
}

function textOf(row: SqliteRow, column: string): string {
  return String(row[column]);
}
