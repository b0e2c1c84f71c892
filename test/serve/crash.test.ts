/**
 * kill -9 on a real server, again and again, under concurrent writers and a subscriber: what was
 * acknowledged is there whole and once, the revision never goes back, and the subscriber, which
 * resumes by token, holds what the query says.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { JsonValue } from '../../host/value/json.ts';
import { jsonOf } from '../../host/api/json-text.ts';
import { inFolder } from '../cli/run-cli.ts';
import { randomFrom } from '../support/random.ts';
import { ServerProcess } from '../support/server-process.ts';
import { WsClient } from '../support/ws-client.ts';

const ROUNDS = 10;
const WRITERS = 3;
const BATCH_ROWS = 3;
const SEED = 20_261;

interface Acknowledged {
  readonly id: string;
  readonly writer: number;
  readonly number: number;
  readonly revision: bigint;
}

const rowsOf = (writer: number, number: number): number[][] =>
  Array.from({ length: BATCH_ROWS }, (_, part) => [writer, number, part]);

/** Writes batches and policies until the server goes away; what is acknowledged is noted. */
async function writeUntilKilled(
  server: ServerProcess,
  writer: number,
  first: number,
  acknowledged: Acknowledged[],
): Promise<void> {
  for (let number = first; ; number++) {
    const id = `w${writer}-${number}`;
    const answer = await server
      .batch('s', { id, insert: { t: rowsOf(writer, number) } })
      .catch(() => undefined);
    if (answer === undefined) return;
    assert.equal(answer.status, 200, answer.text);
    acknowledged.push({ id, writer, number, revision: answer.json['revision'] as bigint });
    if (writer !== 0) continue;
    const put = await server.putPolicy('p', policyText(number)).catch(() => undefined);
    if (put === undefined) return;
    assert.equal(put.status, 200, put.text);
  }
}

/** Batches that are not whole, and acknowledged ones that are not there. */
async function batchesWrong(
  server: ServerProcess,
  acknowledged: readonly Acknowledged[],
): Promise<string[]> {
  const rows = (await server.query('s:t(w, n, p)')).json['rows'] as JsonValue[][];
  const counts = new Map<string, number>();
  for (const [w, n] of rows) {
    const key = `${String(w)} ${String(n)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const wrong: string[] = [];
  for (const [key, count] of counts) {
    if (count !== BATCH_ROWS) wrong.push(`batch ${key} is not whole`);
  }
  for (const { writer, number } of acknowledged) {
    if (!counts.has(`${writer} ${number}`)) wrong.push(`batch ${writer} ${number} is lost`);
  }
  return wrong;
}

/** The subscribed table stays; the text does not. */
const policyText = (version: number): string =>
  `whole(w, n) :- s:t(w, n, 0), s:t(w, n, 1), s:t(w, n, 2).\nversion(${version}).\n`;

test(`kill -9 under load, ${ROUNDS} rounds, seed ${SEED}`, { timeout: 120_000 }, async () => {
  const random = randomFrom(SEED);
  await inFolder({}, async (cwd) => {
    let server = await ServerProcess.start(cwd);
    assert.equal((await server.batch('s', { insert: { t: rowsOf(9, 0) } })).status, 200);
    assert.equal((await server.putPolicy('p', policyText(0))).status, 200);
    const acknowledged: Acknowledged[] = [];
    let held = new Set<string>();
    let token: string | undefined;
    let newest = 0n;
    let resumed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const context = `seed ${SEED}, round ${round}`;
      const client = await WsClient.open(server.url);
      if (token !== undefined) client.views.set('v', { rows: held, valid: true });
      const from = token === undefined ? {} : { from: token };
      client.send({ type: 'subs', add: [{ id: 'v', query: 'p:whole(w, n)', ...from }] });
      const ok = await client.next('subOk', 'v');
      if (ok['start'] === 'resume') resumed++;
      const before = acknowledged.length;
      const enough = before + 5 + random.int(20);
      const writers = Array.from({ length: WRITERS }, (_, writer) => {
        return writeUntilKilled(server, writer, round * 10_000, acknowledged);
      });
      while (acknowledged.length < enough) await server.get('/healthz/live');
      await server.kill();
      await Promise.all(writers);
      await client.closed;
      assert.equal(client.failure, undefined, context);
      const view = client.views.get('v');
      if (view?.token !== undefined && view.valid) ({ rows: held, token } = view as never);

      server = await ServerProcess.start(cwd);
      const { revision } = (await server.get('/v1/status')).json;
      for (const one of acknowledged) if (one.revision > newest) newest = one.revision;
      assert.ok((revision as bigint) >= newest, `${context}: ${String(revision)} < ${newest}`);
      assert.deepEqual(await batchesWrong(server, acknowledged), [], context);
      // Repeats of this round's ids are answered with the first answer, and change nothing.
      for (const { id, writer, number, revision: first } of acknowledged.slice(
        before,
        before + 5,
      )) {
        const repeat = await server.batch('s', { id, insert: { t: rowsOf(writer, number) } });
        assert.equal(repeat.json['revision'], first, `${context}: ${id}`);
        const other = await server.batch('s', { id, insert: { t: [[0, 0, 0]] } });
        assert.equal(other.status, 409, `${context}: ${id}`);
      }
      assert.equal((await server.get('/v1/status')).json['revision'], revision, context);
      // The subscriber catches up from its token.
      const after = await WsClient.open(server.url);
      if (token !== undefined) after.views.set('v', { rows: held, valid: true });
      const again = token === undefined ? {} : { from: token };
      after.send({ type: 'subs', add: [{ id: 'v', query: 'p:whole(w, n)', ...again }] });
      await after.next('subOk', 'v');
      await after.at(Number(revision));
      const whole = (await server.query('p:whole(w, n)')).json['rows'] as JsonValue[];
      assert.deepEqual(after.rowsOf('v'), whole.map((row) => jsonOf(row)).sort(), context);
      const caughtUp = after.views.get('v');
      if (caughtUp?.token !== undefined) ({ rows: held, token } = caughtUp as never);
      await after.close();
    }
    assert.ok(resumed > 0 || ROUNDS < 2, 'some rounds resumed by token');
    await server.kill();
  });
});

test('the control: a disk that answers before it has written loses what was acknowledged', async () => {
  const preload = new URL('../support/early-answers.js', import.meta.url);
  for (const [env, isEarly] of [
    [{ NODE_OPTIONS: `--import=${preload.href}` }, true],
    [{}, false],
  ] as const) {
    await inFolder({}, async (cwd) => {
      // What a start and a first batch write must be there.
      const before = await ServerProcess.start(cwd);
      assert.equal((await before.batch('s', { insert: { t: rowsOf(9, 0) } })).status, 200);
      await before.kill('SIGTERM');
      const server = new ServerProcess(cwd, [], 'data', env);
      await server.event('server-ready');
      const acknowledged: Acknowledged[] = [];
      // Not the writer of policies: the database would notice before we do.
      const writers = [1, 2].map((writer) => writeUntilKilled(server, writer, 0, acknowledged));
      while (acknowledged.length < 20) await server.get('/healthz/live');
      await server.kill();
      await Promise.all(writers);
      const again = await ServerProcess.start(cwd);
      const wrong = await batchesWrong(again, acknowledged);
      assert.equal(wrong.length > 0, isEarly, wrong.join(', '));
      await again.kill();
    });
  }
});
