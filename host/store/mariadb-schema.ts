/**
 * The tables on MariaDB, and how a database gets them, while any number of servers start at once.
 *
 * Every statement can be repeated, and the version is raised by compare-and-swap after those that
 * belong to it. Statements that define tables cannot be rolled back, so a start that dies in the
 * middle is finished by the next one. A later version adds tables, columns and indexes and never
 * takes away, so that servers of the version before go on beside it.
 */
import { CaucusError } from '../errors.ts';
import { NAME_BYTES_MAX, STORE_PACKET_BYTES_MIN } from '../limits.ts';
import { placeOf } from './mariadb-address.ts';
import type { MariadbAddress } from './mariadb-address.ts';
import { NO_SUCH_TABLE, errnoOf, unfit } from './mariadb-errors.ts';
import type { StoreConnection } from './mariadb-transactions.ts';
import { numberOf, textOf } from './steps.ts';
import type { SqlRow } from './steps.ts';

/** Prefixed: the database may be that of another program, such as Congress. */
export const TABLES = {
  version: 'caucus_schema_version',
  edits: 'caucus_edits',
  proposals: 'caucus_proposals',
  changes: 'caucus_proposal_changes',
  policies: 'caucus_policies',
  leases: 'caucus_leases',
} as const;

/** The oldest server with all that is used; what is older gets no more updates either. */
const SERVER_MAJOR_MIN = 10;
const SERVER_MINOR_MIN = 5;

/**
 * Texts are compared byte by byte, trailing spaces included. `DYNAMIC`: keys of that length fit
 * whatever the server's default is.
 */
const TABLE_OPTIONS =
  'ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin';
const NAME = `VARCHAR(${NAME_BYTES_MAX})`;
const ASCII = 'CHARACTER SET ascii COLLATE ascii_bin';

const VERSION_TABLE = [
  `CREATE TABLE IF NOT EXISTS ${TABLES.version} (
    id TINYINT NOT NULL PRIMARY KEY,
    version INT NOT NULL
  ) ${TABLE_OPTIONS}`,
  `INSERT IGNORE INTO ${TABLES.version} (id, version) VALUES (1, 0)`,
];

/** Only ever added to: entry n brings a database from schema n to n + 1. */
const MIGRATIONS: readonly (readonly string[])[] = [
  [
    // One row: how often anything of policies was written.
    `CREATE TABLE IF NOT EXISTS ${TABLES.edits} (
      id TINYINT NOT NULL PRIMARY KEY,
      edit BIGINT NOT NULL
    ) ${TABLE_OPTIONS}`,
    `INSERT IGNORE INTO ${TABLES.edits} (id, edit) VALUES (1, 0)`,
    // `writer` names one call of one server, so that it knows its own write again.
    `CREATE TABLE IF NOT EXISTS ${TABLES.proposals} (
      version BIGINT NOT NULL,
      hash CHAR(64) ${ASCII} NOT NULL,
      previous_hash CHAR(64) ${ASCII} NOT NULL,
      live_version BIGINT NULL,
      op VARCHAR(20) ${ASCII} NOT NULL,
      state VARCHAR(20) ${ASCII} NOT NULL,
      verdict LONGTEXT NULL,
      writer CHAR(32) ${ASCII} NULL,
      PRIMARY KEY (version, hash),
      UNIQUE KEY live_version (live_version),
      KEY state_version (state, version)
    ) ${TABLE_OPTIONS}`,
    // A row for each text, so that one packet holds one text and not all of a write.
    `CREATE TABLE IF NOT EXISTS ${TABLES.changes} (
      version BIGINT NOT NULL,
      hash CHAR(64) ${ASCII} NOT NULL,
      position INT NOT NULL,
      name ${NAME} NOT NULL,
      text LONGTEXT NULL,
      PRIMARY KEY (version, hash, position)
    ) ${TABLE_OPTIONS}`,
    `CREATE TABLE IF NOT EXISTS ${TABLES.policies} (
      name ${NAME} NOT NULL PRIMARY KEY,
      text LONGTEXT NULL,
      version BIGINT NOT NULL
    ) ${TABLE_OPTIONS}`,
    `CREATE TABLE IF NOT EXISTS ${TABLES.leases} (
      name ${NAME} NOT NULL PRIMARY KEY,
      owner ${NAME} NOT NULL,
      holder ${NAME} NOT NULL,
      generation BIGINT NOT NULL,
      edit BIGINT NOT NULL,
      ends_at_ms BIGINT NOT NULL
    ) ${TABLE_OPTIONS}`,
  ],
];

/** Throws `store_refused` with what to change. */
export async function checkServer(
  connection: StoreConnection,
  address: MariadbAddress,
): Promise<void> {
  const server = await oneRow(
    connection,
    'SELECT VERSION() AS version, @@max_allowed_packet AS packet',
  );
  const version = textOf(server, 'version');
  if (!isRecentMariadb(version)) {
    const wanted = `${SERVER_MAJOR_MIN}.${SERVER_MINOR_MIN}`;
    throw unfit(address, `is ${version}`, `use MariaDB ${wanted} or later`);
  }
  const packet = numberOf(server, 'packet');
  if (packet < STORE_PACKET_BYTES_MIN) {
    throw unfit(
      address,
      `takes packets of ${packet} bytes, and a policy text may need ${STORE_PACKET_BYTES_MIN}`,
      `set \`max_allowed_packet = ${STORE_PACKET_BYTES_MIN}\` in the settings of every server`,
    );
  }
  const { rows } = await connection.execute(
    "SELECT support FROM information_schema.engines WHERE engine = 'InnoDB'",
    [],
  );
  const support = rows[0] === undefined ? 'NO' : textOf(rows[0], 'support');
  if (support !== 'YES' && support !== 'DEFAULT') {
    throw unfit(address, 'has no InnoDB', 'start the server without `skip_innodb`');
  }
}

/** Makes or completes the tables. Throws `unsupported_record` for those of a later version. */
export async function migrate(connection: StoreConnection, address: MariadbAddress): Promise<void> {
  let version = await schemaVersion(connection);
  if (version === undefined) {
    for (const sql of VERSION_TABLE) await connection.execute(sql, []);
    version = await schemaVersion(connection);
  }
  for (;;) {
    if (version === undefined) throw new Error(`\`${TABLES.version}\` has no row`);
    if (version > MIGRATIONS.length) throw tooNew(address, version);
    const statements = MIGRATIONS[version];
    if (statements === undefined) return;
    for (const sql of statements) await connection.execute(sql, []);
    // Whoever does this second changes nothing.
    await connection.execute(
      `UPDATE ${TABLES.version} SET version = version + 1 WHERE id = 1 AND version = ?`,
      [version],
    );
    version = await schemaVersion(connection);
  }
}

async function schemaVersion(connection: StoreConnection): Promise<number | undefined> {
  try {
    const { rows } = await connection.execute(`SELECT version FROM ${TABLES.version}`, []);
    return rows[0] === undefined ? undefined : numberOf(rows[0], 'version');
  } catch (error) {
    if (errnoOf(error) === NO_SUCH_TABLE) return undefined;
    throw error;
  }
}

function tooNew(address: MariadbAddress, schema: number): CaucusError {
  const database = placeOf(address);
  return new CaucusError('unsupported_record', `\`${database}\` has schema ${schema}`, {
    remedy: 'run the version of caucus that wrote it, or a later one',
    details: { database, schema },
  });
}

function isRecentMariadb(version: string): boolean {
  const [, ...numbers] = /(\d+)\.(\d+)\.\d+(?:-\d+)?-MariaDB/i.exec(version) ?? [];
  if (numbers.length === 0) return false;
  const [major = 0, minor = 0] = numbers.map(Number);
  return major > SERVER_MAJOR_MIN || (major === SERVER_MAJOR_MIN && minor >= SERVER_MINOR_MIN);
}

async function oneRow(connection: StoreConnection, sql: string): Promise<SqlRow> {
  const { rows } = await connection.execute(sql, []);
  return rows[0] as SqlRow;
}
