/** The other half of the seeds, and logs that lose records. */
import { test } from 'node:test';
import { expectNoViolation } from './seeds.ts';

test('another 1000 simulated runs break no invariant', async () => {
  await expectNoViolation(1001, 1000);
});
