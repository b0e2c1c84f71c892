/** What every policy database must do: run it with a harness that opens one, again and again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { NO_HASH, policyHash } from '../../host/log/policy-hash.ts';
import type { PolicyChange, PolicyRecord } from '../../host/log/records.ts';
import type { PolicyHead, Store } from '../../host/store/store.ts';

export interface StoreHarness {
  /** Opens what is stored; the one opened before is closed. */
  open(): Promise<Store>;
  close(): Promise<void>;
}

export function put(name: string, text: string | null): readonly PolicyChange[] {
  return [{ name, text }];
}

async function proposeNext(store: Store, changes: readonly PolicyChange[]): Promise<PolicyHead> {
  const head = await store.head();
  const result = await store.propose(head.version, head.hash, 'put', changes);
  assert.ok(result.ok);
  return { version: result.version, hash: result.hash };
}

function recordAfter(previous: PolicyHead, changes: readonly PolicyChange[]): PolicyRecord {
  const body = {
    version: previous.version + 1,
    previousHash: previous.hash,
    op: 'put',
    changes,
  } as const;
  return { kind: 'policy', ...body, hash: policyHash(body) };
}

async function statesOf(
  store: Store,
  versions: readonly number[],
): Promise<(string | undefined)[]> {
  const proposals = await Promise.all(versions.map((version) => store.proposal(version)));
  return proposals.map((proposal) => proposal?.state);
}

/** `make` returns undefined where it has skipped the test. */
export function storeSuite(
  name: string,
  make: (t: TestContext) => Promise<StoreHarness | undefined>,
): void {
  const check = (title: string, body: (harness: StoreHarness) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => {
      const harness = await make(t);
      if (harness === undefined) return;
      try {
        await body(harness);
      } finally {
        await harness.close();
      }
    });
  };

  check('a new database is empty', async (harness) => {
    const store = await harness.open();
    assert.deepEqual(await store.head(), { version: 0, hash: NO_HASH });
    assert.deepEqual(await store.pending(), []);
    assert.deepEqual(await store.policies(), []);
    assert.equal(await store.proposal(1), undefined);
    await store.close();
  });

  check('of several writers that saw one head, one gets the version', async (harness) => {
    const store = await harness.open();
    const results = await Promise.all(
      ['a', 'b', 'c'].map((text) => store.propose(0, NO_HASH, 'put', put('p', text))),
    );
    assert.deepEqual(results.map(({ ok }) => ok).sort(), [false, false, true]);
    const head = await store.head();
    assert.equal(head.version, 1);
    for (const result of results) if (!result.ok) assert.deepEqual(result.head, head);
    const wrongHash = await store.propose(1, NO_HASH, 'put', put('p', 'd'));
    assert.ok(!wrongHash.ok);
    await store.close();
  });

  check('the outbox keeps proposals across a restart until they are published', async (harness) => {
    let store = await harness.open();
    const first = await proposeNext(store, [
      { name: 'p', text: 'q("é\u0000\\n")\n' },
      { name: 'gone', text: null },
    ]);
    const second = await proposeNext(store, put('q', ''));
    await store.close();
    store = await harness.open();
    const pending = await store.pending();
    assert.deepEqual(
      pending.map(({ version }) => version),
      [1, 2],
    );
    assert.deepEqual(pending[0]?.changes, [
      { name: 'p', text: 'q("é\u0000\\n")\n' },
      { name: 'gone', text: null },
    ]);
    assert.equal(pending[0]?.hash, policyHash(pending[0] as PolicyRecord & (typeof pending)[0]));
    assert.equal(pending[1]?.previousHash, first.hash);
    assert.deepEqual(await store.head(), second);
    await store.markPublished(1);
    await store.markPublished(1);
    assert.deepEqual(
      (await store.pending()).map(({ version }) => version),
      [2],
    );
    assert.deepEqual(await statesOf(store, [1, 2]), ['published', 'pending']);
    await store.close();
  });

  check('accepted texts are the policies, rejected ones are not', async (harness) => {
    let store = await harness.open();
    await proposeNext(store, put('p', 'one'));
    await proposeNext(store, put('q', 'bad'));
    await proposeNext(store, [...put('p', 'tw\u0000o'), ...put('r', 'three')]);
    await proposeNext(store, put('r', null));
    for (const version of [1, 2, 3, 4]) await store.markPublished(version);
    await store.setVerdict(1, 'accepted', null);
    await store.setVerdict(2, 'rejected', '["why\u0000"]');
    assert.deepEqual(await store.policies(), [{ name: 'p', text: 'one', version: 1 }]);
    // In the wrong order: the newer version stays.
    await store.setVerdict(4, 'accepted', null);
    await store.setVerdict(3, 'accepted', null);
    await store.setVerdict(3, 'accepted', null);
    await assert.rejects(store.setVerdict(3, 'rejected', null));
    await store.close();
    store = await harness.open();
    assert.deepEqual(await store.policies(), [{ name: 'p', text: 'tw\u0000o', version: 3 }]);
    const rejected = await store.proposal(2);
    assert.deepEqual([rejected?.state, rejected?.verdict], ['rejected', '["why\u0000"]']);
    await assert.rejects(store.setVerdict(9, 'accepted', null));
    await store.close();
  });

  check('a declared source takes a version and is no policy', async (harness) => {
    const store = await harness.open();
    const result = await store.propose(0, NO_HASH, 'source', put('nova', 'nova.1'));
    assert.ok(result.ok);
    await store.setVerdict(1, 'accepted', null);
    assert.deepEqual(await store.policies(), []);
    await store.close();
  });

  check('what the topic has and the database has not is copied back', async (harness) => {
    const store = await harness.open();
    const one = recordAfter({ version: 0, hash: NO_HASH }, put('p', 'one'));
    const two = recordAfter(one, put('p', 'two'));
    for (const record of [one, two, one]) await store.copyBack(record);
    assert.deepEqual(await store.head(), { version: 2, hash: two.hash });
    assert.deepEqual(await statesOf(store, [1, 2]), ['published', 'published']);
    assert.deepEqual(await store.pending(), []);
    const next = await proposeNext(store, put('q', 'three'));
    assert.equal(next.version, 3);
    await store.close();
  });

  check('a copied record that is pending here is published', async (harness) => {
    const store = await harness.open();
    await proposeNext(store, put('p', 'one'));
    await store.copyBack(recordAfter({ version: 0, hash: NO_HASH }, put('p', 'one')));
    assert.deepEqual(await statesOf(store, [1]), ['published']);
    assert.deepEqual(await store.superseded(), []);
    await store.close();
  });

  check(
    'a write that the topic decided against is superseded, with what follows it, and kept',
    async (harness) => {
      let store = await harness.open();
      const first = await proposeNext(store, put('p', 'first'));
      await store.markPublished(1);
      await proposeNext(store, put('p', 'mine'));
      await proposeNext(store, put('p', 'mine, too'));
      const theirs = recordAfter(first, put('p', 'theirs'));
      await store.copyBack(theirs);
      assert.deepEqual(await store.head(), { version: 2, hash: theirs.hash });
      assert.deepEqual(await store.pending(), []);
      const kept = await store.superseded();
      assert.deepEqual(
        kept.map(({ version, changes }) => [version, changes[0]?.text]),
        [
          [2, 'mine'],
          [3, 'mine, too'],
        ],
      );
      await store.close();
      store = await harness.open();
      assert.equal((await store.superseded()).length, 2);
      const next = await proposeNext(store, put('p', 'again'));
      assert.equal(next.version, 3);
      await store.setVerdict(2, 'accepted', null);
      assert.deepEqual(await store.policies(), [{ name: 'p', text: 'theirs', version: 2 }]);
      await store.close();
    },
  );

  check('a write that was superseded may be made again', async (harness) => {
    const store = await harness.open();
    const start = { version: 0, hash: NO_HASH };
    const mine = recordAfter(start, put('p', 'mine'));
    const theirs = recordAfter(start, put('p', 'theirs'));
    await store.copyBack(mine);
    const second = await proposeNext(store, put('q', 'again'));
    await store.copyBack(theirs);
    assert.deepEqual(await store.head(), { version: 1, hash: theirs.hash });
    await store.copyBack(mine);
    assert.deepEqual(await store.head(), { version: 1, hash: mine.hash });
    assert.deepEqual(await proposeNext(store, put('q', 'again')), second);
    assert.deepEqual(await statesOf(store, [1, 2]), ['published', 'pending']);
    assert.deepEqual(
      (await store.superseded()).map(({ hash }) => hash),
      [theirs.hash],
    );
    await store.close();
  });

  check('a record against an accepted one stops: it is another log', async (harness) => {
    const store = await harness.open();
    await proposeNext(store, put('p', 'mine'));
    await store.setVerdict(1, 'accepted', null);
    const theirs = recordAfter({ version: 0, hash: NO_HASH }, put('p', 'theirs'));
    await assert.rejects(store.copyBack(theirs), { code: 'log_damaged' });
    assert.deepEqual(await store.policies(), [{ name: 'p', text: 'mine', version: 1 }]);
    assert.deepEqual(await statesOf(store, [1]), ['accepted']);
    await store.close();
  });
}
