/**
 * Half of the seeds of every test run; the other half is `seeds-second.test.ts`, in a process of
 * its own.
 */
import { test } from 'node:test';
import { expectNoViolation } from './seeds.ts';

test('1000 simulated runs break no invariant', async () => {
  await expectNoViolation(1, 1000);
});
