/**
 * Which of several replicas that differ at one revision is to be believed. Each judges by itself,
 * over what all have announced; the same announcements give the same judgement.
 */

export type Judgement =
  /** All that have spoken agree, this one among them. */
  | 'agreed'
  /** Too few have spoken. */
  | 'open'
  /** More than half of all agree on something else. */
  | 'minority'
  /** More than half of all agree with this one; others do not. */
  | 'majority'
  /** They differ and no side has more than half. */
  | 'split';

export interface Testimony {
  readonly nodeId: string;
  /** Digests at the revision, by node; those that have not come so far are not in it. */
  readonly digests: ReadonlyMap<string, string>;
  /** Nodes that live and have not spoken, and may yet. */
  readonly silent: number;
}

export function judge({ nodeId, digests, silent }: Testimony): Judgement {
  const own = digests.get(nodeId);
  if (own === undefined || digests.size < 2) return 'open';
  const votes = new Map<string, number>();
  for (const digest of digests.values()) votes.set(digest, (votes.get(digest) ?? 0) + 1);
  if (votes.size === 1) return 'agreed';
  const half = (digests.size + silent) / 2;
  for (const [digest, count] of votes) {
    if (count > half) return digest === own ? 'majority' : 'minority';
  }
  return silent > 0 ? 'open' : 'split';
}
