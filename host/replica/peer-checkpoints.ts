/**
 * State from another replica, for one that has no checkpoint of its own and a long log before it.
 * It is saved like an own checkpoint and then loaded like one, with all the checks of that: log id,
 * ends of topics, digest; and where a third replica has published the digest of its revision, that
 * is what it has to have.
 */
import type { ReplicaDependencies } from './dependencies.ts';
import type { Member } from './members.ts';

export class PeerCheckpoints {
  readonly #deps: ReplicaDependencies;
  readonly #candidates: Member[];
  /** Another replica has one, or had when it was last heard of. */
  readonly areExpected: boolean;

  constructor(deps: ReplicaDependencies, announced: readonly Member[]) {
    this.#deps = deps;
    this.#candidates = announced
      .filter(({ nodeId, url }) => nodeId !== deps.node?.nodeId && url !== '')
      .filter(({ checkpointRevision, phase }) => checkpointRevision > 0 && phase !== 'quarantined')
      .sort((a, b) => a.checkpointRevision - b.checkpointRevision);
    this.areExpected = this.#candidates.length > 0;
  }

  /** Stores the checkpoint of the next replica that has one; its revision, undefined: none left. */
  async fetchNext(): Promise<number | undefined> {
    const { fetchCheckpoint, checkpoints, onProblem } = this.#deps;
    if (fetchCheckpoint === undefined) return undefined;
    for (let peer = this.#candidates.pop(); peer !== undefined; peer = this.#candidates.pop()) {
      try {
        const { revision, chunks } = await fetchCheckpoint(peer.url);
        await checkpoints.save(revision, chunks);
        return revision;
      } catch (error) {
        onProblem?.(error instanceof Error ? error : new Error(String(error)));
      }
    }
    return undefined;
  }
}
