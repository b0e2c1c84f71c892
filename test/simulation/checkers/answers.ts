/**
 * I5: no answer is older than the token that was shown, and each is what the log means at its
 * revision. I6: so is every copy of a query that a client keeps by its snapshot and deltas.
 */
import { decodeToken } from '../../../host/replica/token.ts';
import type { History, InvokeEvent, ViewEvent } from '../../support/history.ts';
import type { Reference } from '../reference.ts';
import type { Violation } from './violation.ts';

export function checkAnswers(history: History, reference: Reference): Violation[] {
  return [...checkQueries(history, reference), ...checkViews(history, reference)];
}

function checkQueries(history: History, reference: Reference): Violation[] {
  const violations: Violation[] = [];
  const calls = new Map<string, InvokeEvent>();
  for (const event of history) {
    if (event.event === 'invoke') calls.set(`${event.client} ${event.op}`, event);
    if (event.event !== 'ok') continue;
    const { client, op, revision, rows } = event;
    const invoked = calls.get(`${client} ${op}`);
    if (invoked === undefined || rows === undefined || invoked.call.kind !== 'query') continue;
    const { query, consistency, token } = invoked.call;
    const where = `${client} ${op} on ${invoked.node}: \`${query}\` at revision ${revision}`;
    if (token !== null) {
      const wanted = revisionOf(token, reference);
      if (wanted !== undefined && revision < wanted) {
        violations.push({ invariant: 'I5', message: `${where}, its token is of ${wanted}` });
      }
      if (wanted !== undefined && consistency === 'exact' && revision !== wanted) {
        violations.push({ invariant: 'I5', message: `${where}, not ${wanted} exactly` });
      }
    }
    const expected = reference.answer(revision, query)?.join(' ');
    if (rows.join(' ') !== expected) {
      const message = `${where} is ${rows.join(' ')}, by the log ${expected}`;
      violations.push({ invariant: 'I5', message });
    }
  }
  return violations;
}

/** The revision that a token stands for, by the log; undefined: it has none yet. */
function revisionOf(token: string, reference: Reference): number | undefined {
  const point = decodeToken(logIdOf(token), token);
  if ('revision' in point) return point.revision;
  const revision = reference.states.findIndex(
    ({ policyVersion }) => policyVersion >= point.policyVersion,
  );
  return revision < 0 ? undefined : revision;
}

function logIdOf(token: string): string {
  const bytes = Buffer.from(token, 'base64url');
  return bytes.subarray(2, 2 + (bytes[1] ?? 0)).toString();
}

interface Copy {
  rows: Set<string>;
  revision: number;
}

function checkViews(history: History, reference: Reference): Violation[] {
  const violations: Violation[] = [];
  const copies = new Map<string, Copy>();
  /** Copies of queries that have lost their meaning: told the revision, then their end. */
  const ending = new Map<string, string>();
  for (const event of history) {
    if (event.event !== 'view') continue;
    const key = `${event.client} ${event.view}`;
    const late = ending.get(key);
    ending.delete(key);
    if (late !== undefined && event.what !== 'end') {
      violations.push({ invariant: 'I6', message: `${late}: it went on` });
    }
    const problem = applied(copies, key, event);
    const copy = copies.get(key);
    const where = `${key} on ${event.node}: \`${event.query}\` at revision ${event.revision}`;
    if (problem !== undefined) {
      violations.push({ invariant: 'I6', message: `${where}: ${problem}` });
    }
    // While it is brought up to date it is of no revision.
    if (copy === undefined || event.what === 'resumed' || event.what === 'end') continue;
    const rows = [...copy.rows].sort().join(' ');
    const expected = reference.answer(event.revision, event.query)?.join(' ');
    if (expected === undefined) {
      ending.set(key, where);
      continue;
    }
    if (rows === expected) continue;
    const message = `${where}, ${event.what}: ${rows}, by the log ${expected}`;
    violations.push({ invariant: 'I6', message });
  }
  return violations;
}

/** Changes the copy as its client would; what does not fit, in words. */
function applied(copies: Map<string, Copy>, key: string, event: ViewEvent): string | undefined {
  const { what, revision, insert, delete: removed } = event;
  const copy = copies.get(key);
  if (what === 'snapshot') {
    copies.set(key, { rows: new Set(insert), revision });
    return copy !== undefined && revision < copy.revision ? 'it went back' : undefined;
  }
  if (copy === undefined) return 'it has no snapshot';
  if (revision < copy.revision) return `it went back from ${copy.revision}`;
  copy.revision = revision;
  for (const row of removed) if (!copy.rows.delete(row)) return `${row} went and was not there`;
  for (const row of insert) {
    if (copy.rows.has(row)) return `${row} came and was there`;
    copy.rows.add(row);
  }
  return undefined;
}
