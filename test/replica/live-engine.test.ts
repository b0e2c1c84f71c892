import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine, QueryResult, TransactionResult } from '../../host/engine/engine.ts';
import { LiveEngine } from '../../host/replica/live-engine.ts';
import type { Running } from '../../host/replica/live-engine.ts';
import { ints, shown, yieldToLoop } from '../support/replica-world.ts';

/** Its only row is the number of commits. Answers take turns, commits precede their promise. */
class SlowEngine {
  committed = 0;

  async transact(): Promise<TransactionResult> {
    await yieldToLoop();
    this.committed++;
    // The commit is there; that it is known takes a few microtasks more.
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    return { ok: true, deltas: [] };
  }

  async query(): Promise<QueryResult> {
    await Promise.resolve();
    if (this.committed % 2 === 1) await yieldToLoop();
    return { rows: ints(this.committed), truncated: false };
  }
}

const RUNNING = {} as Running;

/** Pairs of the revision that a reader was told and the revision whose rows it got. */
async function readWhileCommitting(
  read: (live: LiveEngine, job: () => Promise<[number, number]>) => Promise<[number, number]>,
): Promise<[number, number][]> {
  const engine = new SlowEngine();
  const live = new LiveEngine(engine as unknown as Engine, yieldToLoop);
  live.commit(RUNNING);
  let revision = 0;
  const pairs: [number, number][] = [];
  const commits = (async () => {
    for (let count = 0; count < 30; count++) {
      await live.queue.run(() =>
        live.transact({ changes: [] }, () => {
          revision++;
          live.commit();
        }),
      );
    }
  })();
  const job = async (): Promise<[number, number]> => {
    const told = revision;
    const { rows } = await engine.query();
    return [told, Number(shown(rows)[0]?.[0])];
  };
  const readers = Array.from({ length: 40 }, async (_, index) => {
    for (let turn = 0; turn < index; turn++) {
      // Also inside the gap, where only microtasks run.
      await (turn % 3 === 0 ? yieldToLoop() : Promise.resolve());
    }
    pairs.push(await read(live, job));
  });
  await Promise.all([commits, ...readers]);
  return pairs;
}

test('an answer has the revision of its rows', async () => {
  const pairs = await readWhileCommitting((live, job) => live.read(job));
  assert.ok(new Set(pairs.map(([told]) => told)).size > 3);
  for (const [told, found] of pairs) assert.equal(found, told);
});

test('control: read without care, some answers have the rows of another revision', async () => {
  const pairs = await readWhileCommitting((_, job) => job());
  assert.ok(pairs.some(([told, found]) => told !== found));
});
