/** I4: what was acknowledged is in the log, at the revision that was told, and once. */
import type {
  BatchCall,
  History,
  InvokeEvent,
  OkEvent,
  PolicyCall,
} from '../../support/history.ts';
import type { Reference } from '../reference.ts';
import { bodyText } from '../reference.ts';
import type { Violation } from './violation.ts';

export function checkDurability(history: History, reference: Reference): Violation[] {
  const violations: Violation[] = [];
  const calls = new Map<string, InvokeEvent>();
  const claimed = new Set<number>();
  const batches = reference.batches.map((batch, index) => ({ ...batch, index }));
  for (const event of history) {
    if (event.event === 'invoke') calls.set(`${event.client} ${event.op}`, event);
    if (event.event !== 'ok') continue;
    const invoked = calls.get(`${event.client} ${event.op}`);
    const where = `${event.client} ${event.op} on ${invoked?.node}`;
    if (invoked?.call.kind === 'batch') {
      const { call } = invoked;
      const found = batches.find((batch) => isBatch(batch, call, event.revision, claimed));
      if (found === undefined) {
        const message = `${where}: batch ${call.id} is not applied at revision ${event.revision}`;
        violations.push({ invariant: 'I4', message });
      } else if (call.id === null) claimed.add(found.index);
    }
    if (invoked?.call.kind === 'policy') {
      const problem = policyProblem(invoked.call, event, reference);
      if (problem !== undefined)
        violations.push({ invariant: 'I4', message: `${where}: ${problem}` });
    }
  }
  return violations;
}

function isBatch(
  batch: Reference['batches'][number] & { readonly index: number },
  call: BatchCall,
  revision: number,
  claimed: ReadonlySet<number>,
): boolean {
  return (
    batch.revision === revision &&
    batch.source === call.source &&
    batch.id === call.id &&
    !claimed.has(batch.index) &&
    batch.body === bodyText(call.changes)
  );
}

/**
 * An accepted change was in force when it was answered. A pending one may be rejected later,
 * but it has a record. Texts that were in force already change nothing.
 */
function policyProblem(call: PolicyCall, ok: OkEvent, reference: Reference): string | undefined {
  const wanted = JSON.stringify(call.writes.map(({ name, text }) => [name, text]));
  if (ok.isPending === true) {
    const isThere = [...reference.chain.values()].some(
      (record) => JSON.stringify(record.changes.map(({ name, text }) => [name, text])) === wanted,
    );
    return isThere ? undefined : `a pending change never came into the log: ${wanted}`;
  }
  // It may have been overtaken by the next change before it was answered.
  for (let revision = ok.revision; revision >= 0; revision--) {
    const texts = reference.texts(revision);
    if (call.writes.every(({ name, text }) => (texts.get(name) ?? null) === text)) return undefined;
  }
  return `up to revision ${ok.revision} these were never in force: ${wanted}`;
}
