/** MariaDB on loopback. Everything durable lies in the given directory. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
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
  const server = new MariadbServer({
    name: 'mariadb',
    directory: path.resolve(options.directory, 'mariadb'),
    port: await freePort(),
    account: newAccount(),
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
