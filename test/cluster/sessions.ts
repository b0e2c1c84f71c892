/**
 * What a client sees over all replicas, without a look at the log: it never goes back (monotonic
 * reads), and what it wrote is there when it reads with its token (read your writes).
 */
import type { History, InvokeEvent } from '../support/history.ts';
import type { Violation } from '../simulation/checkers/violation.ts';

/** Rows that nobody deletes, by the query that shows the table alone: see `world.ts`. */
const KEPT = { source: 'app', table: 'op', query: 'app:op(c, n)' } as const;

interface Session {
  revision: number;
  readonly written: Set<string>;
}

export function checkSessions(history: History): Violation[] {
  const violations: Violation[] = [];
  const sessions = new Map<string, Session>();
  /** What the client had been shown when it asked. */
  const calls = new Map<string, { readonly invoked: InvokeEvent; readonly seen: Session }>();
  for (const event of history) {
    if (event.event !== 'invoke' && event.event !== 'ok') continue;
    const key = `${event.client} ${event.op}`;
    const session = sessions.get(event.client) ?? { revision: 0, written: new Set() };
    sessions.set(event.client, session);
    if (event.event === 'invoke') {
      const { revision, written } = session;
      calls.set(key, { invoked: event, seen: { revision, written: new Set(written) } });
      continue;
    }
    const called = calls.get(key);
    if (called === undefined) continue;
    const { invoked, seen } = called;
    const { call } = invoked;
    if (call.kind === 'query' && ['atLeast', 'latest'].includes(call.consistency)) {
      const where = `${key} on ${invoked.node}: \`${call.query}\``;
      if (event.revision < seen.revision) {
        const message = `${where} is of revision ${event.revision}, it had seen ${seen.revision}`;
        violations.push({ invariant: 'I5', message });
      }
      const rows = new Set(event.rows);
      const lost = [...seen.written].filter((row) => call.query === KEPT.query && !rows.has(row));
      if (lost.length > 0) {
        violations.push({ invariant: 'I5', message: `${where} lacks its own ${lost.join(' ')}` });
      }
    }
    if (event.isPending !== true) session.revision = Math.max(session.revision, event.revision);
    if (call.kind !== 'batch' || call.source !== KEPT.source) continue;
    for (const { table, insert } of call.changes) {
      if (table === KEPT.table) for (const row of insert) session.written.add(row);
    }
  }
  return violations;
}
