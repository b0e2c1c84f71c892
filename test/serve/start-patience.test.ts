/** What a start waits for, and what ends it. `test/cluster/faults.test.ts` has real components. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { START_REPORT_MS, START_RETRY_MS } from '../../host/limits.ts';
import type { Logger } from '../../host/observe/log.ts';
import { StartPatience } from '../../host/parts/start-patience.ts';
import { yieldToLoop } from '../support/replica-world.ts';

const away = new CaucusError('store_unavailable', 'the database is away', { remedy: 'start it' });

/** With `isQuick` it pauses for a turn only. */
function patienceOf(isQuick: boolean, signal?: AbortSignal) {
  const said: string[] = [];
  const waits: (string | undefined)[] = [];
  const silent = (): void => undefined;
  const logger: Logger = {
    debug: silent,
    info: silent,
    warn: (_event, message) => said.push(message),
    error: silent,
  };
  const patience = new StartPatience({
    logger,
    signal,
    onWait: (reason) => waits.push(reason),
    ...(isQuick ? { pause: yieldToLoop } : {}),
  });
  return { said, waits, patience };
}

test('what is away is tried again, and told, but not each time', async () => {
  const { said, waits, patience } = patienceOf(true);
  const tries = START_REPORT_MS / START_RETRY_MS + 2;
  let left = tries;
  const opened = patience.retry(() => {
    return left-- > 0 ? Promise.reject(away) : Promise.resolve('there');
  });
  assert.equal(await opened, 'there');
  assert.equal(said.length, 2);
  assert.equal(waits.length, tries + 1);
  assert.deepEqual([waits[0], waits.at(-1)], ['the database is away', undefined]);
});

test('what another try cannot mend is thrown at once, and the end of the process ends it', async () => {
  const denied = new CaucusError('store_refused', 'access denied');
  const { waits, patience } = patienceOf(true);
  await assert.rejects(
    patience.retry(() => Promise.reject(denied)),
    denied,
  );
  await assert.rejects(
    patience.retry(() => Promise.reject(new Error('a defect'))),
    /a defect/,
  );
  assert.deepEqual(waits, []);
  const abort = new AbortController();
  const { patience: ended } = patienceOf(false, abort.signal);
  const opening = ended.retry(() => Promise.reject(away));
  await yieldToLoop();
  abort.abort();
  await assert.rejects(opening, away);
});
