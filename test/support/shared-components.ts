/**
 * One Kafka and one MariaDB for a whole run of the tests, however many processes that has.
 *
 * `test/run.ts` starts them beside the first tests and writes what came of it into a file; who
 * needs them waits for the file. A test file that is run by hand starts what it needs itself.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  givenBrokers,
  givenMariadbUrl,
  missingComponents,
  missingText,
} from '../../deploy/loopback/components.ts';
import type { Component } from '../../deploy/loopback/components.ts';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import { startMariadb } from '../../deploy/loopback/mariadb.ts';

export type SharedKind = Extract<Component, 'kafka' | 'mariadb'>;

/** Where it is, or why it is not there. */
export type Shared = { readonly address: string } | { readonly absent: string };

/** Of the file that `test/run.ts` writes. */
export const HANDOVER_VARIABLE = 'TEST_COMPONENTS';

/** The first run on a machine downloads Kafka. */
const HANDOVER_LIMIT_MS = 300_000;
const HANDOVER_POLL_MS = 50;
const REMOVAL_TRIES_MAX = 100;
const REMOVAL_INTERVAL_MS = 50;

const STARTS: Readonly<Record<SharedKind, (directory: string) => Promise<string>>> = {
  kafka: async (directory) => {
    const given = givenBrokers();
    return (given ?? (await startKafka({ directory, nodes: 1 })).brokers).join(',');
  },
  mariadb: async (directory) => givenMariadbUrl() ?? (await startMariadb({ directory })).url,
};

/** Never rejects. What it starts ends with this process. */
export async function startShared(kind: SharedKind): Promise<Shared> {
  const missing = missingComponents([kind]);
  if (missing.length > 0) return { absent: missingText(missing) };
  const directory = newDirectory();
  try {
    return { address: await STARTS[kind](directory) };
  } catch (error) {
    return { absent: `${kind} does not start: ${(error as Error).message}` };
  }
}

/** Kafka and MariaDB, at once; writes `file` when both are decided. */
export async function startAndHandOver(file: string): Promise<readonly Shared[]> {
  const [kafka, mariadb] = await Promise.all([startShared('kafka'), startShared('mariadb')]);
  writeFileSync(`${file}.draft`, JSON.stringify({ kafka, mariadb }));
  renameSync(`${file}.draft`, file);
  return [kafka, mariadb];
}

/** What `test/run.ts` started; undefined if this process was not started by it. */
export async function handedOver(kind: SharedKind): Promise<Shared | undefined> {
  const file = process.env[HANDOVER_VARIABLE];
  if (file === undefined) return undefined;
  const deadline = performance.now() + HANDOVER_LIMIT_MS;
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as Record<SharedKind, Shared>)[kind];
    if (performance.now() > deadline) return { absent: `\`${file}\` does not come` };
    await delay(HANDOVER_POLL_MS);
  }
}

const directories: string[] = [];
// After the components are killed: `processes.ts` was there first.
process.on('exit', () => {
  for (const directory of directories) removeDirectory(directory);
});

/** Of processes that may still be dying, and write meanwhile. */
function removeDirectory(directory: string): void {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < REMOVAL_TRIES_MAX; tries++) {
    try {
      rmSync(directory, { recursive: true, force: true });
      return;
    } catch {
      Atomics.wait(clock, 0, 0, REMOVAL_INTERVAL_MS);
    }
  }
  console.error(`\`${directory}\` is left behind`);
}

/** Removed at the end of this process; if that is killed, by `test/run.ts`. */
export function newDirectory(): string {
  const file = process.env[HANDOVER_VARIABLE];
  const parent = file === undefined ? tmpdir() : path.dirname(file);
  const directory = mkdtempSync(path.join(parent, 'caucus-test-'));
  directories.push(directory);
  return directory;
}
