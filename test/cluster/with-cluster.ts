/** A cluster for one test: started, used, brought to rest, and its history checked. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { checkHistory } from '../simulation/checkers/check-history.ts';
import type { Violation } from '../simulation/checkers/violation.ts';
import type { Rows } from '../simulation/world.ts';
import {
  componentDirectory,
  componentsOrSkip,
  freshDatabase,
  freshTopicPrefix,
} from '../support/components.ts';
import type { Row } from '../../host/value/value.ts';
import { Cluster } from './cluster.ts';
import type { ClusterOptions } from './cluster.ts';
import { checkSessions } from './sessions.ts';

export interface Expectation {
  /** What a test has made wrong by intent; something of it must be found. */
  readonly isExpected?: (violation: Violation) => boolean;
}

/** Over the shared Kafka and MariaDB, unless the options say where else. */
export async function withCluster(
  t: TestContext,
  options: Pick<ClusterOptions, 'replicas'> & Partial<ClusterOptions> & Expectation,
  work: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const components = await componentsOrSkip(t);
  if (components === undefined) return;
  const database = await freshDatabase(components.mariadbUrl);
  const cluster = new Cluster({
    directory: componentDirectory(),
    bus: freshTopicPrefix().replaceAll('-', ''),
    brokers: components.brokers,
    replicationFactor: 1,
    databaseUrls: [database.url],
    ...options,
  });
  try {
    await cluster.start();
    await work(cluster);
    const isAtRest = await cluster.rest();
    assert.ok(isAtRest, await cluster.unrest());
    const { history } = await cluster.finish(isAtRest);
    const found = [...checkHistory(history), ...checkSessions(history)];
    const { isExpected } = options;
    const unexpected = found.filter((one) => isExpected?.(one) !== true);
    assert.deepEqual(unexpected, []);
    if (isExpected !== undefined) assert.ok(found.length > 0, 'the history shows nothing of it');
  } catch (error) {
    const place = path.join(tmpdir(), `caucus-cluster-${process.pid}`);
    cluster.writeDown(place);
    t.diagnostic(`logs and history are in ${place}`);
    throw error;
  } finally {
    await cluster.close();
    await database.drop();
  }
}

/** One change that inserts. */
export function inserting(table: string, ...rows: readonly Row[]): Rows[] {
  return [{ table, arity: rows[0]?.length ?? 0, replace: false, insert: rows, delete: [] }];
}

/** One change that deletes. */
export function deleting(table: string, ...rows: readonly Row[]): Rows[] {
  return [{ table, arity: rows[0]?.length ?? 0, replace: false, insert: [], delete: rows }];
}

/** Polls; rejects with what is missing when it takes too long. */
export async function until(
  isSo: () => Promise<boolean> | boolean,
  otherwise: string,
  limitMs = UNTIL_MS,
): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`${otherwise} after ${limitMs / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, UNTIL_PROBE_MS));
  }
}

const UNTIL_MS = 60_000;
const UNTIL_PROBE_MS = 30;
