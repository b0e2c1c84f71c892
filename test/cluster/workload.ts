/** Clients of a fault run: the words of the simulated ones, spoken to real replicas. */
import { setTimeout as delay } from 'node:timers/promises';
import { appBatch, firstRows, netBatch, policyWrites, QUERIES } from '../simulation/world.ts';
import type { Random } from '../support/random.ts';
import type { Batch, ClusterClient, Wanted } from './cluster-client.ts';
import type { ClusterNode } from './cluster-node.ts';
import { FILE_SOURCE } from './file-source.ts';

export interface WorkloadOptions {
  readonly client: ClusterClient;
  readonly replicas: readonly ClusterNode[];
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Between two operations, at most. */
  readonly thinkMs: number;
}

/** A batch with an id is repeated until it is answered, at most so often. */
const TRIES = 20;
const RETRY_MS = 400;
const FOLLOW_MS = 4_000;
const FILE_QUERIES = [
  `${FILE_SOURCE}:item(k, v)`,
  `${FILE_SOURCE}:item(k, v), ${FILE_SOURCE}:twin(k, v)`,
];

/** Fixes how many columns each table has. */
export async function prepare({ client, replicas }: WorkloadOptions): Promise<void> {
  for (const source of ['app', 'net'] as const) {
    const batch = { source, id: 'first', snapshot: false, changes: firstRows(source) };
    await client.batch(replicas[0] as ClusterNode, batch);
  }
}

/** Until the signal; what it had begun is brought to an end. */
export async function work(options: WorkloadOptions): Promise<void> {
  const { random, signal, thinkMs } = options;
  const following = new Set<Promise<void>>();
  for (let count = 0; !signal.aborted; count++) {
    await delay(random.next() * thinkMs);
    const choice = random.next();
    if (choice < 0.42) await write(options, count);
    else if (choice < 0.52) await changePolicy(options);
    else if (choice < 0.92) await ask(options);
    else if (following.size < 3) {
      const view = follow(options).finally(() => following.delete(view));
      following.add(view);
    }
  }
  await Promise.all(following);
}

async function write(options: WorkloadOptions, count: number): Promise<void> {
  const { client, random } = options;
  const id = random.chance(0.8) ? `${client.name}-${count}` : null;
  const batch: Batch = random.chance(0.7)
    ? { source: 'app', id, snapshot: false, changes: appBatch(random, client.name, client.op) }
    : { source: 'net', id, ...withoutDeletes(netBatch(random)) };
  const isAgain = id !== null && random.chance(0.2);
  await repeat(options, batch);
  if (isAgain) await repeat(options, batch);
}

/** A snapshot names what is there, so it deletes nothing besides. */
function withoutDeletes(batch: ReturnType<typeof netBatch>): Pick<Batch, 'changes' | 'snapshot'> {
  if (!batch.snapshot) return batch;
  return { snapshot: true, changes: batch.changes.map((change) => ({ ...change, delete: [] })) };
}

async function repeat({ client, replicas, random, signal }: WorkloadOptions, batch: Batch) {
  for (let tries = 0; tries < TRIES; tries++) {
    const answer = await client.batch(random.pick(replicas), batch);
    if (answer !== undefined && answer.status < 500) return;
    if (batch.id === null || (signal.aborted && tries > 2)) return;
    await delay(random.next() * RETRY_MS);
  }
}

async function changePolicy({ client, replicas, random }: WorkloadOptions): Promise<void> {
  for (const { name, text } of policyWrites(random)) {
    await client.policy(random.pick(replicas), name, text);
  }
}

async function ask({ client, replicas, random }: WorkloadOptions): Promise<void> {
  const query = random.pick([...QUERIES, ...FILE_QUERIES]);
  const choice = random.next();
  let wanted: Wanted = 'any';
  if (client.token !== undefined && choice < 0.6) wanted = 'atLeast';
  else if (choice < 0.75) wanted = 'latest';
  else if (client.token !== undefined && choice < 0.8) wanted = 'exact';
  await client.query(random.pick(replicas), query, wanted, 200 + random.int(2_000));
}

/** Keeps a copy of a query at one replica after another. */
async function follow({ client, replicas, random, signal }: WorkloadOptions): Promise<void> {
  const view = client.follow(random.pick([...QUERIES, ...FILE_QUERIES]));
  for (let sessions = 1 + random.int(4); sessions > 0 && !signal.aborted; sessions--) {
    if (await view.connect(random.pick(replicas))) await delay(random.next() * FOLLOW_MS);
    view.disconnect();
  }
}
