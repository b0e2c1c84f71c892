/**
 * The policy database of several servers, on MariaDB or a Galera cluster: the one place that knows
 * the connector. The rules are those of `proposals.ts` and `lease-table.ts`; how transactions of
 * several servers stay apart stands in `mariadb-transactions.ts`.
 */
import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import { createConnection } from 'mariadb';
import type { Connection, ConnectionConfig } from 'mariadb';
import { CaucusError } from '../errors.ts';
import {
  STORE_CONNECTIONS_MAX,
  STORE_CONNECT_MS_MAX,
  STORE_KEEP_ALIVE_MS,
  STORE_PACKET_SPARE_BYTES,
  STORE_STATEMENT_MS_MAX,
} from '../limits.ts';
import { policyHash } from '../log/policy-hash.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';
import { ConnectionPool } from './connection-pool.ts';
import { LeaseTable } from './lease-table.ts';
import type { Lease, Leases } from './leases.ts';
import { mariadbAddress, placeOf } from './mariadb-address.ts';
import type { MariadbAddress, MariadbAddressOptions } from './mariadb-address.ts';
import { UNKNOWN_VARIABLE, errnoOf, mariadbError } from './mariadb-errors.ts';
import { TABLES, checkServer, migrate } from './mariadb-schema.ts';
import { Transactions } from './mariadb-transactions.ts';
import type { StoreConnection } from './mariadb-transactions.ts';
import { Proposals } from './proposals.ts';
import type { ProposalDialect } from './proposals.ts';
import { all, numberOf, run, textOf } from './steps.ts';
import type { Outcome, SqlRow, SqlValue, Steps } from './steps.ts';
import type { PolicyHead, Proposal, ProposeResult, Store, StoredPolicy, Verdict } from './store.ts';

export interface MariadbStoreOptions extends MariadbAddressOptions {
  /** Connections at a time. */
  readonly poolSize?: number;
  /** From the first packet to a session, ms; also how long a request waits for a connection. */
  readonly connectTimeoutMs?: number;
  /** A statement that takes longer is given up, and the transaction is tried again, ms. */
  readonly statementTimeoutMs?: number;
  /** Lost connections; what was asked for is tried again. */
  readonly onProblem?: (error: Error) => void;
  /** In [0, 1): spreads what several servers would try again at once. */
  readonly random?: () => number;
}

/** Tests put faults between store and server. */
export type WrapConnection = (connection: StoreConnection) => StoreConnection;

/**
 * Connects, checks the server, makes or migrates the tables. Throws `invalid_request` for a bad
 * address, `store_unavailable` if nobody answers there, `store_refused` with what to change if the
 * server does not let us, `unsupported_record` for a database of a later version.
 */
export async function openMariadbStore(
  options: MariadbStoreOptions,
  wrap: WrapConnection = (connection) => connection,
): Promise<MariadbStore> {
  const address = mariadbAddress(options);
  const {
    poolSize = STORE_CONNECTIONS_MAX,
    connectTimeoutMs = STORE_CONNECT_MS_MAX,
    statementTimeoutMs = STORE_STATEMENT_MS_MAX,
  } = options;
  const pool = new ConnectionPool({
    open: async () =>
      wrap(await ServerConnection.open(address, connectTimeoutMs, statementTimeoutMs)),
    size: poolSize,
    waitMs: connectTimeoutMs,
  });
  const transactions = new Transactions({
    pool,
    editsTable: TABLES.edits,
    random: options.random ?? Math.random,
    onProblem: options.onProblem ?? (() => undefined),
    toCaucusError: (error) => mariadbError(address, error),
  });
  try {
    await transactions.onConnection((connection) => checkServer(connection, address));
    await transactions.onConnection((connection) => migrate(connection, address));
  } catch (error) {
    await pool.close();
    throw error;
  }
  return new MariadbStore(pool, transactions, address);
}

export class MariadbStore implements Store, Leases {
  readonly #pool: ConnectionPool<StoreConnection>;
  readonly #transactions: Transactions;
  readonly #proposals: Proposals;
  readonly #leases = new LeaseTable({
    leases: TABLES.leases,
    now: () => "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000",
    insertIgnore: 'INSERT IGNORE',
  });

  /** Use `openMariadbStore`. */
  constructor(
    pool: ConnectionPool<StoreConnection>,
    transactions: Transactions,
    address: MariadbAddress,
  ) {
    this.#pool = pool;
    this.#transactions = transactions;
    this.#proposals = new Proposals(dialectOf(placeOf(address)));
  }

  head(): Promise<PolicyHead> {
    return this.#transactions.statements(() => this.#proposals.head());
  }

  propose(
    previousVersion: number,
    previousHash: string,
    op: PolicyOp,
    changes: readonly PolicyChange[],
  ): Promise<ProposeResult> {
    const writer = randomBytes(16).toString('hex');
    const version = previousVersion + 1;
    const hash = policyHash({ version, previousHash, op, changes });
    const proposals = this.#proposals;
    function* propose(isUncertain: boolean): Steps<ProposeResult> {
      if (isUncertain) {
        const sql = `SELECT version FROM ${TABLES.proposals} WHERE version = ? AND hash = ? AND writer = ?`;
        const own = yield* all(sql, version, hash, writer);
        if (own.length > 0) return { ok: true, version, hash };
      }
      const result = yield* proposals.propose(previousVersion, previousHash, op, changes);
      if (result.ok) {
        const sql = `UPDATE ${TABLES.proposals} SET writer = ? WHERE version = ? AND hash = ?`;
        yield* run(sql, writer, version, hash);
      }
      return result;
    }
    return this.#transactions.transaction(propose);
  }

  pending(): Promise<Proposal[]> {
    return this.#transactions.statements(() => this.#proposals.pending());
  }

  markPublished(version: number): Promise<void> {
    return this.#transactions.transaction(() => this.#proposals.markPublished(version));
  }

  setVerdict(version: number, verdict: Verdict, detail: string | null): Promise<void> {
    return this.#transactions.transaction(() =>
      this.#proposals.setVerdict(version, verdict, detail),
    );
  }

  copyBack(record: PolicyRecord): Promise<void> {
    return this.#transactions.transaction(() => this.#proposals.copyBack(record));
  }

  proposal(version: number): Promise<Proposal | undefined> {
    return this.#transactions.statements(() => this.#proposals.proposal(version));
  }

  superseded(): Promise<Proposal[]> {
    return this.#transactions.statements(() => this.#proposals.superseded());
  }

  policies(): Promise<StoredPolicy[]> {
    return this.#transactions.statements(() => this.#proposals.policies());
  }

  takeLease(name: string, owner: string, holder: string, ttlMs: number): Promise<Lease> {
    return this.#transactions.statements(() => this.#leases.takeLease(name, owner, holder, ttlMs));
  }

  releaseLease(name: string, owner: string, generation: number): Promise<void> {
    return this.#transactions.statements(() => this.#leases.releaseLease(name, owner, generation));
  }

  leases(): Promise<Lease[]> {
    return this.#transactions.statements(() => this.#leases.leases());
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

function dialectOf(place: string): ProposalDialect {
  return {
    place,
    proposals: TABLES.proposals,
    policies: TABLES.policies,
    encodeText: (text) => text,
    decodeText: (text) => text,
    *insert({ version, hash, previousHash, op, changes }, state) {
      const sql = `INSERT INTO ${TABLES.proposals}
        (version, hash, previous_hash, live_version, op, state) VALUES (?, ?, ?, ?, ?, ?)`;
      yield* run(sql, version, hash, previousHash, version, op, state);
      for (const [position, { name, text }] of changes.entries()) {
        const change = `INSERT INTO ${TABLES.changes}
          (version, hash, position, name, text) VALUES (?, ?, ?, ?, ?)`;
        yield* run(change, version, hash, position, name, text);
      }
    },
    *select(where, values) {
      const rows = yield* all(
        `SELECT version, hash, previous_hash, op, state, verdict, position, name, text
         FROM ${TABLES.proposals} LEFT JOIN ${TABLES.changes} USING (version, hash)
         WHERE ${where}`,
        ...values,
      );
      const proposals = new Map<string, SqlRow[]>();
      for (const row of rows) {
        const key = `${textOf(row, 'version')} ${textOf(row, 'hash')}`;
        const parts = proposals.get(key);
        if (parts === undefined) proposals.set(key, [row]);
        else parts.push(row);
      }
      return [...proposals.values()].map((parts) => ({
        row: parts[0] as SqlRow,
        changes: changesOf(parts),
      }));
    },
  };
}

function changesOf(parts: readonly SqlRow[]): PolicyChange[] {
  return parts
    .filter((part) => part['position'] !== null)
    .toSorted((a, b) => numberOf(a, 'position') - numberOf(b, 'position'))
    .map((part) => ({
      name: textOf(part, 'name'),
      text: part['text'] === null ? null : textOf(part, 'text'),
    }));
}

/** The rights of any user suffice for these. */
const SESSION = [
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1",
  'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  // A write to a row that changed since the snapshot is an error instead of a surprise.
  'SET SESSION innodb_snapshot_isolation = ON',
  // On Galera: a read (or the begin of a transaction) waits for all that the cluster has committed.
  'SET SESSION wsrep_sync_wait = 1',
];

class ServerConnection implements StoreConnection {
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #statementTimeoutMs: number;
  #packetBytesMax = Infinity;

  private constructor(connection: Connection, socket: Socket, statementTimeoutMs: number) {
    this.#connection = connection;
    this.#socket = socket;
    this.#statementTimeoutMs = statementTimeoutMs;
    // An idle connection that ends is noticed by `isOpen`.
    connection.on('error', () => undefined);
  }

  static async open(
    address: MariadbAddress,
    connectTimeoutMs: number,
    statementTimeoutMs: number,
  ): Promise<ServerConnection> {
    const { host, port, socketPath } = address;
    const socket = new Socket();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, STORE_KEEP_ALIVE_MS);
    try {
      const connector = await createConnection({
        ...connectorOptions(address),
        connectTimeout: connectTimeoutMs,
        // By then the connector listens to it.
        stream: () =>
          socketPath === undefined ? socket.connect(port, host) : socket.connect(socketPath),
      });
      const connection = new ServerConnection(connector, socket, statementTimeoutMs);
      await connection.#setUp();
      return connection;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#connection.isValid();
  }

  /** Without values it is sent as it is, else prepared: no text is ever put into a statement. */
  async execute(sql: string, values: readonly SqlValue[]): Promise<Outcome> {
    this.#checkSize(values);
    // The connector's own limits do not fit: one cuts idle connections, one is the server's.
    const limit = setTimeout(() => this.destroy(), this.#statementTimeoutMs);
    try {
      const result: unknown =
        values.length === 0
          ? await this.#connection.query(sql)
          : await this.#connection.execute(sql, [...values]);
      if (Array.isArray(result)) return { rows: result as SqlRow[], changed: 0 };
      return { rows: [], changed: (result as { affectedRows?: number }).affectedRows ?? 0 };
    } finally {
      clearTimeout(limit);
    }
  }

  /** By the socket: the connector would open a second connection to have this one killed. */
  destroy(): void {
    this.#socket.destroy(new Error(`no answer for ${this.#statementTimeoutMs} ms`));
  }

  async end(): Promise<void> {
    const limit = setTimeout(() => this.#socket.destroy(), this.#statementTimeoutMs);
    await this.#connection.end();
    clearTimeout(limit);
  }

  async #setUp(): Promise<void> {
    const seconds = this.#statementTimeoutMs / 1000;
    const limits = [
      `SET SESSION max_statement_time = ${seconds}`,
      `SET SESSION innodb_lock_wait_timeout = ${Math.ceil(seconds / 2)}`,
      // A server that vanished in a transaction must not keep its locks.
      `SET SESSION idle_transaction_timeout = ${Math.ceil(seconds)}`,
    ];
    for (const sql of [...SESSION, ...limits]) {
      try {
        await this.execute(sql, []);
      } catch (error) {
        // A server without Galera, without InnoDB (refused later), or an older one.
        if (errnoOf(error) !== UNKNOWN_VARIABLE) throw error;
      }
    }
    const { rows } = await this.execute('SELECT @@max_allowed_packet AS packet', []);
    if (rows[0] !== undefined) this.#packetBytesMax = numberOf(rows[0], 'packet');
  }

  /** A packet that is too large would only end the connection. */
  #checkSize(values: readonly SqlValue[]): void {
    let bytes = STORE_PACKET_SPARE_BYTES;
    for (const value of values) bytes += typeof value === 'string' ? Buffer.byteLength(value) : 8;
    if (bytes <= this.#packetBytesMax) return;
    throw new CaucusError(
      'too_large',
      `a text needs a packet of ${bytes} bytes, and the policy database takes ${this.#packetBytesMax}`,
      { remedy: 'make it smaller, or raise `max_allowed_packet` of every database server' },
    );
  }
}

function connectorOptions(address: MariadbAddress): ConnectionConfig {
  const { host, port, user, password, database, tls } = address;
  return {
    host,
    port,
    user,
    password,
    database,
    // As SQLite counts: rows found, changed or not.
    foundRows: true,
    bigIntAsNumber: true,
    insertIdAsNumber: true,
    // Else a statement is sent with its execution behind it: where it cannot be prepared, the
    // server executes the one that was prepared before, and the connector throws out of a
    // socket's event.
    pipelining: false,
    ...(tls === undefined ? {} : { ssl: connectorTls(tls, host) }),
  };
}

function connectorTls({ ca, cert, key, verify }: NonNullable<MariadbAddress['tls']>, host: string) {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: verify ?? true,
    // Whom the certificate must name: without it, an address counts as `localhost`.
    host,
  };
}
