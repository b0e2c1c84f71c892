/** Three replicas over one log and one policy database. */
import assert from 'node:assert/strict';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import { joinNode, shown, startNode, yieldToLoop } from './replica-world.ts';
import type { Node, NodeOptions, World } from './replica-world.ts';

export const peer = (nodeId: string): NodeOptions => ({
  node: { nodeId, url: '', digestRevisions: 5 },
});

export async function startThree(
  world: World,
  options: (index: number) => NodeOptions = () => ({}),
): Promise<Node[]> {
  const first = await startNode(world, { ...peer('pe0'), ...options(0) });
  const others = await Promise.all(
    [1, 2].map((index) => joinNode(world, first, { ...peer(`pe${index}`), ...options(index) })),
  );
  return [first, ...others];
}

export async function stopAll(nodes: readonly Node[]): Promise<void> {
  for (const node of nodes.slice(1)) await node.stop();
  await nodes[0]?.stop();
}

/** Each replica at the newest revision of the log, digests equal. */
export async function expectEqual(nodes: readonly Node[]): Promise<void> {
  const digests = new Map<number, Set<string>>();
  for (const { replica } of nodes) {
    await replica.query({ query: '1 = 1', consistency: 'latest', waitMs: 10_000 });
  }
  // One of them may have gone on meanwhile.
  const newest = Math.max(...nodes.map(({ replica }) => replica.status().revision));
  for (const { replica } of nodes) {
    while (replica.status().revision < newest) await yieldToLoop();
    const { revision, digest } = replica.status();
    const of = digests.get(revision) ?? new Set();
    digests.set(revision, of.add(digest));
  }
  for (const [revision, of] of digests) {
    assert.equal(of.size, 1, `revision ${revision} has digests ${[...of].join(' ')}`);
  }
}

export const answer = async (replica: LocalReplica, query: string, token: string) =>
  shown((await replica.query({ query, consistency: { atLeast: token } })).rows);
