import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Driver, RowChange } from '../../drivers/driver.ts';
import { PushDriver } from '../../drivers/push/push-driver.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { DriverHarness } from '../suites/driver-suite.ts';
import { driverSuite, followsRandomEdits, startsFromHeldRows } from '../suites/driver-suite.ts';
import { fileHarness } from './file-harness.ts';

const TABLES = new Map([
  ['narrow', 2],
  ['wide', 3],
]);

async function pushHarness(): Promise<DriverHarness> {
  const driver = new PushDriver({ source: 'inv' });
  return {
    driver,
    tables: TABLES,
    hold: async (outside) => {
      const changes: RowChange[] = [...outside].map(([table, rows]) => ({
        table,
        replace: true,
        insert: encodeRows(TABLES.get(table) as number, rows),
      }));
      await driver.write({ changes });
    },
    close: async () => undefined,
  };
}

for (const ending of ['csv', 'tsv', 'json', 'ndjson'] as const) {
  driverSuite(`file (${ending})`, () => fileHarness(ending), { damageable: true });
}
driverSuite('push', pushHarness, { damageable: false });

/** Changes what a driver publishes: the suite must notice each of these. */
const BREAKS: Readonly<Record<string, (changes: readonly RowChange[]) => readonly RowChange[][]>> =
  {
    'deletes are lost': (changes) => [
      changes.map((change) => ({
        table: change.table,
        ...(change.replace === undefined ? {} : { replace: change.replace }),
        ...(change.insert === undefined ? {} : { insert: change.insert }),
      })),
    ],
    'a snapshot instead of a difference': (changes) => [
      changes.map((change) => ({ ...change, replace: true })),
    ],
    'a batch for each table': (changes) => changes.map((change) => [change]),
  };

for (const [what, breakChanges] of Object.entries(BREAKS)) {
  test(`the suite notices: ${what}`, async () => {
    const harness = await fileHarness('tsv');
    const { driver } = harness;
    const broken: Driver = {
      name: driver.name,
      source: driver.source,
      mode: driver.mode,
      tables: () => driver.tables(),
      start: (session) =>
        driver.start({
          ...session,
          publish: async (batch) => {
            let last = { revision: 0, token: '' };
            for (const changes of breakChanges(batch.changes)) {
              last = await session.publish({ changes });
            }
            return last;
          },
        }),
    };
    try {
      await assert.rejects(
        followsRandomEdits({ ...harness, driver: broken }, 1),
        assert.AssertionError,
      );
    } finally {
      await harness.close();
    }
  });
}

test('the suite notices: what a table holds is not asked for', async () => {
  const harness = await fileHarness('tsv');
  const { driver } = harness;
  const broken: Driver = {
    name: driver.name,
    source: driver.source,
    mode: driver.mode,
    tables: () => driver.tables(),
    start: ({ publish, report, signal }) => driver.start({ publish, report, signal }),
  };
  try {
    await assert.rejects(startsFromHeldRows({ ...harness, driver: broken }), assert.AssertionError);
  } finally {
    await harness.close();
  }
});
