/** The id of the log, and the tokens that carry it. */
import { CaucusError } from '../errors.ts';
import { TAIL_RETRY_MS } from '../limits.ts';
import type { Log } from '../log/log.ts';
import { decodeRecord } from '../log/records.ts';
import { readForks } from '../replica/forks.ts';
import { encodeToken } from '../replica/token.ts';
import { CUTS_TOPIC } from '../replica/topics.ts';
import type { Wait } from './topic-tail.ts';

/**
 * Waits until a replica has begun the log: nothing may be written before its first record. An empty
 * text where that record has been trimmed, and when the signal aborts.
 */
export async function awaitLogId(log: Log, wait: Wait, signal: AbortSignal): Promise<string> {
  await log.ensureTopic(CUTS_TOPIC);
  for (;;) {
    const { start, end } = await log.bounds(CUTS_TOPIC);
    if (start > 0 || signal.aborted) return '';
    if (end > 0) break;
    await wait(TAIL_RETRY_MS, signal);
  }
  const abort = new AbortController();
  try {
    for await (const { records } of log.read(CUTS_TOPIC, 0, abort.signal)) {
      const [first] = records;
      if (first === undefined) continue;
      const record = decodeRecord(first.bytes);
      const genesis = record.kind === 'genesis' ? record.logId : undefined;
      return (await readForks(log)).logIdAt(Infinity, genesis) ?? '';
    }
  } catch (error) {
    // Trimmed meanwhile.
    if (!(error instanceof CaucusError) || error.code !== 'revision_expired') throw error;
  } finally {
    abort.abort();
  }
  return '';
}

/** Of a revision. Empty where the log does not say any more what it is called. */
export function tokenAt(logId: string, revision: number): string {
  return logId === '' ? '' : encodeToken(logId, revision);
}
