/**
 * When the log itself lost what it had acknowledged, nothing can make it good again. But nobody may
 * go on as if nothing had happened: a replica that has applied what was lost refuses (`log_diverged`,
 * or `log_damaged` at its start), and those that go on agree with each other and with the log.
 */
import type { History, HistoryEvent } from '../../support/history.ts';
import { checkConvergence } from './convergence.ts';
import type { Checker, Violation } from './violation.ts';

/** How a replica says that the log lost something. */
const NOTICED = new Set(['log_diverged', 'log_damaged']);

export function losesRecords(history: History): boolean {
  return history.some((event) => event.event === 'truncation');
}

export const checkLostRecords: Checker = (history, reference) => {
  const violations: Violation[] = [];
  const refused = new Set<string>();
  for (const event of history) {
    if (event.event !== 'node' || event.code === undefined) continue;
    if (event.what === 'failed' && NOTICED.has(event.code)) refused.add(event.node);
    else if (event.what === 'failed' || event.code === 'quarantined') {
      const message = `${event.node}#${event.run}: ${event.code}: ${event.message ?? ''}`;
      violations.push({ invariant: 'rest', message });
    }
  }
  const isOfSurvivor = (event: HistoryEvent): boolean => {
    return event.event !== 'commit' && event.event !== 'state' ? true : !refused.has(event.node);
  };
  const lostAt = history.findIndex((event) => event.event === 'truncation');
  // What was shown before may have been lost since.
  const after = history.slice(lostAt).filter(isOfSurvivor);
  return [...violations, ...checkConvergence(after, reference)];
};
