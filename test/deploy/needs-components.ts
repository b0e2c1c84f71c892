/** Run by `components.test.ts` as a file of tests, on a machine that is said to have nothing. */
import test from 'node:test';
import { kafkaOrSkip } from '../support/components.ts';

test('wants a broker', async (t) => {
  await kafkaOrSkip(t);
});

test('wants one too', async (t) => {
  await kafkaOrSkip(t);
});
