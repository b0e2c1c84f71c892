/** `caucus status` against the API over a replica that says what the test wants. */
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { createApiServer } from '../../host/api/server.ts';
import type { ClusterStatus } from '../../host/replica/cluster-status.ts';
import type { SourceStatus } from '../../host/replica/replica.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import type { FakeReplica } from '../support/fake-replica.ts';
import { runCli, startCli } from './run-cli.ts';

const PRESENCE = {
  phase: 'live',
  digest: 'd1',
  digestRevision: 100,
  checkpointRevision: 90,
  seenMs: 1_000_000,
};
const CLUSTER: ClusterStatus = {
  replicas: [
    { ...PRESENCE, nodeId: 'pe1', revision: 120, url: 'http://pe1:1789' },
    { ...PRESENCE, nodeId: 'pe2', revision: 117, url: '', checkpointRevision: 0 },
    { ...PRESENCE, nodeId: 'pe3', revision: 118, url: '', digest: 'd2', seenMs: 996_500 },
    { ...PRESENCE, nodeId: 'pe4', revision: 120, url: '', digest: '' },
    { ...PRESENCE, nodeId: 'pe5', revision: 20, url: '', digestRevision: 0, phase: 'catching-up' },
  ],
  leases: [
    { name: 'datasources', holder: 'ds1', generation: 3, remainingMs: 7_400 },
    { name: 'old', holder: 'ds2', generation: 1, remainingMs: -5 },
  ],
};
/** `owner` and `generation` are there where a cluster fills the source. */
const SOURCE: SourceStatus & { readonly owner: string; readonly generation: number } = {
  name: 'inv',
  tables: { vm: 3, host: 4 },
  stale: true,
  state: 'stale',
  driver: 'file',
  freshAtMs: 1,
  problems: [{ message: 'the file is gone' }],
  owner: 'ds1',
  generation: 3,
};

async function withReplica(
  more: Readonly<Record<string, unknown>>,
  work: (url: string, replica: FakeReplica) => Promise<void>,
): Promise<void> {
  const replica = createFakeReplica();
  const status = replica.status.bind(replica);
  replica.status = () => ({ ...status(), ...more });
  const server = await createApiServer({ replica, host: '127.0.0.1', port: 0 });
  try {
    await work(server.address.url, replica);
  } finally {
    await server.close({ drainMs: 0 });
  }
}

/** The cells of the row that begins with the name. */
function row(stdout: string, name: string): string[] {
  const line = stdout.split('\n').find((one) => one.startsWith(`${name} `));
  assert.ok(line !== undefined, `${name} in\n${stdout}`);
  return line.split(/ {2,}/);
}

test('replicas, leases and sources of a cluster', async () => {
  await withReplica({ cluster: CLUSTER, sources: [SOURCE] }, async (url) => {
    const { code, stdout, stderr } = await runCli(['status', '--url', url]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /is ready\n/);
    const [pe1, pe2, pe3, pe4, pe5] = ['pe1', 'pe2', 'pe3', 'pe4', 'pe5'].map((name) =>
      row(stdout, name),
    );
    const rest = [
      'live',
      '120',
      '0',
      'differs from 1 of 2 at 100',
      '90',
      '0.0 s',
      'http://pe1:1789',
    ];
    assert.deepEqual(pe1, ['pe1', ...rest]);
    assert.deepEqual(pe2, [
      'pe2',
      'live',
      '117',
      '3',
      'differs from 1 of 2 at 100',
      'none',
      '0.0 s',
    ]);
    assert.deepEqual(pe3, ['pe3', 'live', '118', '2', 'differs from 2 of 2 at 100', '90', '3.5 s']);
    assert.equal(pe4?.[4], 'none yet');
    assert.deepEqual(pe5?.slice(1, 5), ['catching-up', '20', '100', 'not compared']);
    assert.deepEqual(row(stdout, 'datasources'), ['datasources', 'ds1', '3', '7.4 s']);
    assert.deepEqual(row(stdout, 'old'), ['old', 'ds2', '1', 'ended']);
    const [name, rows, state, age, driver, owner, generation, problem] = row(stdout, 'inv');
    assert.deepEqual([name, rows, state, driver], ['inv', '7', 'stale', 'file']);
    assert.deepEqual([owner, generation, problem], ['ds1', '3', 'the file is gone']);
    assert.match(age ?? '', /^\d+ d$/);
    assert.deepEqual(row(stdout, 'inv:vm'), ['inv:vm', '3']);
  });
});

test('replicas that agree', async () => {
  const replicas = CLUSTER.replicas.slice(0, 2);
  await withReplica({ cluster: { replicas, leases: [] } }, async (url) => {
    const { stdout } = await runCli(['status', '--url', url]);
    assert.deepEqual(
      [row(stdout, 'pe1')[4], row(stdout, 'pe2')[4]],
      ['agrees at 100', 'agrees at 100'],
    );
    assert.doesNotMatch(stdout, /^lease/m);
  });
});

test('a single process has no cluster', async () => {
  await withReplica({}, async (url, replica) => {
    replica.commit({ 'inv:vm': { insert: [[1n]] } });
    const { code, stdout } = await runCli(['status', '--url', url]);
    assert.equal(code, 0);
    assert.doesNotMatch(stdout, /^(replica|lease) /m);
    assert.deepEqual(row(stdout, 'inv').slice(0, 3), ['inv', '1', 'fresh']);
  });
});

test('for machines: everything that the server said', async () => {
  await withReplica({ cluster: CLUSTER }, async (url) => {
    const { stdout } = await runCli(['status', '--json', '--url', url]);
    const answer = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(answer['cluster'], CLUSTER);
    assert.equal(answer['ready'], true);
  });
});

test('not ready is exit code 3', async () => {
  await withReplica({ cluster: CLUSTER }, async (url, replica) => {
    replica.ready = false;
    const { code, stdout } = await runCli(['status', '--url', url]);
    assert.equal(code, 3);
    assert.match(stdout, /is not ready: the replica is /);
  });
});

test('--watch looks again until it is stopped, also while the server is away', async () => {
  await withReplica({}, async (url, replica) => {
    const watch = startCli(['status', '--json', '--watch', '0.1', '--url', url]);
    watch.stdin.end();
    const end = new Promise<number | null>((resolve) => watch.on('close', resolve));
    let revision = -1;
    for await (const line of createInterface({ input: watch.stdout })) {
      const look = JSON.parse(line) as { revision: number };
      if (revision < 0) replica.commit({ 'inv:vm': { insert: [[1n]] } });
      revision = look.revision;
      if (revision === 1) break;
    }
    watch.kill('SIGTERM');
    assert.equal(await end, 0);
  });
  const away = startCli(['status', '--json', '--watch', '0.1', '--url', 'http://127.0.0.1:9']);
  away.stdin.end();
  const end = new Promise<number | null>((resolve) => away.on('close', resolve));
  let problems = 0;
  for await (const line of createInterface({ input: away.stderr })) {
    assert.equal((JSON.parse(line) as { code: string }).code, 'unreachable');
    problems++;
    if (problems === 2) break;
  }
  away.kill('SIGTERM');
  assert.equal(await end, 0);
});
