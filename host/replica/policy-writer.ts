/**
 * Policy changes: compiled, taken by compare-and-swap into the policy database, put on the policy
 * topic, and answered with the verdict at their cut. The topic decides; the database follows it.
 *
 * Other replicas write at the same time. The database gives each version to one of them; who comes
 * second waits until that version has come through the log, and helps it there if its writer seems
 * gone. A record that is on the topic twice counts once.
 */
import { CompileMemory } from '../compiler/compile-memory.ts';
import { compile } from '../compiler/compile.ts';
import { CaucusError } from '../errors.ts';
import { POLICY_PENDING_MS, POLICY_SETTLE_MS, POLICY_WRITE_TRIES } from '../limits.ts';
import { NO_HASH, policyHash } from '../log/policy-hash.ts';
import { encodeRecord } from '../log/records.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';
import type { PolicyHead, Proposal, Store } from '../store/store.ts';
import { catalogOf } from './catalog-of.ts';
import { logAway, nameTaken } from './conflicts.ts';
import { invalidPolicy } from './program.ts';
import { FIRST_INCARNATION, registrationText } from './registration.ts';
import type { PolicyState, ReplicatedState } from './replicated-state.ts';
import type { PolicyWrite } from './replica.ts';
import type { Timer } from './revision-waiters.ts';
import type { Verdict } from './sequencer.ts';
import { SerialQueue } from './serial-queue.ts';
import { POLICY_TOPIC, checkName } from './topics.ts';

/** How a source that clients push to is registered. */
const PUSHED = registrationText({ incarnation: FIRST_INCARNATION, kind: 'push' });

export interface PolicyWriterOptions {
  readonly state: ReplicatedState;
  readonly store: Store;
  /** Those below the applied end that the log still has. */
  readonly readPolicyRecords: () => Promise<readonly PolicyRecord[]>;
  /** `onCut`: the log has it; what is left is the evaluation. */
  readonly submit: (
    topic: string,
    records: readonly Uint8Array[],
    onCut?: () => void,
  ) => Promise<Verdict>;
  /** Resolves when the version has its verdict, rejects with `replica_behind` after `waitMs`. */
  readonly versionReached: (version: number, waitMs: number) => Promise<void>;
  readonly setTimer: Timer;
  /** No other replica writes to the log: what is not in it now will not come. */
  readonly isAlone: boolean;
}

/** Where a write stands: applied at a revision, or in the database with this version. */
export type PolicyOutcome = { readonly revision: number } | { readonly pendingVersion: number };

/** What a change builds on: the state, or proposals after it that are not in the log yet. */
interface Base extends PolicyHead {
  readonly pending: readonly PolicyChange[];
}

export class PolicyWriter {
  readonly #memory = new CompileMemory();
  readonly #options: PolicyWriterOptions;
  /** One change at a time: each continues the chain of the one before. */
  readonly #queue = new SerialQueue();
  readonly #adding = new Map<string, Promise<void>>();

  constructor(options: PolicyWriterOptions) {
    this.#options = options;
  }

  /** What became of the change, or undefined where all texts are as they were. */
  write(writes: readonly PolicyWrite[]): Promise<PolicyOutcome | undefined> {
    return this.#queue.run(async () => {
      return await this.#append((base) => {
        const changes = this.#changed(writes, base.pending);
        if (changes.length === 0) return undefined;
        this.#expectCompiles(changes, base.pending);
        const isDelete = changes.every((change) => change.text === null);
        return { op: isDelete ? 'delete' : 'put', changes };
      });
    });
  }

  /** Makes a source known; resolves when it is. */
  addSource(name: string): Promise<void> {
    let adding = this.#adding.get(name);
    if (adding === undefined) {
      adding = this.#queue
        .run(async () => {
          const outcome = await this.#append(() => {
            if (this.#options.state.sources.has(name)) return undefined;
            return { op: 'source', changes: [{ name, text: PUSHED }] };
          });
          if (outcome !== undefined && 'pendingVersion' in outcome) throw logAway();
        })
        .finally(() => this.#adding.delete(name));
      this.#adding.set(name, adding);
    }
    return adding;
  }

  /** Raises the level of meaning for all replicas; resolves when it counts. */
  raiseSemantics(level: number): Promise<PolicyOutcome | undefined> {
    return this.#queue.run(() =>
      this.#append(() => ({ op: 'semantics', changes: [{ name: 'level', text: String(level) }] })),
    );
  }

  /**
   * What the database and the log know of each other, at start, when a proposal was refused, and
   * from time to time: what the log has is copied back, what only the outbox has is published.
   */
  async heal(): Promise<void> {
    const { store, state, isAlone } = this.#options;
    const before = await store.head();
    if (this.#isState(before) && (await store.pending()).length === 0) return;
    // Proposals of writers that live come through the log by themselves.
    if (before.version > state.policyVersion) await this.#reached(before.version);
    if (await this.#isStoreBehind()) await this.#copyBack();
    for (const proposal of await store.pending()) {
      if (follows(proposal, state)) await this.#publishAgain(proposal);
    }
    const head = await store.head();
    if (!this.#isState(head) && isAlone) throw databaseAhead(head.version, state.policyVersion);
  }

  /** `heal` between the writes of this replica. */
  repair(): Promise<void> {
    return this.#queue.run(() => this.heal());
  }

  /** The texts with their errors, as they would be after `writes`. */
  diagnose(writes: readonly PolicyWrite[]): ReturnType<typeof compile> {
    return compile(this.catalogAfter(writes), { memory: this.#memory });
  }

  catalogAfter(writes: readonly PolicyWrite[]): ReturnType<typeof catalogOf> {
    const { state } = this.#options;
    const written = new Set(writes.map((write) => write.name));
    const roots = [...state.failures.values()].filter((root) => !written.has(root.policy));
    return catalogOf(policiesAfter(state, writes), state.sources, roots);
  }

  /** Checks names, and leaves out what changes nothing. */
  #changed(writes: readonly PolicyWrite[], pending: readonly PolicyChange[]): PolicyChange[] {
    const { state } = this.#options;
    const policies = policiesAfter(state, pending);
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
      const before = policies.get(name)?.text ?? null;
      if (text === null && before === null) throw unknownPolicy(name);
      return text !== before;
    });
  }

  #expectCompiles(changes: readonly PolicyChange[], pending: readonly PolicyChange[]): void {
    const { program, diagnostics } = this.diagnose([...pending, ...changes]);
    if (program === undefined) throw invalidPolicy(whatIsWritten(changes), diagnostics);
  }

  /** `make` is asked anew for each base: another writer may have changed what it looks at. */
  async #append(
    make: (
      base: Base,
    ) => { readonly op: PolicyOp; readonly changes: readonly PolicyChange[] } | undefined,
  ): Promise<PolicyOutcome | undefined> {
    const { store } = this.#options;
    for (let tries = 0; tries < POLICY_WRITE_TRIES; tries++) {
      const base = await this.#base();
      const change = make(base);
      if (change === undefined) return undefined;
      const { version: previous, hash: previousHash } = base;
      // Too large a record must not get into the database.
      encodeRecord(recordOf({ version: previous + 1, previousHash, hash: NO_HASH, ...change }));
      const proposed = await store.propose(previous, previousHash, change.op, change.changes);
      if (!proposed.ok) continue;
      const verdict = await this.#publishInTime({ ...proposed, previousHash, ...change });
      if (verdict === undefined) return { pendingVersion: proposed.version };
      if (verdict.kind === 'applied') return { revision: verdict.revision };
      if (verdict.kind === 'rejected') throw verdict.error;
    }
    throw new CaucusError('not_ready', 'other policy changes were always first', {
      remedy: 'try again in a moment',
    });
  }

  /** The newest proposal, once it is known here; without the log, the chain of the database. */
  async #base(): Promise<Base> {
    const { store, state } = this.#options;
    let head = await store.head();
    if (head.version > state.policyVersion) await this.#reached(head.version);
    if (!this.#isState(head)) {
      await this.heal().catch((error: unknown) => {
        if (!isLogAway(error)) throw error;
      });
      head = await store.head();
    }
    const pending: PolicyChange[] = [];
    for (let version = state.policyVersion + 1; version <= head.version; version++) {
      const proposal = await store.proposal(version);
      // What was in the log once and is not any more: nothing can follow it.
      if (proposal?.state === 'accepted' || proposal?.state === 'rejected') {
        throw databaseAhead(head.version, state.policyVersion);
      }
      if (proposal?.op === 'put' || proposal?.op === 'delete') pending.push(...proposal.changes);
    }
    if (head.version >= state.policyVersion) return { ...head, pending };
    return { version: state.policyVersion, hash: state.policyHash, pending: [] };
  }

  /** Throws `log_unavailable` where others would wait for a log that does not answer. */
  async #publishAgain(proposal: Chained): Promise<void> {
    if (this.#options.isAlone) await this.#publish(proposal);
    else if ((await this.#publishInTime(proposal)) === undefined) throw logAway();
  }

  /** Undefined: the log does not take it for now. An evaluation may take as long as it takes. */
  async #publishInTime(proposal: Chained): Promise<Verdict | undefined> {
    const { setTimer } = this.#options;
    return await new Promise((resolve, reject) => {
      const cancel = setTimer(() => resolve(undefined), POLICY_PENDING_MS);
      this.#publish(proposal, cancel).then(
        (verdict) => {
          cancel();
          resolve(verdict);
        },
        (error: unknown) => {
          cancel();
          if (isLogAway(error)) resolve(undefined);
          else reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  /**
   * Puts a proposal on the topic, and the verdict into the database. Where the append fails it
   * stays in the outbox: it may be in the log all the same, and the next change tries it first.
   */
  async #publish(proposal: Chained, onCut?: () => void): Promise<Verdict> {
    const { submit, store } = this.#options;
    const verdict = await submit(POLICY_TOPIC, [encodeRecord(recordOf(proposal))], onCut);
    if (verdict.kind === 'superseded') {
      await this.#copyBack();
      return this.#verdictOf(await store.proposal(proposal.version), proposal) ?? verdict;
    }
    if (verdict.kind === 'rejected') {
      await store.setVerdict(proposal.version, 'rejected', verdictDetail(verdict.error));
    } else {
      await store.setVerdict(proposal.version, 'accepted', null);
    }
    return verdict;
  }

  /** Of a proposal that another replica has put on the topic as well, and first. */
  #verdictOf(known: Proposal | undefined, proposal: Chained): Verdict | undefined {
    if (known?.hash !== proposal.hash) return undefined;
    if (known.state === 'accepted') {
      return { kind: 'applied', revision: this.#options.state.revision };
    }
    if (known.state !== 'rejected') return undefined;
    return { kind: 'rejected', error: errorOfDetail(known.verdict) };
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

  /** The log has what the database has not, has otherwise, or has not judged. */
  async #isStoreBehind(): Promise<boolean> {
    const { store, state } = this.#options;
    const { policyVersion: version, policyHash: hash } = state;
    if (version === 0) return false;
    if ((await store.proposal(version))?.hash !== hash) return true;
    return (await store.pending()).some((proposal) => proposal.version <= version);
  }

  #isState(head: PolicyHead): boolean {
    const { policyVersion, policyHash: hash } = this.#options.state;
    return head.version === policyVersion && head.hash === hash;
  }

  /** True when the version came through the log in a short while. */
  async #reached(version: number): Promise<boolean> {
    const { state, versionReached, isAlone } = this.#options;
    if (state.policyVersion >= version) return true;
    if (isAlone) return false;
    try {
      await versionReached(version, POLICY_SETTLE_MS);
      return true;
    } catch (error) {
      if (error instanceof CaucusError && error.code === 'replica_behind') return false;
      throw error;
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

/** Of a policy that compiled when it was written and does not any more. */
export function policyInvalid(name: string): CaucusError {
  return new CaucusError('policy_failed', `policy \`${name}\` does not compile any more`, {
    remedy: 'write it again: the answer says what is wrong with it',
    details: { policy: name },
  });
}

export function unknownPolicy(name: string): CaucusError {
  return new CaucusError('unknown_policy', `there is no policy \`${name}\``, {
    remedy: 'check the name',
    details: { name },
  });
}

function databaseAhead(version: number, policyVersion: number): CaucusError {
  return new CaucusError(
    'log_damaged',
    `the policy database is at version ${version}, the log at ${policyVersion}`,
    { remedy: 'restore both from one copy, or move both away', details: { version } },
  );
}

function isLogAway(error: unknown): boolean {
  return error instanceof CaucusError && error.code === 'log_unavailable';
}

function verdictDetail({ code, message, remedy }: CaucusError): string {
  return JSON.stringify({ code, message, remedy });
}

function errorOfDetail(detail: string | null): CaucusError {
  const { message, remedy } = JSON.parse(detail ?? '{}') as { message?: string; remedy?: string };
  return new CaucusError(
    'invalid_policy',
    message ?? 'the change does not fit the policies that were there',
    remedy === undefined ? {} : { remedy },
  );
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
