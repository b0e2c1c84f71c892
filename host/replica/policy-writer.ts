/**
 * Policy changes: compiled, taken by compare-and-swap into the policy database, put on the policy
 * topic, and answered with the verdict at their cut. The topic decides; the database follows it.
 */
import { compile } from '../compiler/compile.ts';
import { CaucusError } from '../errors.ts';
import { POLICY_WRITE_TRIES } from '../limits.ts';
import { policyHash } from '../log/policy-hash.ts';
import { encodeRecord } from '../log/records.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';
import { catalogOf, nameTaken } from './cut-draft.ts';
import type { PolicyLedger } from './policy-ledger.ts';
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
  readonly ledger: PolicyLedger;
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

  /** At start: what the database and the log know of each other. */
  async heal(): Promise<void> {
    const { ledger, state } = this.#options;
    for (const record of await ledger.outbox()) {
      if (record.version <= state.policyVersion) {
        // Whether it is the one in the log is seen by its hash, there where it is known.
        await ledger.settle(record, (await this.#isLogged(record)) ? 'accepted' : 'superseded');
      } else if (follows(record, state)) {
        await this.#publish(record);
      } else {
        await ledger.settle(record, 'superseded');
      }
    }
    await this.#copyBack();
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
    const { state, ledger } = this.#options;
    for (let tries = 0; tries < POLICY_WRITE_TRIES; tries++) {
      const body = {
        version: state.policyVersion + 1,
        previousHash: state.policyHash,
        op,
        changes,
      };
      const record: PolicyRecord = { kind: 'policy', ...body, hash: policyHash(body) };
      // Too large a record must not get into the database.
      encodeRecord(record);
      if (!(await ledger.propose(record))) {
        await this.heal();
        continue;
      }
      const verdict = await this.#publish(record);
      if (verdict.kind === 'applied') return verdict.revision;
      if (verdict.kind === 'rejected') throw verdict.error;
    }
    throw new CaucusError('not_ready', 'other policy changes were always first', {
      remedy: 'try again in a moment',
    });
  }

  /** Puts a record on the topic, and the verdict into the database. */
  async #publish(record: PolicyRecord): Promise<Verdict> {
    const { submit, ledger } = this.#options;
    let verdict: Verdict;
    try {
      verdict = await submit(POLICY_TOPIC, [encodeRecord(record)]);
    } catch (error) {
      // It may be in the log all the same; then it is copied back when it is read there.
      await ledger.settle(record, 'superseded');
      throw error;
    }
    const outcome = verdict.kind === 'applied' ? 'accepted' : verdict.kind;
    await ledger.settle(record, outcome);
    return verdict;
  }

  async #isLogged(record: PolicyRecord): Promise<boolean> {
    const { state, ledger } = this.#options;
    if (record.version === state.policyVersion) return record.hash === state.policyHash;
    return await ledger.isFollowed(record);
  }

  /** The database is behind the log, or was another one: it takes over what holds here. */
  async #copyBack(): Promise<void> {
    const { state, ledger } = this.#options;
    const head = await ledger.head();
    if (head.version === state.policyVersion && head.hash === state.policyHash) return;
    await ledger.adopt({
      version: state.policyVersion,
      hash: state.policyHash,
      policies: [...state.policies.values()],
    });
  }
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

function follows(record: PolicyRecord, state: ReplicatedState): boolean {
  return record.version === state.policyVersion + 1 && record.previousHash === state.policyHash;
}

function whatIsWritten(changes: readonly PolicyChange[]): string {
  const [only] = changes;
  return changes.length === 1 && only !== undefined ? `policy \`${only.name}\`` : 'the policies';
}
