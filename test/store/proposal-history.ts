/** What writers were told, and whether the database agrees. */
import type { ProposeResult, Store } from '../../host/store/store.ts';
import { put } from '../suites/store-suite.ts';

export interface Attempt {
  readonly text: string;
  readonly result: ProposeResult;
}

/** Proposes texts of its own, each upon the head that it knows, until so many were taken. */
export async function proposeMany(
  store: Store,
  writer: string,
  wanted: number,
  onAttempt: (attempt: Attempt) => void,
): Promise<void> {
  let head = await store.head();
  for (let count = 0, taken = 0; taken < wanted; count++) {
    const text = `${writer}.${count}`;
    const result = await store.propose(head.version, head.hash, 'put', put('p', text));
    onAttempt({ text, result });
    if (result.ok) taken++;
    head = result.ok ? result : result.head;
  }
}

/** What is wrong with the history of attempts, given what the database holds. */
export async function faultsOf(store: Store, attempts: readonly Attempt[]): Promise<string[]> {
  const wrong: string[] = [];
  const { version: last } = await store.head();
  const texts = new Map<string, number>();
  let hash: string | undefined;
  for (let version = 1; version <= last; version++) {
    const proposal = await store.proposal(version);
    if (proposal === undefined) wrong.push(`version ${version} is missing`);
    else {
      if (hash !== undefined && proposal.previousHash !== hash) wrong.push(`break at ${version}`);
      const text = proposal.changes[0]?.text ?? '';
      if (texts.has(text)) wrong.push(`${text} has two versions`);
      texts.set(text, version);
    }
    hash = proposal?.hash;
  }
  for (const { text, result } of attempts) {
    const version = texts.get(text);
    if (result.ok && version !== result.version) wrong.push(`${text} is not at ${result.version}`);
    if (!result.ok && version !== undefined) wrong.push(`${text} was refused and is at ${version}`);
  }
  return wrong;
}
