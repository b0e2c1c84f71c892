/** The policy database of a single process. */
import { CaucusError } from '../errors.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';
import { LeaseTable } from './lease-table.ts';
import type { Lease, Leases } from './leases.ts';
import { Proposals } from './proposals.ts';
import type { ProposalDialect } from './proposals.ts';
import { openSqlite, storeError } from './sqlite.ts';
import type { Sqlite, SqliteKind } from './sqlite.ts';
import { all, numberOf, run, textOf } from './steps.ts';
import type { Outcome, Statement, Steps } from './steps.ts';
import type { PolicyHead, Proposal, ProposeResult, Store, StoredPolicy, Verdict } from './store.ts';

/** Only ever added to: entry n brings a database from schema n to n + 1. */
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
  [
    `CREATE TABLE IF NOT EXISTS leases (
      name TEXT NOT NULL PRIMARY KEY,
      owner TEXT NOT NULL,
      holder TEXT NOT NULL,
      generation INTEGER NOT NULL,
      edit INTEGER NOT NULL,
      ends_at_ms INTEGER NOT NULL
    )`,
  ],
];

export interface SqliteStoreOptions {
  /** The caller holds the lock of its directory. */
  readonly file: string;
  /** Default: what the runtime has. */
  readonly kind?: SqliteKind;
  /** The clock of leases, ms since the epoch. Default: that of this machine. */
  readonly now?: () => number;
}

/** Opens, or makes and migrates. Throws `unsupported_record` for a database of a later version. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store & Leases> {
  const database = await openSqlite(options.file, options.kind);
  const store = new SqliteStore(database, options);
  try {
    store.migrate();
  } catch (error) {
    database.close();
    throw error;
  }
  return store;
}

class SqliteStore implements Store, Leases {
  readonly #database: Sqlite;
  readonly #file: string;
  readonly #proposals: Proposals;
  readonly #leases: LeaseTable;

  constructor(database: Sqlite, { file, now = Date.now }: SqliteStoreOptions) {
    this.#database = database;
    this.#file = file;
    this.#proposals = new Proposals(dialectOf(file));
    this.#leases = new LeaseTable({
      leases: 'leases',
      now: () => String(Math.trunc(now())),
      insertIgnore: 'INSERT OR IGNORE',
    });
  }

  migrate(): void {
    this.#write(() => {
      this.#database.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)');
      const [row] = this.#database.all('SELECT version FROM schema_version', []);
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
      const values = [MIGRATIONS.length];
      if (row === undefined) this.#database.run('INSERT INTO schema_version VALUES (?)', values);
      else if (from < MIGRATIONS.length)
        this.#database.run('UPDATE schema_version SET version = ?', values);
    });
  }

  async head(): Promise<PolicyHead> {
    return this.#read(this.#proposals.head());
  }

  async propose(
    previousVersion: number,
    previousHash: string,
    op: PolicyOp,
    changes: readonly PolicyChange[],
  ): Promise<ProposeResult> {
    return this.#change(this.#proposals.propose(previousVersion, previousHash, op, changes));
  }

  async pending(): Promise<Proposal[]> {
    return this.#read(this.#proposals.pending());
  }

  async markPublished(version: number): Promise<void> {
    this.#change(this.#proposals.markPublished(version));
  }

  async setVerdict(version: number, verdict: Verdict, detail: string | null): Promise<void> {
    this.#change(this.#proposals.setVerdict(version, verdict, detail));
  }

  async copyBack(record: PolicyRecord): Promise<void> {
    this.#change(this.#proposals.copyBack(record));
  }

  async proposal(version: number): Promise<Proposal | undefined> {
    return this.#read(this.#proposals.proposal(version));
  }

  async superseded(): Promise<Proposal[]> {
    return this.#read(this.#proposals.superseded());
  }

  async policies(): Promise<StoredPolicy[]> {
    return this.#read(this.#proposals.policies());
  }

  async takeLease(name: string, owner: string, holder: string, ttlMs: number): Promise<Lease> {
    return this.#change(this.#leases.takeLease(name, owner, holder, ttlMs));
  }

  async releaseLease(name: string, owner: string, generation: number): Promise<void> {
    this.#change(this.#leases.releaseLease(name, owner, generation));
  }

  async leases(): Promise<Lease[]> {
    return this.#read(this.#leases.leases());
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #change<T>(steps: Steps<T>): T {
    return this.#write(() => this.#run(steps));
  }

  #read<T>(steps: Steps<T>): T {
    return this.#guarded(() => this.#run(steps));
  }

  #run<T>(steps: Steps<T>): T {
    let step = steps.next();
    while (step.done !== true) step = steps.next(this.#outcomeOf(step.value));
    return step.value;
  }

  #outcomeOf({ sql, values, writes }: Statement): Outcome {
    if (writes) return { rows: [], changed: this.#database.run(sql, values) };
    return { rows: this.#database.all(sql, values), changed: 0 };
  }

  #guarded<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw storeError(this.#file, error);
    }
  }

  /** One transaction: all of it is durable when this returns, or nothing is. */
  #write<T>(action: () => T): T {
    return this.#guarded(() => {
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

/** Texts of users are stored as JSON strings: SQLite's own end at a NUL character. */
function dialectOf(file: string): ProposalDialect {
  return {
    place: file,
    proposals: 'proposals',
    policies: 'policies',
    encodeText: (text) => JSON.stringify(text),
    decodeText: (text) => JSON.parse(text) as string,
    *insert(record, state) {
      yield* run(
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
    },
    *select(where, values) {
      const rows = yield* all(`SELECT * FROM proposals WHERE ${where}`, ...values);
      return rows.map((row) => ({
        row,
        changes: JSON.parse(textOf(row, 'changes')) as PolicyChange[],
      }));
    },
  };
}
