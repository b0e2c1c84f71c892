/** The other end of `GET /v1/cluster/checkpoint`. */
import { CHECKPOINT_PATH, REVISION_HEADER } from '../api/cluster.ts';
import { CaucusError } from '../errors.ts';
import { CHECKPOINT_FETCH_MS_MAX } from '../limits.ts';
import type { FetchedCheckpoint } from '../replica/dependencies.ts';

/**
 * Asks the node at `url`. Rejects with `not_ready` where it has none, `unauthorized` where it has
 * another secret, and as `fetch` does; the chunks fail when the answer breaks off.
 */
export async function fetchCheckpoint(url: string, secret: string): Promise<FetchedCheckpoint> {
  const response = await fetch(new URL(CHECKPOINT_PATH, url), {
    headers: { authorization: `Bearer ${secret}` },
    signal: AbortSignal.timeout(CHECKPOINT_FETCH_MS_MAX),
  });
  const { body, status, headers } = response;
  const revision = Number(headers.get(REVISION_HEADER));
  if (status !== 200 || body === null || !Number.isSafeInteger(revision) || revision <= 0) {
    await body?.cancel();
    const code = status === 401 ? 'unauthorized' : 'not_ready';
    throw new CaucusError(code, `\`${url}\` gave no checkpoint (status ${status})`, {
      remedy:
        status === 401
          ? 'give all nodes the same `cluster.secret`'
          : 'nothing: another node or the log is used',
    });
  }
  return { revision, chunks: body };
}
