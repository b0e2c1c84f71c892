/** Limits of what waits and of what is kept open: refused with a code, and free again later. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { StratifiedQuery } from '../../host/compiler/stratified.ts';
import { QUEUED_BYTES_MAX, VIEW_COUNT_MAX } from '../../host/limits.ts';
import type { Log } from '../../host/log/log.ts';
import { Sequencer } from '../../host/replica/sequencer.ts';
import { ViewOpener } from '../../host/replica/view-opener.ts';
import type { ViewOpenerOptions } from '../../host/replica/view-opener.ts';
import { ViewRegistry } from '../../host/replica/view-registry.ts';
import { code } from '../support/replica-world.ts';

test('writes that find too many bytes waiting are refused, until the queue has drained', async () => {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  const ends = new Map<string, number>();
  const log = {
    ensureTopic: () => Promise.resolve(),
    async append(topic: string, records: readonly Uint8Array[]) {
      await gate;
      const first = ends.get(topic) ?? 0;
      ends.set(topic, first + records.length);
      return { first, appendTimeMs: 0 };
    },
  } as unknown as Log;
  const sequencer = new Sequencer({
    log,
    cutsTopic: 'cuts',
    encodeCut: () => new Uint8Array(1),
    checksumOf: () => 0,
    onAppend: () => {},
  });
  // One array for all: what waits is counted, not copied.
  const record = new Uint8Array(16 * 1024 * 1024);
  const landed: Promise<void>[] = [];
  const submit = (): Promise<unknown> => {
    let onCut = (): void => {};
    const isLanded = new Promise<void>((resolve) => (onCut = resolve));
    const verdict = sequencer.submit('source.s.1', [record], onCut);
    landed.push(isLanded);
    return verdict;
  };
  const accepted: Promise<unknown>[] = [];
  // The one that passes the limit is taken, too.
  for (let bytes = 0; bytes <= QUEUED_BYTES_MAX; bytes += record.length) {
    accepted.push(submit());
  }
  // In one tick: from the next one on the first of them are on their way.
  const refused = [
    sequencer.submit('source.s.1', [record]),
    sequencer.submit('policy', [new Uint8Array(1)]),
  ];
  for (const one of refused) await assert.rejects(one, code('not_ready'));
  release();
  // Cuts are applied as they come, so that the next may go.
  const applying = setInterval(() => {
    const cuts = ends.get('cuts') ?? 0;
    const verdicts = new Map(
      [...Array(ends.get('source.s.1') ?? 0).keys()].map(
        (offset) => [`source.s.1@${offset}`, { kind: 'applied', revision: cuts }] as const,
      ),
    );
    sequencer.cutApplied(cuts, verdicts);
  }, 1);
  try {
    await Promise.all(landed);
    await Promise.all(accepted);
    const late = sequencer.submit('source.s.1', [record]);
    assert.deepEqual(await late, { kind: 'applied', revision: ends.get('cuts') });
  } finally {
    clearInterval(applying);
  }
});

test('one view more than there may be is refused; a known one is shared', async () => {
  const views = new ViewRegistry();
  const query = (text: string): StratifiedQuery => ({
    text,
    outputs: [],
    columns: [],
    body: [],
    variables: [],
  });
  for (let view = 0; view < VIEW_COUNT_MAX; view++) {
    const entry = views.create(query(`v${view}`), 0);
    entry.users = 1;
    views.add(entry);
  }
  const options = {
    logId: 'log',
    fold: { compiled: undefined },
    live: {
      queue: { run: (job: () => Promise<void>) => job() },
      running: { failures: undefined },
    },
    views,
    queries: {
      compile: (_program: unknown, _failures: unknown, text: string) => query(text),
      viewRows: () => Promise.resolve({ arity: 0, count: 0, bytes: new Uint8Array(0) }),
    },
    position: () => ({ revision: 0, token: 't' }),
    now: () => 0,
    yield: () => Promise.resolve(),
    onLost: () => {},
  } as unknown as ViewOpenerOptions;
  const opener = new ViewOpener(options);
  await assert.rejects(opener.open({ query: 'one more' }), code('limit_exceeded'));
  assert.equal(views.size, VIEW_COUNT_MAX);
  await opener.open({ query: 'v17' });
  assert.equal(views.find('v17')?.users, 2);
});
