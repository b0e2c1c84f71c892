/** What errors of a server, of the connector and of the network mean, and what people can do. */
import { CaucusError } from '../errors.ts';
import { placeOf } from './mariadb-address.ts';
import type { MariadbAddress } from './mariadb-address.ts';

/**
 * `conflict`: another transaction was first; do it again. `lost`: the connection or the server is
 * gone or cannot take part; do it again over another connection. `refused`: rights, settings.
 * `full`: the server cannot store more. `other`: not an error of the database, or a defect.
 */
export type Trouble = 'conflict' | 'lost' | 'refused' | 'full' | 'other';

/** What is read of an error of the connector. */
interface SqlError extends Error {
  readonly errno?: number;
  readonly sqlState?: string | null;
  readonly sqlMessage?: string | null;
  readonly fatal?: boolean;
  readonly code?: string | null;
}

export const UNKNOWN_VARIABLE = 1193;
export const NO_SUCH_TABLE = 1146;

/** Somebody else saw the same state and was first; also what a unique key says of it. */
export class WriteConflict extends Error {}

/**
 * Another transaction was first: changed since read, lock wait timed out, deadlock (also the word
 * of Galera for a write of another node), duplicate key.
 */
const CONFLICTS = [1020, 1205, 1213, 1062];
/**
 * Too many connections (1040, 1203), shutdown (1053), host blocked (1129), error during commit
 * (1180), read-only (1290, 1836), statement killed (1317) or timed out (1969), connection killed
 * (1927), no quorum (1047).
 */
const LOST = [1040, 1047, 1053, 1129, 1180, 1203, 1290, 1317, 1836, 1927, 1969];
const FULL = [1021, 1026, 1114];
/** Passwords, hosts, plugins, expired or locked accounts, TLS required. */
const BAD_LOGIN = [1045, 1130, 1251, 1524, 1698, 1820, 1862, 3159, 4151];
const UNKNOWN_DATABASE = 1049;
const NO_RIGHTS = [1044, 1142, 1143, 1227, 1370];
/** Data too long for a column, a packet, a result. */
const TOO_LONG = [1153, 1301, 1406];
/** Of the connector: the server has no TLS, a session could not be set up. */
const NO_TLS = 45_023;

export function troubleOf(error: unknown): Trouble {
  if (error instanceof WriteConflict) return 'conflict';
  if (!isSqlError(error)) return 'other';
  const { errno = 0, sqlState, fatal, code } = error;
  if (CONFLICTS.includes(errno)) return 'conflict';
  if (isRefusal(errno) || isTlsProblem(error)) return 'refused';
  if (FULL.includes(errno)) return 'full';
  // Errors of sockets have a code, and no number or a negative one.
  const isNetwork = typeof code === 'string' && /^(E[A-Z]+|ERR_[A-Z_]+)$/.test(code) && errno <= 0;
  if (fatal === true || sqlState?.startsWith('08') === true || LOST.includes(errno) || isNetwork)
    return 'lost';
  return 'other';
}

export function errnoOf(error: unknown): number | undefined {
  return isSqlError(error) ? error.errno : undefined;
}

/** Turns an error of the database into one of ours; others stay. */
export function mariadbError(address: MariadbAddress, error: unknown): unknown {
  if (error instanceof CaucusError) return error;
  const trouble = troubleOf(error);
  const place = placeOf(address);
  const details = { database: place };
  const why = messageOf(error);
  if (isSqlError(error) && TOO_LONG.includes(error.errno ?? 0)) {
    return new CaucusError('too_large', `the policy database cannot store that: ${why}`, {
      remedy: 'make the names or texts shorter, or write fewer policies at once',
      details,
      cause: error,
    });
  }
  if (trouble === 'other') return error;
  if (trouble === 'refused') return refusal(address, error as SqlError, why);
  const remedy =
    trouble === 'conflict'
      ? 'try again: other writers were always first'
      : trouble === 'full'
        ? 'make space on the disk of the database server'
        : 'check that the database server runs and can be reached; what was asked for can be repeated';
  return new CaucusError('store_unavailable', `the policy database \`${place}\`: ${why}`, {
    remedy,
    details,
    cause: error,
  });
}

/** A server that cannot hold the database as it is. */
export function unfit(address: MariadbAddress, what: string, remedy: string): CaucusError {
  const place = placeOf(address);
  return new CaucusError('store_refused', `the policy database \`${place}\` ${what}`, {
    remedy,
    details: { database: place },
  });
}

function refusal(address: MariadbAddress, error: SqlError, why: string): CaucusError {
  const { errno = 0 } = error;
  const { database } = address;
  const what = `refuses: ${why}`;
  if (errno === UNKNOWN_DATABASE) {
    const create = `CREATE DATABASE ${quoted(database)} CHARACTER SET utf8mb4`;
    return unfit(address, what, `create it: \`${create}; ${grantFor(address)}\``);
  }
  if (NO_RIGHTS.includes(errno)) return unfit(address, what, `run \`${grantFor(address)}\``);
  if (isTlsProblem(error)) {
    return unfit(
      address,
      what,
      'set up TLS on the server, give its certificate authority as `ssl_ca`, or leave TLS out',
    );
  }
  return unfit(
    address,
    what,
    'check user and password, or create the user: ' +
      `\`CREATE USER ${accountOf(address)} IDENTIFIED BY '…'; ${grantFor(address)}\``,
  );
}

/** What the user needs: `docs/OPERATIONS.md` says what for. */
function grantFor(address: MariadbAddress): string {
  const rights = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX';
  return `GRANT ${rights} ON ${quoted(address.database)}.* TO ${accountOf(address)}`;
}

function accountOf({ user }: MariadbAddress): string {
  return `'${user.replaceAll("'", "''")}'@'%'`;
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

function isRefusal(errno: number): boolean {
  return BAD_LOGIN.includes(errno) || NO_RIGHTS.includes(errno) || errno === UNKNOWN_DATABASE;
}

function isTlsProblem({ errno = 0, code, message }: SqlError): boolean {
  if (errno === NO_TLS) return true;
  // Errors of servers have positive numbers.
  if (errno > 0) return false;
  return /CERT|ALTNAME|self.signed/i.test(`${code ?? ''} ${message}`);
}

function isSqlError(error: unknown): error is SqlError {
  if (!(error instanceof Error) || error instanceof CaucusError) return false;
  return 'fatal' in error || 'errno' in error || 'code' in error;
}

/** Without statements, which may hold texts of users. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = (error as SqlError).sqlMessage ?? error.message;
  return text.split('\n')[0] ?? '';
}
