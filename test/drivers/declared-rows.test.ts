/** A datasource node checks rows by what policies declare, before anything goes to the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import type { Log } from '../../host/log/log.ts';
import { decodeRecord } from '../../host/log/records.ts';
import { DeclaredTables } from '../../host/sources/declared-tables.ts';
import type { Store } from '../../host/store/store.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { setting, shows, withoutPolicies } from '../support/datasource-world.ts';
import { useEngine } from '../support/replica-world.ts';
import { staleOf } from '../support/source-world.ts';

useEngine('naive');

const TOPIC = 'source.s.1';

/** Batches on the topic of the source. */
async function batchesOf(log: Log): Promise<number> {
  const { end } = await log.bounds(TOPIC);
  const kinds: string[] = [];
  for await (const { records, next } of log.read(TOPIC, 0, new AbortController().signal)) {
    kinds.push(...records.map(({ bytes }) => decodeRecord(bytes).kind));
    if (next >= end) break;
  }
  return kinds.filter((kind) => kind === 'snapshot' || kind === 'delta').length;
}

for (const knows of [true, false]) {
  const title = knows ? 'do not reach the log' : 'reach it without the check (control)';
  test(`rows that do not fit a declaration ${title}`, async () => {
    const all = await setting(true);
    const { clock, outside, start, replica, world } = all;
    await replica.replica.writePolicies([{ name: 'p', text: 'table s:t(x: int)\n' }]);
    outside.numbers = [1];
    const store = knows ? world.store : withoutPolicies(world.store);
    const node = start('ds1', undefined, { store });
    await shows(all, 1);
    outside.words = ['word'];
    await clock.until(async () => (await staleOf(replica, 's'))[0] === true, 'stale');
    assert.equal(await batchesOf(replica.log), knows ? 1 : 2);
    await shows(all, 1);
    if (knows) {
      // Told to people at the node, and everywhere.
      const message = 'row 0 of `s:t`: column `x` is declared int, not "word"';
      assert.equal(node.health().sources[0]?.problems[0]?.message, message);
      assert.deepEqual(await staleOf(replica, 's'), [true, message]);
      // A declaration that goes lets the rows through.
      await replica.replica.writePolicies([{ name: 'p', text: 'table s:t(x: any)\n' }]);
      await clock.until(async () => (await staleOf(replica, 's'))[0] === false, 'fresh');
      assert.equal(node.health().sources[0]?.state, 'fresh');
    }
    await all.close();
  });
}

const POLICY = { name: 'p', text: 'table s:t(x: int, y: string)\nq(x) :- w:u(x)\n', version: 1 };
const block = (...rows: Row[]) => encodeRows(rows[0]?.length ?? 0, rows);

interface Known {
  readonly declared: DeclaredTables;
  state: 'accepted' | 'published' | 'away';
}

function knownOf(policies: readonly (typeof POLICY)[]): Known {
  const known: Known = {
    state: 'accepted',
    declared: new DeclaredTables({
      policies: { version: 1, sources: new Map(), changed: () => Promise.resolve() },
      wait: () => Promise.resolve(),
      onProblem: (error) => assert.fail(String(error)),
      store: {
        policies: () => {
          return known.state === 'away'
            ? Promise.reject(new CaucusError('store_unavailable', 'away'))
            : Promise.resolve(policies);
        },
        proposal: () => Promise.resolve({ state: known.state }) as ReturnType<Store['proposal']>,
      },
    }),
  };
  return known;
}

test('the first row that does not fit is named, with its place', async () => {
  const { declared } = knownOf([POLICY]);
  assert.ok(await declared.refresh());
  const check = (table: string, ...rows: Row[]): unknown => {
    try {
      declared.check('s', [{ table, insert: block(...rows) }]);
      return undefined;
    } catch (error) {
      assert.ok(error instanceof CaucusError);
      assert.equal(error.code, 'invalid_row');
      assert.ok(error.remedy);
      return error.details;
    }
  };
  assert.equal(check('t', [1n, 'a'], [2n, 'b']), undefined);
  assert.deepEqual(check('t', [1n, 'a'], [null, 'b']), {
    table: 's:t',
    rowIndex: 1,
    columnIndex: 0,
    columnName: 'x',
  });
  assert.deepEqual(check('t', [1n, 'a'], [2n, 'b'], [3n, 4n]), {
    table: 's:t',
    rowIndex: 2,
    columnIndex: 1,
    columnName: 'y',
  });
  assert.deepEqual(check('t', [1n]), { table: 's:t', rowIndex: 0, arity: 2, columns: 1 });
  // The use in a rule fixes nothing, nor do tables that no policy names.
  assert.doesNotThrow(() => declared.check('w', [{ table: 'u', insert: block([1n, 2n]) }]));
  assert.equal(check('v', [1n]), undefined);
  const mixed = { table: 'v', delete: block([1n]), insert: block([1n, 2n]) };
  assert.throws(() => declared.check('s', [mixed]), { code: 'invalid_row' });
});

test('without an answer of the database the last declarations hold', async () => {
  const policies = [POLICY];
  const known = knownOf(policies);
  const fits = (): boolean => {
    try {
      known.declared.check('s', [{ table: 't', insert: block([1n]) }]);
      return true;
    } catch {
      return false;
    }
  };
  assert.ok(fits(), 'nothing is known yet');
  assert.ok(await known.declared.refresh());
  assert.ok(!fits());
  policies.length = 0;
  known.state = 'away';
  assert.ok(!(await known.declared.refresh()));
  assert.ok(!fits());
  // No verdict yet: what is there counts, and it is asked again.
  known.state = 'published';
  assert.ok(!(await known.declared.refresh()));
  assert.ok(fits());
});
