/** MariaDB on loopback. Everything durable lies in the given directory. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { exists } from './cache.ts';
import { MariadbServer } from './mariadb-server.ts';
import type { Account } from './mariadb-server.ts';
import { freePort } from './ports.ts';
import type { Controls, ProcessState, Progress } from './processes.ts';

export interface MariadbOptions {
  readonly directory: string;
  readonly onProgress?: Progress;
}

export interface RunningMariadb extends Controls {
  /** `mariadb://user:password@127.0.0.1:port/database`; the user may create databases. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly state: ProcessState;
  readonly logFile: string;
}

const PASSWORD_BYTES = 12;

/** Resolves when connections are answered. */
export async function startMariadb(options: MariadbOptions): Promise<RunningMariadb> {
  const { onProgress = () => undefined } = options;
  const directory = path.resolve(options.directory, 'mariadb');
  const server = new MariadbServer({
    name: 'mariadb',
    directory,
    port: await freePort(),
    account: await accountOf(directory),
  });
  onProgress('mariadb: making the data directory');
  await server.install();
  onProgress('mariadb: starting');
  await server.start();
  onProgress(`mariadb: ready at ${server.host}:${server.port}`);
  return server;
}

export function newAccount(): Account {
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  return { user: 'caucus', password, database: 'caucus' };
}

/** That of the directory, if it was used before. */
async function accountOf(directory: string): Promise<Account> {
  const file = path.join(directory, 'account.json');
  if (await exists(file)) return JSON.parse(await readFile(file, 'utf8')) as Account;
  await mkdir(directory, { recursive: true });
  const account = newAccount();
  await writeFile(file, `${JSON.stringify(account)}\n`, { mode: 0o600 });
  return account;
}
