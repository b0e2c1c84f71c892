/**
 * The replica as the API sees it in one process: declarations are followed for the drivers, their
 * health is part of the status, and a source that a driver fills takes no rows from anybody else:
 * the driver's next snapshot would silently take them away.
 */
import type { SourceHealth } from '../../drivers/runner.ts';
import { CaucusError } from '../errors.ts';
import type { Batch, PolicyWrite, Replica, ReplicaStatus } from '../replica/replica.ts';
import type { SourceStatus } from '../replica/replica.ts';
import type { DeclaredTables } from './declared-tables.ts';

/** `health`: of the sources that have drivers, now. */
export function servedReplica(
  replica: Replica,
  declared: DeclaredTables,
  health: () => readonly SourceHealth[],
): Replica {
  const members: Partial<Replica> = {
    status: () => withHealth(replica.status(), health()),
    writePolicies: async (writes: readonly PolicyWrite[]) => declared.write(replica, writes),
    writeBatch: async (batch: Batch) => {
      const driven = health().find(
        ({ source, mode }) => source === batch.source && mode !== 'push',
      );
      if (driven !== undefined) throw sourceDriven(driven);
      return await replica.writeBatch(batch);
    },
  };
  return new Proxy(replica, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(members, name) ?? Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

function sourceDriven({ source, driver }: SourceHealth): CaucusError {
  return new CaucusError(
    'source_driven',
    `the driver \`${driver}\` fills the source \`${source}\`, which takes no pushed rows`,
    {
      remedy: 'push into a source of another name, or change what the driver reads',
      details: { source, driver },
    },
  );
}

function withHealth(status: ReplicaStatus, health: readonly SourceHealth[]): ReplicaStatus {
  if (health.length === 0) return status;
  const sources = new Map<string, SourceStatus>(status.sources.map((one) => [one.name, one]));
  for (const { source: name, driver, state, freshAtMs, problems } of health) {
    const held = sources.get(name) ?? { name, tables: {} };
    sources.set(name, { ...held, driver, state, stale: state === 'stale', freshAtMs, problems });
  }
  return { ...status, sources: [...sources.values()] };
}
