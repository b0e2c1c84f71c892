/**
 * One text for the replicated state at a revision: equal states, equal digests. The engine sums up
 * the rows; here comes what is not in the engine.
 */
import { crc32c } from '../log/crc32c.ts';
import type { FencedState } from './fenced-source.ts';
import type { ReplicatedState, SourceState } from './replicated-state.ts';

export function stateDigest(state: ReplicatedState, engineDigest: string): string {
  const parts = [
    state.logId,
    state.semantics,
    state.policyVersion,
    state.policyHash,
    [...state.policies.keys()].sort(),
    [...state.sources.values()].map(sourceParts).sort(),
    [...state.failures.values()].sort((a, b) => (a.policy < b.policy ? -1 : 1)),
    state.births.digest(),
  ];
  const rest = crc32c(new TextEncoder().encode(JSON.stringify(parts)));
  return `${engineDigest}-${rest.toString(16).padStart(8, '0')}`;
}

function sourceParts({ name, kind, tables, fenced }: SourceState): unknown[] {
  return kind === 'push' ? [name, ...tables] : [name, ...tables, [kind, ...fencedParts(fenced)]];
}

/** One by one: the order of an object's members depends on how it came to be. */
function fencedParts(fenced: FencedState): unknown[] {
  const { broken, unfinished } = fenced;
  return [
    fenced.generation,
    fenced.owner,
    fenced.sequence,
    fenced.batch,
    unfinished?.first,
    fenced.known,
    broken?.generation,
    broken?.reason,
    fenced.refused,
    fenced.trouble,
    fenced.heardAtMs,
    fenced.ignored,
    fenced.rejected,
  ];
}
