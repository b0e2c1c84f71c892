/** Starts a replica: identity of the log, newest checkpoint, the cuts after it, then live. */
import { CaucusError } from '../errors.ts';
import {
  CHECKPOINT_RECORD_BYTES,
  CHECKPOINT_REVISIONS,
  RECORD_BYTES_TARGET,
  TICK_SPREAD_MS,
} from '../limits.ts';
import type { ReplicaDependencies, ReplicaSettings } from './dependencies.ts';
import { Lifecycle } from './lifecycle.ts';
import { LiveEngine } from './live-engine.ts';
import { LocalReplica } from './local-replica.ts';
import { Refusals } from './refusals.ts';
import type { ReplicatedState } from './replicated-state.ts';
import { readGenesis, restore, semanticsMax } from './restore.ts';
import { Ticker } from './ticker.ts';

const DEFAULT_SETTINGS: Omit<ReplicaSettings, 'semanticsMax'> = {
  checkpointRevisions: CHECKPOINT_REVISIONS,
  checkpointRecordBytes: CHECKPOINT_RECORD_BYTES,
  recordBytes: RECORD_BYTES_TARGET,
  memoryFailsPolicies: false,
};

/**
 * Resolves when the replica has applied all that the log had and is live (or read-only, if the disk
 * is full). The caller closes engine, log and store after the replica.
 */
export async function createReplica(deps: ReplicaDependencies): Promise<LocalReplica> {
  const lifecycle = new Lifecycle();
  lifecycle.onPhase((phase) => deps.onPhase?.(phase));
  const live = new LiveEngine(deps.engine, deps.yield);
  const genesis = await readGenesis(deps);
  lifecycle.on('genesis-read');
  const restored = await restore(deps, live, genesis);
  lifecycle.on('restored');
  const settings = {
    ...DEFAULT_SETTINGS,
    ...deps.settings,
    semanticsMax: semanticsMax(deps),
  };
  const replica = new LocalReplica({ deps, live, lifecycle, restored, settings });
  if (deps.node !== undefined) {
    const { log, setTimer, random } = deps;
    const refusals = new Refusals({ state: restored.state, log, setTimer, random });
    lifecycle.onPhase((phase) => {
      if (phase === 'live') refusals.start();
      else refusals.stop();
    });
  }
  startTicker(deps, live, lifecycle, restored.state);
  await replica.start();
  return replica;
}

/** Ticks while the replica is live. */
function startTicker(
  deps: ReplicaDependencies,
  live: LiveEngine,
  lifecycle: Lifecycle,
  state: ReplicatedState,
): void {
  const { log, now, setTimer, random, node, onProblem } = deps;
  let isFailing = false;
  const ticker = new Ticker({
    state,
    log,
    now,
    setTimer,
    random,
    spreadMs: node === undefined ? 0 : TICK_SPREAD_MS,
    readsNow: () => live.running.readsNow,
    onAppend: (error) => {
      if (error instanceof CaucusError && error.code === 'disk_full') {
        // Live again, and ticking, when a write or a look at the status finds room.
        lifecycle.on('append-failed');
      } else if (error instanceof Error && !isFailing) onProblem?.(error);
      isFailing = error !== undefined;
    },
  });
  live.onCommit(() => ticker.engineOnCommit());
  lifecycle.onPhase((phase) => {
    if (phase === 'live') ticker.start();
    else ticker.stop();
  });
}
