/**
 * When the log itself lost what it had acknowledged, nothing can make it good again. But nobody
 * may go on as if nothing had happened: a replica that has applied what was lost refuses
 * (`log_diverged`, or `log_damaged` at its start) or is quarantined, and those that go on agree
 * with each other and with the log. Where the log does not tell what it lost, they agree with each
 * other at least.
 */
import type { History } from '../../support/history.ts';
import { checkConvergence, checkDigests } from './convergence.ts';
import type { Checker, Violation } from './violation.ts';

/** How a replica says that it cannot be believed any more. */
const NOTICED = new Set(['log_diverged', 'log_damaged', 'state_diverged', 'quarantined']);

export function losesRecords(history: History): boolean {
  return history.some((event) => event.event === 'truncation');
}

export const checkLostRecords: Checker = (history, reference) => {
  const violations: Violation[] = [];
  const refused = new Set<string>();
  for (const event of history) {
    if (event.event !== 'node' || event.code === undefined) continue;
    if (NOTICED.has(event.code) && (event.what === 'failed' || event.code === 'quarantined')) {
      refused.add(event.node);
    } else if (event.what === 'failed') {
      const message = `${event.node}#${event.run}: ${event.code}: ${event.message ?? ''}`;
      violations.push({ invariant: 'rest', message });
    }
  }
  const lastRuns = new Map<string, number>();
  for (const event of history) if (event.event === 'node') lastRuns.set(event.node, event.run);
  const lostAt = history.findIndex((event) => event.event === 'truncation');
  // What an earlier process showed before may have been lost since.
  const standing = history.filter((event, index) => {
    if (event.event !== 'commit' && event.event !== 'state') return true;
    if (refused.has(event.node)) return false;
    return index > lostAt || lastRuns.get(event.node) === event.run;
  });
  const isTold = history.every((event) => event.event !== 'truncation' || event.isTold);
  const found = isTold ? checkConvergence(standing, reference) : checkDigests(standing);
  return [...violations, ...found];
};
