import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { startHaproxy } from '../../deploy/loopback/haproxy.ts';
import type { RunningHaproxy } from '../../deploy/loopback/haproxy.ts';
import { freePort } from '../../deploy/loopback/ports.ts';
import { findProgram } from '../../deploy/loopback/processes.ts';
import { canStartOrSkip, componentDirectory } from '../support/components.ts';

/** Answers with its name; what it says of its readiness can be set. */
class FakeReplica {
  readonly name: string;
  readonly server: Server;
  /** Status of `/healthz/ready`. */
  readiness = 200;
  /** `host:port` under which clients come. */
  publicHost = '';
  posts = 0;

  constructor(name: string) {
    this.name = name;
    this.server = createServer((request, response) => {
      const isCheck = request.url === '/healthz/ready';
      // Like a replica: it refuses names that nobody told it.
      if (request.headers.host !== this.publicHost) response.statusCode = 403;
      else if (isCheck) response.statusCode = this.readiness;
      else if (this.readiness === 503) response.statusCode = 503;
      if (request.method === 'POST') this.posts++;
      response.end(this.name);
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }
}

interface World {
  readonly haproxy: RunningHaproxy;
  readonly replicas: readonly [FakeReplica, FakeReplica];
}

/** Two replicas behind HAProxy, which takes requests. */
async function world(t: TestContext): Promise<World> {
  const replicas = await fakeReplicas(t);
  const port = await freePort();
  for (const replica of replicas) replica.publicHost = `127.0.0.1:${port}`;
  const haproxy = await startHaproxy({
    directory: componentDirectory(),
    port,
    backends: replicas.map(({ name, port }) => ({ name, host: '127.0.0.1', port })),
  });
  t.after(() => haproxy.kill());
  await askUntil(
    () => ask(haproxy.url),
    ({ status }) => status === 200,
  );
  return { haproxy, replicas };
}

async function fakeReplicas(t: TestContext): Promise<readonly [FakeReplica, FakeReplica]> {
  const replicas = [new FakeReplica('pe1'), new FakeReplica('pe2')] as const;
  for (const { server } of replicas) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
  }
  return replicas;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly cookie: string;
}

async function ask(url: string, method = 'GET', cookie = ''): Promise<Answer> {
  const response = await fetch(url, { method, headers: cookie === '' ? {} : { cookie } });
  const set = response.headers.get('set-cookie') ?? '';
  return {
    status: response.status,
    text: await response.text(),
    cookie: set.split(';')[0] ?? '',
  };
}

/** Asks until it is so; the runner's limit ends what never is. */
async function askUntil(
  request: () => Promise<Answer>,
  isSo: (answer: Answer) => boolean,
): Promise<Answer> {
  for (;;) {
    const answer = await request();
    if (isSo(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('requests move away from a replica that is not ready, and stay while it drains', async (t) => {
  if (!canStartOrSkip(t, ['haproxy'])) return;
  const { haproxy, replicas } = await world(t);
  const [one, two] = replicas;
  const first = await ask(haproxy.url);
  const [home, other] = first.text === 'pe1' ? [one, two] : [two, one];
  const { cookie } = first;
  assert.notEqual(cookie, '');
  for (let count = 0; count < 10; count++) {
    assert.equal((await ask(haproxy.url, 'GET', cookie)).text, home.name);
  }

  // Draining: clients that have no replica go elsewhere, those that have stay.
  home.readiness = 404;
  await askUntil(
    async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask(haproxy.url)));
      return answers.find(({ text }) => text === home.name) ?? (answers[0] as Answer);
    },
    ({ text }) => text === other.name,
  );
  assert.equal((await ask(haproxy.url, 'GET', cookie)).text, home.name);

  // Not ready: nobody stays, and no reader sees an error on the way.
  home.readiness = 503;
  await askUntil(
    async () => {
      const answer = await ask(haproxy.url, 'GET', cookie);
      assert.equal(answer.status, 200);
      return answer;
    },
    ({ text }) => text === other.name,
  );

  // Gone, and back.
  home.server.close();
  home.server.closeAllConnections();
  assert.equal((await ask(haproxy.url)).text, other.name);
});

test('a write that was answered with 503 is not sent again, a read is', async (t) => {
  if (!canStartOrSkip(t, ['haproxy'])) return;
  const { haproxy, replicas } = await world(t);
  const [one, two] = replicas;
  // Their checks go on to say yes.
  for (const { server } of [one, two]) {
    server.prependListener('request', (request, response) => {
      if (request.url !== '/healthz/ready') response.statusCode = 503;
    });
  }
  let gets = 0;
  for (const { server } of [one, two]) {
    server.on('request', (request) => {
      if (request.method === 'GET' && request.url === '/') gets++;
    });
  }
  assert.equal((await ask(haproxy.url, 'POST')).status, 503);
  assert.equal(one.posts + two.posts, 1);
  assert.equal((await ask(haproxy.url)).status, 503);
  assert.ok(gets > 1, 'control: what is not a write is tried again');
});

test('the configuration is one that HAProxy accepts, and refuses without what only you know', (t) => {
  if (!canStartOrSkip(t, ['haproxy'])) return;
  const check = (env: Record<string, string>): number | null =>
    spawnSync(findProgram('haproxy') ?? '', ['-c', '-q', '-f', 'deploy/haproxy/haproxy.cfg'], {
      env,
    }).status;
  const CAUCUS_COOKIE_KEY = 'secret';
  const CAUCUS_HOST = 'caucus.example';
  assert.equal(check({ CAUCUS_COOKIE_KEY, CAUCUS_HOST }), 0);
  assert.equal(check({ CAUCUS_COOKIE_KEY }), 1);
  assert.equal(check({ CAUCUS_HOST }), 1);
});
