/** What a replica holds, for its status: policies and sources. */
import { tableKey } from '../compiler/stratified.ts';
import { staleReason } from './fenced-source.ts';
import type { LiveEngine } from './live-engine.ts';
import type { ReplicatedState, SourceState } from './replicated-state.ts';
import type { ReplicaStatus, SourceStatus } from './replica.ts';

export function contentStatus(
  state: ReplicatedState,
  live: LiveEngine,
): Pick<ReplicaStatus, 'logId' | 'policies' | 'sources'> {
  const { program, failures } = live.running;
  const kinds = new Map(program.policies?.map(({ name, kind }) => [name, kind]));
  const rules = new Map<string, number>();
  for (const rule of program.rules) rules.set(rule.policy, (rules.get(rule.policy) ?? 0) + 1);
  return {
    logId: state.logId,
    policies: [...state.policies.keys()].sort().map((name) => ({
      name,
      kind: kinds.get(name) ?? null,
      rules: rules.get(name) ?? 0,
      failed: failures.policies.get(name)?.code ?? null,
    })),
    sources: [...state.sources.values()].map((source) => sourceStatus(source, state, live)),
  };
}

function sourceStatus(
  { name, tables, kind, fenced }: SourceState,
  { timeMs }: ReplicatedState,
  { engine }: LiveEngine,
): SourceStatus {
  const rows = [...tables.keys()].map((table): [string, number] => [
    table,
    engine.count(tableKey({ owner: name, name: table })),
  ]);
  const reason = kind === 'push' ? undefined : staleReason(fenced, timeMs);
  return {
    name,
    tables: Object.fromEntries(rows),
    stale: reason !== undefined,
    ...(reason === undefined ? {} : { problems: [{ message: reason }] }),
    ...(kind === 'push' ? {} : { generation: fenced.generation, owner: fenced.owner }),
  };
}
