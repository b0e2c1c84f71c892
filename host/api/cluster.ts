/** What one node gives to another, and to nobody else: the cluster secret opens it. */
import { timingSafeEqual } from 'node:crypto';
import { CaucusError } from '../errors.ts';
import type { FetchedCheckpoint } from '../replica/dependencies.ts';
import type { ApiContext, ApiRequest, Route } from './route-table.ts';

export const CHECKPOINT_PATH = '/v1/cluster/checkpoint';
/** Header of the answer: the revision of the checkpoint. */
export const REVISION_HEADER = 'caucus-revision';

/** Of a node that is not alone. */
export interface ClusterAccess {
  /** Shared by all nodes. */
  readonly secret: string;
  /** The newest that is whole; undefined: there is none yet. */
  readonly newestCheckpoint: () => Promise<FetchedCheckpoint | undefined>;
}

/** The bytes of the newest checkpoint, as its store gives them. */
export const checkpointRoute: Route = {
  method: 'GET',
  path: CHECKPOINT_PATH,
  query: [],
  async handle(context, request) {
    const { newestCheckpoint } = accessOf(context, request);
    const checkpoint = await newestCheckpoint();
    if (checkpoint === undefined) {
      throw new CaucusError('not_ready', 'this node has no checkpoint yet', {
        remedy: 'ask another node, or read the log from its beginning',
      });
    }
    const headers = {
      'content-type': 'application/octet-stream',
      [REVISION_HEADER]: String(checkpoint.revision),
    };
    return { status: 200, headers, body: checkpoint.chunks };
  },
};

function accessOf({ cluster }: ApiContext, { message }: ApiRequest): ClusterAccess {
  if (cluster === undefined) {
    throw new CaucusError('unknown_route', 'this server is not a node of a cluster', {
      remedy: 'ask a node that was started with `--policy-engine`',
    });
  }
  const given = /^Bearer (.+)$/.exec(message.headers.authorization ?? '')?.[1] ?? '';
  if (!isSame(given, cluster.secret)) {
    throw new CaucusError('unauthorized', 'the cluster secret is missing or wrong', {
      remedy: 'give all nodes the same `cluster.secret`',
    });
  }
  return cluster;
}

/** In a time that does not depend on where they differ. */
function isSame(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}
