/**
 * The policy topic, folded alone: which sources are registered, for writers that have no replica.
 * It follows the chain of versions and hashes as the fold does, but compiles nothing, so it cannot
 * know which policy changes were rejected: a name that ever was a policy's counts as taken.
 *
 * Registering a source is a policy change like any other: proposed in the policy database, put on
 * the topic, named by a cut, racing with other writers. A proposal of a writer that seems gone is
 * put on the topic here as well; a record that is there twice counts once.
 */
import { CaucusError } from '../errors.ts';
import { POLICY_SETTLE_MS, POLICY_WRITE_TRIES } from '../limits.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { NO_HASH, continuesChain } from '../log/policy-hash.ts';
import type { ChainEnd } from '../log/policy-hash.ts';
import { decodeRecord, encodeRecord, recordChecksum } from '../log/records.ts';
import type { PolicyRecord } from '../log/records.ts';
import { nameTaken } from '../replica/conflicts.ts';
import {
  FIRST_INCARNATION,
  kindTaken,
  parseRegistration,
  registrationText,
} from '../replica/registration.ts';
import type { Registration } from '../replica/registration.ts';
import type { TopicEnd } from '../replica/sequencer.ts';
import { POLICY_TOPIC, checkName } from '../replica/topics.ts';
import type { Store } from '../store/store.ts';
import { endOf } from './acknowledged.ts';
import type { CutProposer } from './cut-proposer.ts';
import { TopicTail } from './topic-tail.ts';
import type { Wait } from './topic-tail.ts';

const SETTLE_LOOKS = 10;

export interface PolicyFollowerOptions {
  readonly log: Log;
  readonly store: Store;
  readonly cuts: CutProposer;
  readonly wait: Wait;
}

export class PolicyFollower {
  readonly #options: PolicyFollowerOptions;
  readonly #tail: TopicTail;
  readonly #sources = new Map<string, Registration>();
  readonly #policies = new Set<string>();
  #chain: ChainEnd = { version: 0, hash: NO_HASH };
  #end: TopicEnd = { end: 0, checksum: 0 };
  readonly #wakes = new Set<() => void>();

  constructor(options: PolicyFollowerOptions) {
    this.#options = options;
    const { log, wait } = options;
    const onRecord = (record: LogRecord): void => this.#recordOnSeen(record);
    this.#tail = new TopicTail({ log, topic: POLICY_TOPIC, wait, onRecord });
  }

  /** As far as the topic was read. */
  get sources(): ReadonlyMap<string, Registration> {
    return this.#sources;
  }

  /** Of the newest change that was read. */
  get version(): number {
    return this.#chain.version;
  }

  /** Resolves when a change above `version` was read, or the signal aborts. */
  async changed(version: number, signal: AbortSignal): Promise<void> {
    while (this.version <= version && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          this.#wakes.delete(wake);
          resolve();
        };
        this.#wakes.add(wake);
        signal.addEventListener('abort', wake);
      });
    }
  }

  /** Resolves when what the topic has now was read. */
  async catchUp(): Promise<void> {
    const { log } = this.#options;
    await log.ensureTopic(POLICY_TOPIC);
    await this.#tail.reached((await log.bounds(POLICY_TOPIC)).end);
  }

  /**
   * Makes sure that these are sources with one fenced writer, and that the next cut tells all
   * replicas so. Throws `conflict` for a name that is taken.
   */
  async register(names: readonly string[], signal: AbortSignal): Promise<void> {
    const { store, cuts } = this.#options;
    for (const name of names) checkName('source', name);
    let awaited = 0;
    for (let tries = 0; tries < POLICY_WRITE_TRIES && !signal.aborted; tries++) {
      await this.catchUp();
      const missing = names.filter((name) => !this.#isRegistered(name));
      if (missing.length === 0) {
        // Whoever put it there may not have cut it.
        cuts.raise(POLICY_TOPIC, this.#end);
        return;
      }
      const head = await store.head();
      if (head.version === this.#chain.version && head.hash === this.#chain.hash) {
        await this.#propose(missing);
      } else if (head.version > this.#chain.version && head.version === awaited) {
        await this.#help();
      } else {
        // Its writer will put it on the topic, or the replicas bring the database up to it.
        awaited = head.version;
        await this.#settle(head.version, signal);
      }
    }
    throw new CaucusError('not_ready', 'the sources could not be registered', {
      remedy: 'it is tried again; look at the policy database if it stays so',
      details: { names },
    });
  }

  async close(): Promise<void> {
    await this.#tail.close();
  }

  /** Until the version came through the topic, and no longer than `POLICY_SETTLE_MS`. */
  async #settle(version: number, signal: AbortSignal): Promise<void> {
    for (let look = 0; look < SETTLE_LOOKS; look++) {
      await this.#options.wait(POLICY_SETTLE_MS / SETTLE_LOOKS, signal);
      if (this.#chain.version >= version) return;
    }
  }

  async #propose(names: readonly string[]): Promise<void> {
    const { version, hash: previousHash } = this.#chain;
    const text = registrationText({ incarnation: FIRST_INCARNATION, kind: 'fenced' });
    const changes = names.map((name) => ({ name, text }));
    const proposed = await this.#options.store.propose(version, previousHash, 'source', changes);
    if (!proposed.ok) return;
    const { version: next, hash } = proposed;
    await this.#publish({
      kind: 'policy',
      version: next,
      hash,
      previousHash,
      op: 'source',
      changes,
    });
  }

  /** Puts what follows the chain in the database on the topic. */
  async #help(): Promise<void> {
    const proposal = await this.#options.store.proposal(this.#chain.version + 1);
    if (proposal === undefined) return;
    const { version, hash, previousHash, op, changes } = proposal;
    const record: PolicyRecord = { kind: 'policy', version, hash, previousHash, op, changes };
    if (continuesChain(this.#chain, record)) await this.#publish(record);
  }

  /** Its verdict gets into the database by the replicas. */
  async #publish(record: PolicyRecord): Promise<void> {
    const { log, cuts } = this.#options;
    const records = [encodeRecord(record)];
    cuts.raise(POLICY_TOPIC, endOf(await log.append(POLICY_TOPIC, records), records));
    await cuts.cut();
  }

  #isRegistered(name: string): boolean {
    const known = this.#sources.get(name);
    if (known?.kind === 'push') throw kindTaken(name, known.kind);
    if (known === undefined && this.#policies.has(name)) throw nameTaken('source', name, 'policy');
    return known !== undefined;
  }

  #recordOnSeen({ bytes, offset }: LogRecord): void {
    this.#end = { end: offset + 1, checksum: recordChecksum(bytes) };
    const record = decodeRecord(bytes);
    if (record.kind !== 'policy' || !continuesChain(this.#chain, record)) return;
    this.#chain = { version: record.version, hash: record.hash };
    for (const wake of this.#wakes) wake();
    if (record.op === 'source') this.#addSources(record);
    else if (record.op !== 'semantics') {
      for (const { name } of record.changes) this.#addPolicy(name);
    }
  }

  /** All of a record or nothing, as the fold has it. */
  #addSources({ changes }: PolicyRecord): void {
    const added = changes.map(({ name, text }) => [name, parseRegistration(name, text)] as const);
    const fits = added.every(([name, { kind }]) => {
      return !this.#policies.has(name) && (this.#sources.get(name)?.kind ?? kind) === kind;
    });
    if (!fits) return;
    for (const [name, one] of added) {
      if (!this.#sources.has(name)) this.#sources.set(name, one);
    }
  }

  #addPolicy(name: string): void {
    if (!this.#sources.has(name)) this.#policies.add(name);
  }
}
