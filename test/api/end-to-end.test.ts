/**
 * The API over a real replica (log, fold, policies; the naive engine): rows go in over HTTP, the
 * reference client rebuilds views of recursive and negated rules across lost connections and policy
 * changes, and at every revision that it stops at its rows are those of a query at that token.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonOf } from '../../host/api/json-text.ts';
import { createApiServer } from '../../host/api/server.ts';
import type { JsonObject, JsonValue } from '../../host/value/json.ts';
import { send, sendJson } from '../support/http-client.ts';
import { randomFrom } from '../support/random.ts';
import { newWorld, startNode } from '../support/replica-world.ts';
import { WsClient } from '../support/ws-client.ts';

const POLICIES = [
  'reach(x, y) :- g:edge(x, y). reach(x, z) :- reach(x, y), g:edge(y, z). end(x) :- g:edge(_, x), not g:edge(x, _).',
  'reach(x, y) :- g:edge(x, y), x < y. end(x) :- g:edge(x, x). degree(x, count()) :- g:edge(x, y).',
];
const QUERIES: Readonly<Record<string, string>> = {
  all: 'net:reach(x, y)',
  one: 'net:reach(1, x)',
  ends: 'net:end(x), not g:edge(1, x)',
  true: 'g:edge(1, 2)',
};

async function simulate(seed: number): Promise<number> {
  const random = randomFrom(seed);
  const node = await startNode(await newWorld());
  const server = await createApiServer({
    replica: node.replica,
    host: '127.0.0.1',
    port: 0,
    limits: { heartbeatMs: 40, rowsFrameBytes: 100, backlogBytesMax: 500 },
  });
  const { url } = server.address;
  const policy = (text: string) =>
    send(url, 'PUT', '/v1/policies/net/text', {
      headers: { 'content-type': 'text/plain' },
      body: text,
    });
  const edges = (): string =>
    JSON.stringify(Array.from({ length: random.int(4) }, () => [random.int(5), random.int(5)]));
  let checks = 0;
  let client: WsClient | undefined;
  try {
    await sendJson(url, 'POST', '/v1/sources/g/batches', '{"insert":{"edge":[[1,2]]}}');
    assert.equal((await policy(POLICIES[0] as string)).status, 200);
    for (let round = 0; round < 3; round++) {
      const before = client;
      client = await WsClient.open(url, random.chance(0.5) ? { credit: 500n } : {});
      const add = Object.entries(QUERIES).map(([id, query]): JsonObject => {
        const mode = random.pick(['every', 'latest']);
        const held = before?.views.get(id);
        if (held?.valid !== true || held.token === undefined) return { id, query, mode };
        client?.views.set(id, { rows: held.rows, valid: true, token: held.token });
        return { id, query, mode, from: held.token };
      });
      client.send({ type: 'subs', add });
      for (let step = 0; step < 8; step++) {
        if (random.chance(0.15)) client.pause();
        const answer = random.chance(0.12)
          ? await policy(random.pick(POLICIES))
          : await sendJson(
              url,
              'POST',
              '/v1/sources/g/batches',
              `{"delete":{"edge":${edges()}},"insert":{"edge":${edges()}}}`,
            );
        assert.equal(answer.status, 200, answer.text);
        if (random.chance(0.5)) continue;
        client.resume();
        client.send({ type: 'credit', bytes: 1_000_000n });
        await client.at(Number(answer.json['revision']));
        while (Object.keys(QUERIES).some((id) => client?.views.get(id)?.valid !== true))
          await client.next('txEnd');
        for (const [id, query] of Object.entries(QUERIES)) {
          const asked = await sendJson(url, 'POST', '/v1/query', jsonOf({ query }));
          assert.equal(asked.status, 200, asked.text);
          const rows = (asked.json['rows'] as JsonValue[]).map((row) => jsonOf(row)).sort();
          assert.deepEqual(
            client.rowsOf(id),
            rows,
            `${query} at ${String(asked.json['revision'])}`,
          );
          checks++;
        }
      }
      const { failure } = client;
      if (failure !== undefined) throw failure;
      await client.terminate();
    }
  } finally {
    await client?.terminate();
    await server.close({ drainMs: 0 });
    await node.stop();
  }
  return checks;
}

test('views rebuilt over the wire equal the answers of queries', async () => {
  let checks = 0;
  for (let seed = 1; seed <= 12; seed++) {
    try {
      checks += await simulate(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
  assert.ok(checks > 200, `${checks} checks`);
});
