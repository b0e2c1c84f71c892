/**
 * Policy changes: compiled, taken by compare-and-swap into the policy database, put on the policy
 * topic, and answered with the verdict at their cut. The topic decides; the database follows it.
 */
import { compile } from '../compiler/compile.ts';
import { CaucusError } from '../errors.ts';
import { POLICY_WRITE_TRIES } from '../limits.ts';
import { NO_HASH, policyHash } from '../log/policy-hash.ts';
import { encodeRecord } from '../log/records.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';
import type { Store } from '../store/store.ts';
import { catalogOf, nameTaken } from './cut-draft.ts';
import { invalidPolicy } from './program.ts';
import type { PolicyState, ReplicatedState } from './replicated-state.ts';
import type { PolicyWrite } from './replica.ts';
import type { Verdict } from './sequencer.ts';
import { SerialQueue } from './serial-queue.ts';
import { POLICY_TOPIC, checkName } from './topics.ts';

/** The first incarnation of a source's topic. */
const FIRST_INCARNATION = 1;

export interface PolicyWriterOptions {
  readonly state: ReplicatedState;
  readonly store: Store;
  /** Those below the applied end that the log still has. */
  readonly readPolicyRecords: () => Promise<readonly PolicyRecord[]>;
  readonly submit: (topic: string, records: readonly Uint8Array[]) => Promise<Verdict>;
}

export class PolicyWriter {
  readonly #options: PolicyWriterOptions;
  /** One change at a time: each continues the chain of the one before. */
  readonly #queue = new SerialQueue();
  readonly #adding = new Map<string, Promise<void>>();

  constructor(options: PolicyWriterOptions) {
    this.#options = options;
  }

  /** The revision of the change, or undefined where all texts are as they were. */
  write(writes: readonly PolicyWrite[]): Promise<number | undefined> {
    return this.#queue.run(async () => {
      const changes = this.#changed(writes);
      if (changes.length === 0) return undefined;
      this.#expectCompiles(changes);
      const op: PolicyOp = changes.every((change) => change.text === null) ? 'delete' : 'put';
      return await this.#append(op, changes);
    });
  }

  /** Makes a source known; resolves when it is. */
  addSource(name: string): Promise<void> {
    let adding = this.#adding.get(name);
    if (adding === undefined) {
      adding = this.#queue
        .run(async () => {
          if (this.#options.state.sources.has(name)) return;
          await this.#append('source', [{ name, text: String(FIRST_INCARNATION) }]);
        })
        .finally(() => this.#adding.delete(name));
      this.#adding.set(name, adding);
    }
    return adding;
  }

  /**
   * What the database and the log know of each other, at start and when a proposal was refused:
   * what the log has is copied back, what only the outbox has is published.
   */
  async heal(): Promise<void> {
    const { store, state } = this.#options;
    const before = await store.head();
    if (before.version !== state.policyVersion || before.hash !== state.policyHash) {
      await this.#copyBack();
    }
    for (const proposal of await store.pending()) {
      if (follows(proposal, state)) await this.#publish(proposal);
    }
    const { version, hash } = await store.head();
    if (version === state.policyVersion && hash === state.policyHash) return;
    throw new CaucusError(
      'log_damaged',
      `the policy database is at version ${version}, the log at ${state.policyVersion}`,
      { remedy: 'restore both from one copy, or move both away', details: { version } },
    );
  }

  /** The texts with their errors, as they would be after `writes`. */
  diagnose(writes: readonly PolicyWrite[]): ReturnType<typeof compile> {
    return compile(this.catalogAfter(writes));
  }

  catalogAfter(writes: readonly PolicyWrite[]): ReturnType<typeof catalogOf> {
    const { state } = this.#options;
    const written = new Set(writes.map((write) => write.name));
    const roots = [...state.failures.values()].filter((root) => !written.has(root.policy));
    return catalogOf(policiesAfter(state, writes), state.sources, roots);
  }

  /** Checks names, and leaves out what changes nothing. */
  #changed(writes: readonly PolicyWrite[]): PolicyChange[] {
    const { state } = this.#options;
    const seen = new Set<string>();
    return writes.filter(({ name, text }) => {
      checkName('policy', name);
      if (seen.has(name)) {
        throw new CaucusError('invalid_request', `policy \`${name}\` is written twice`, {
          remedy: 'send one text for each policy',
        });
      }
      seen.add(name);
      if (state.sources.has(name)) throw nameTaken('policy', name, 'source');
      const before = state.policies.get(name)?.text ?? null;
      if (text === null && before === null) throw unknownPolicy(name);
      return text !== before;
    });
  }

  #expectCompiles(changes: readonly PolicyChange[]): void {
    const { program, diagnostics } = this.diagnose(changes);
    if (program === undefined) throw invalidPolicy(whatIsWritten(changes), diagnostics);
  }

  async #append(op: PolicyOp, changes: readonly PolicyChange[]): Promise<number> {
    const { state, store } = this.#options;
    for (let tries = 0; tries < POLICY_WRITE_TRIES; tries++) {
      const { policyVersion: version, policyHash: hash } = state;
      // Too large a record must not get into the database.
      encodeRecord(
        recordOf({ version: version + 1, previousHash: hash, hash: NO_HASH, op, changes }),
      );
      const proposed = await store.propose(version, hash, op, changes);
      if (!proposed.ok) {
        await this.heal();
        continue;
      }
      const verdict = await this.#publish({ ...proposed, previousHash: hash, op, changes });
      if (verdict.kind === 'applied') return verdict.revision;
      if (verdict.kind === 'rejected') throw verdict.error;
    }
    throw new CaucusError('not_ready', 'other policy changes were always first', {
      remedy: 'try again in a moment',
    });
  }

  /**
   * Puts a proposal on the topic, and the verdict into the database. Where the append fails it
   * stays in the outbox: it may be in the log all the same, and the next change tries it first.
   */
  async #publish(proposal: Chained): Promise<Verdict> {
    const { submit, store } = this.#options;
    const verdict = await submit(POLICY_TOPIC, [encodeRecord(recordOf(proposal))]);
    if (verdict.kind === 'superseded') {
      await this.#copyBack();
    } else if (verdict.kind === 'rejected') {
      const { code, message } = verdict.error;
      await store.setVerdict(proposal.version, 'rejected', JSON.stringify({ code, message }));
    } else {
      await store.setVerdict(proposal.version, 'accepted', null);
    }
    return verdict;
  }

  /** The database takes over what holds in the log, as far back as the log goes. */
  async #copyBack(): Promise<void> {
    const { store, state, readPolicyRecords } = this.#options;
    const byHash = new Map<string, PolicyRecord>();
    const { lastPolicyRecord } = state;
    if (lastPolicyRecord !== undefined) byHash.set(lastPolicyRecord.hash, lastPolicyRecord);
    for (const record of await readPolicyRecords()) {
      if (record.hash === policyHash(record)) byHash.set(record.hash, record);
    }
    // Backwards from the last one in the chain: records that did not follow drop out.
    const chain: PolicyRecord[] = [];
    let record = byHash.get(state.policyHash);
    for (; record !== undefined; record = byHash.get(record.previousHash)) chain.unshift(record);
    for (const logged of chain) {
      const known = await store.proposal(logged.version);
      const isJudged = known?.state === 'accepted' || known?.state === 'rejected';
      if (known?.hash === logged.hash && isJudged) continue;
      await store.copyBack(logged);
      const isRejected = state.rejectedPolicyVersions.includes(logged.version);
      await store.setVerdict(logged.version, isRejected ? 'rejected' : 'accepted', null);
    }
  }
}

interface Chained {
  readonly version: number;
  readonly hash: string;
  readonly previousHash: string;
  readonly op: PolicyOp;
  readonly changes: readonly PolicyChange[];
}

function recordOf({ version, hash, previousHash, op, changes }: Chained): PolicyRecord {
  return { kind: 'policy', version, hash, previousHash, op, changes };
}

export function unknownPolicy(name: string): CaucusError {
  return new CaucusError('unknown_policy', `there is no policy \`${name}\``, {
    remedy: 'check the name',
    details: { name },
  });
}

function policiesAfter(
  state: ReplicatedState,
  writes: readonly PolicyWrite[],
): Map<string, PolicyState> {
  const policies = new Map(state.policies);
  for (const { name, text } of writes) {
    if (text === null) policies.delete(name);
    else policies.set(name, { name, text });
  }
  return policies;
}

function follows(record: Chained, state: ReplicatedState): boolean {
  return record.version === state.policyVersion + 1 && record.previousHash === state.policyHash;
}

function whatIsWritten(changes: readonly PolicyChange[]): string {
  const [only] = changes;
  return changes.length === 1 && only !== undefined ? `policy \`${only.name}\`` : 'the policies';
}
