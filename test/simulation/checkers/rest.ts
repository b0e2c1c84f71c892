/**
 * When the faults are over every replica comes to rest at the newest revision, and none gave up
 * without a cause.
 */
import type { History } from '../../support/history.ts';
import type { Violation } from './violation.ts';

export function checkRest(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const event of history) {
    if (event.event === 'node' && event.what === 'failed') {
      const message = `${event.node}#${event.run}: ${event.code}: ${event.message}`;
      violations.push({ invariant: 'rest', message });
    }
    if (event.event === 'error' && (event.code === 'defect' || event.code === 'internal')) {
      const message = `${event.client} ${event.op}: ${event.code}: ${event.message}`;
      violations.push({ invariant: 'rest', message });
    }
    if (event.event === 'end' && !event.isAtRest) {
      violations.push({ invariant: 'rest', message: event.note });
    }
  }
  return violations;
}
