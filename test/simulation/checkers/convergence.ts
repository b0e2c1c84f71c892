/**
 * I1: at one revision all replicas have one state, and it is what the log means. I7: births, which
 * make the keys of actions, are part of it.
 */
import type { History, StateEvent } from '../../support/history.ts';
import type { Reference } from '../reference.ts';
import type { Violation } from './violation.ts';

export function checkConvergence(history: History, reference: Reference): Violation[] {
  return [...checkDigests(history), ...checkStates(history, reference)];
}

/** Each replica goes through every revision, once a start, and shows the digest of the others. */
export function checkDigests(history: History): Violation[] {
  const violations: Violation[] = [];
  const digests = new Map<number, { readonly digest: string; readonly node: string }>();
  const newest = new Map<string, number>();
  for (const event of history) {
    if (event.event !== 'commit') continue;
    const { node, run, revision, digest } = event;
    const known = digests.get(revision);
    if (known === undefined) digests.set(revision, { digest, node });
    else if (known.digest !== digest) {
      violations.push({
        invariant: 'I1',
        message: `revision ${revision}: ${node} has ${digest}, ${known.node} ${known.digest}`,
      });
    }
    const process = `${node}#${run}`;
    const before = newest.get(process);
    if (before !== undefined && revision !== before + 1) {
      const message = `${process} came from revision ${before} to ${revision}`;
      violations.push({ invariant: 'I1', message });
    }
    newest.set(process, revision);
  }
  return violations;
}

function checkStates(history: History, reference: Reference): Violation[] {
  const violations: Violation[] = [];
  const first = new Map<number, StateEvent>();
  for (const event of history) {
    if (event.event !== 'state') continue;
    const { node, revision, tables, births } = event;
    const known = first.get(revision);
    if (known?.births === null || known === undefined) first.set(revision, event);
    else if (births !== null && JSON.stringify(births) !== JSON.stringify(known.births)) {
      const message = `revision ${revision}: births of ${node} are not those of ${known.node}`;
      violations.push({ invariant: 'I7', message });
    }
    const difference = differentTable(tables, reference.tables(revision));
    if (difference === undefined) continue;
    violations.push({ invariant: 'I1', message: `revision ${revision}, ${node}: ${difference}` });
  }
  return violations;
}

/** In words; tables of the system are about the replica's own bookkeeping. */
function differentTable(
  shown: Readonly<Record<string, readonly string[]>>,
  expected: Readonly<Record<string, readonly string[]>>,
): string | undefined {
  for (const table of new Set([...Object.keys(shown), ...Object.keys(expected)])) {
    if (table.startsWith('system:')) continue;
    const rows = (shown[table] ?? []).join(' ');
    const wanted = (expected[table] ?? []).join(' ');
    if (rows !== wanted) return `\`${table}\` is ${rows}, by the log it is ${wanted}`;
  }
  return undefined;
}
