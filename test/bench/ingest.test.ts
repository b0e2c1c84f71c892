/** The ingest bench on little: a real server and a real subscriber. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { measureIngest } from '../../bench/ingest.ts';

test('rows go in through the batches route and come out of a subscription', async () => {
  const [load, single] = await measureIngest({ rows: 5000, batchRows: 500, latencyBatches: 10 });
  assert.ok((load?.figures['rows/s']?.value ?? 0) > 0);
  assert.ok((single?.figures['p99']?.value ?? -1) >= 0);
});
