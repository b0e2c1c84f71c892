/**
 * One `mariadbd` with a data directory and a port of its own: its settings, its user, its account.
 *
 * As root it runs as the user `mysql`, since it refuses to run as root; the folders above its data
 * directory then have to let that user through.
 */
import { chmod, chown, mkdir, stat, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exists } from './cache.ts';
import { LOOPBACK } from './ports.ts';
import { ComponentProcess, findProgram, runProgram } from './processes.ts';
import type { LogText, Program, User } from './processes.ts';

export interface Account {
  readonly user: string;
  /** Letters, digits, `-` and `_`. */
  readonly password: string;
  readonly database: string;
}

export interface MariadbServerOptions {
  readonly name: string;
  readonly directory: string;
  readonly port: number;
  readonly account: Account;
  /** At its first start; default true. */
  readonly makesAccount?: boolean;
  /** On top of the settings file, asked at each start. */
  readonly args?: () => readonly string[] | Promise<readonly string[]>;
  /** Besides that it greets. */
  readonly isReady?: (log: LogText) => boolean;
}

const GREETING_LIMIT_MS = 1_000;
/** First byte of a server's greeting; an error packet has another there. */
const GREETING_VERSION = 10;
const PACKET_HEADER_BYTES = 4;
/** Others may enter the folder, not list it. */
const MAY_ENTER = 0o011;
const OTHERS_MAY_ENTER = 0o001;

export class MariadbServer extends ComponentProcess {
  readonly url: string;
  readonly host = LOOPBACK;
  readonly port: number;
  readonly #options: MariadbServerOptions;
  #user: User | undefined;
  #isAccountMade: boolean;

  constructor(options: MariadbServerOptions) {
    const { name, directory, port, account } = options;
    const { user, password, database } = account;
    super({
      name,
      directory,
      program: async () => this.#program([...this.#accountArgs(), ...(await this.#args())]),
      isReady: async (log) => (options.isReady?.(log) ?? true) && (await greets(port)),
    });
    this.url = `mariadb://${user}:${password}@${LOOPBACK}:${port}/${database}`;
    this.port = port;
    this.#options = options;
    this.#isAccountMade = options.makesAccount === false;
  }

  /** Before the first start: makes the data directory, unless the folder has one. */
  async install(): Promise<void> {
    const { directory, account } = this.#options;
    const temporary = path.join(directory, 'tmp');
    await mkdir(temporary, { recursive: true });
    if (process.getuid?.() === 0) {
      this.#user = await userOf('mysql');
      await letThrough(directory);
      await chown(directory, this.#user.uid, this.#user.gid);
      await chown(temporary, this.#user.uid, this.#user.gid);
    }
    await writeFile(this.#settingsFile, settings(this.#options));
    await writeFile(initFile(directory), accountSql(account), { mode: 0o644 });
    if (await exists(path.join(directory, 'data', 'mysql'))) return;
    const args = [
      `--defaults-file=${this.#settingsFile}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--skip-name-resolve',
    ];
    await runProgram({ command: 'mariadb-install-db', args, user: this.#user }, directory);
  }

  /** Runs the server program to its end with these words more; resolves to what it printed. */
  async runOnce(...words: readonly string[]): Promise<string> {
    return await runProgram(this.#program(words), this.#options.directory);
  }

  override async start(): Promise<void> {
    await super.start();
    this.#isAccountMade = true;
  }

  #program(words: readonly string[]): Program {
    return {
      command: findProgram('mariadbd') ?? 'mariadbd',
      args: [`--defaults-file=${this.#settingsFile}`, ...words],
      user: this.#user,
    };
  }

  async #args(): Promise<readonly string[]> {
    return (await this.#options.args?.()) ?? [];
  }

  #accountArgs(): readonly string[] {
    return this.#isAccountMade ? [] : [`--init-file=${initFile(this.#options.directory)}`];
  }

  get #settingsFile(): string {
    return path.join(this.#options.directory, 'my.cnf');
  }
}

/**
 * Durable like a real one, small otherwise. A server that starts deletes the temporary tables it
 * finds, those of others too, so each has its own folder for them. `loose_` is for settings that
 * not every version has. The socket is relative: paths of sockets may be 107 bytes long only.
 */
function settings({ directory, port }: MariadbServerOptions): string {
  return `[mariadbd]
datadir = ${path.join(directory, 'data')}
bind_address = ${LOOPBACK}
port = ${port}
tmpdir = ${path.join(directory, 'tmp')}
socket = mariadb.sock
pid_file = mariadb.pid
skip_name_resolve = ON
performance_schema = OFF
max_connections = 200
character_set_server = utf8mb4
innodb_flush_log_at_trx_commit = 1
loose_innodb_snapshot_isolation = ON
innodb_buffer_pool_size = 64M
innodb_log_file_size = 32M
`;
}

function initFile(directory: string): string {
  return path.join(directory, 'account.sql');
}

function accountSql({ user, password, database }: Account): string {
  // One statement a line: the server reads the file that way, with nobody else connected.
  return `CREATE DATABASE IF NOT EXISTS ${database};
CREATE USER IF NOT EXISTS '${user}'@'${LOOPBACK}' IDENTIFIED BY '${password}';
GRANT ALL PRIVILEGES ON *.* TO '${user}'@'${LOOPBACK}';
`;
}

/** A server that takes connections greets first; while it starts it only accepts them. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: LOOPBACK, port, timeout: GREETING_LIMIT_MS });
    const answer = (does: boolean): void => {
      socket.destroy();
      resolve(does);
    };
    socket.once('data', (piece) => answer(piece[PACKET_HEADER_BYTES] === GREETING_VERSION));
    socket.once('end', () => answer(false));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
  });
}

async function userOf(name: string): Promise<User> {
  const ask = async (what: string): Promise<number> =>
    Number(await runProgram({ command: 'id', args: [what, name] }, '.'));
  return { uid: await ask('-u'), gid: await ask('-g') };
}

/** Opens folders of ours below the one for temporary files; refuses to touch others. */
async function letThrough(directory: string): Promise<void> {
  const temporary = path.resolve(tmpdir());
  for (let folder = path.dirname(directory); ; folder = path.dirname(folder)) {
    const { mode, uid } = await stat(folder);
    if ((mode & OTHERS_MAY_ENTER) === 0) {
      const isOurs = uid === process.getuid?.() && folder.startsWith(`${temporary}${path.sep}`);
      if (!isOurs) {
        throw new Error(
          `the user \`mysql\` may not enter \`${folder}\`: give a directory below ` +
            `\`${temporary}\`, or \`chmod o+x ${folder}\``,
        );
      }
      await chmod(folder, mode | MAY_ENTER);
    }
    if (folder === path.dirname(folder)) return;
  }
}
