/**
 * The policy database in memory, written anew from its contract, and what each process sees of it:
 * late, at times not at all, at times without the answer of what was done.
 */
import { CaucusError } from '../../host/errors.ts';
import { NO_HASH, policyHash } from '../../host/log/policy-hash.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../../host/log/records.ts';
import type { Lease, Leases } from '../../host/store/leases.ts';
import type {
  PolicyHead,
  Proposal,
  ProposalState,
  ProposeResult,
  Store,
  StoredPolicy,
  Verdict,
} from '../../host/store/store.ts';
import type { Random } from '../support/random.ts';
import type { Lane, Scheduler } from './scheduler.ts';

interface Entry {
  readonly version: number;
  readonly hash: string;
  readonly previousHash: string;
  readonly op: PolicyOp;
  readonly changes: readonly PolicyChange[];
  state: ProposalState;
  verdict: string | null;
}

interface HeldLease {
  owner: string;
  holder: string;
  generation: number;
  endsAtMs: number;
}

/** Each method is one transaction. */
export class StoreState {
  readonly #entries: Entry[] = [];
  readonly #texts = new Map<string, { text: string | null; version: number }>();
  readonly #leases = new Map<string, HeldLease>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  head(): PolicyHead {
    const newest = this.#live().at(-1);
    return newest === undefined
      ? { version: 0, hash: NO_HASH }
      : { version: newest.version, hash: newest.hash };
  }

  propose(
    previousVersion: number,
    previousHash: string,
    op: PolicyOp,
    changes: readonly PolicyChange[],
  ): ProposeResult {
    const head = this.head();
    if (head.version !== previousVersion || head.hash !== previousHash) return { ok: false, head };
    const version = previousVersion + 1;
    const hash = policyHash({ version, previousHash, op, changes });
    this.#put({ kind: 'policy', version, previousHash, hash, op, changes }, 'pending');
    return { ok: true, version, hash };
  }

  pending(): Proposal[] {
    return this.#live()
      .filter((entry) => entry.state === 'pending')
      .map((entry) => ({ ...entry }));
  }

  markPublished(version: number): void {
    const entry = this.#existing(version);
    if (entry.state === 'pending') entry.state = 'published';
  }

  setVerdict(version: number, verdict: Verdict, detail: string | null): void {
    const entry = this.#existing(version);
    if (entry.state === 'accepted' || entry.state === 'rejected') {
      if (entry.state === verdict) return;
      throw new Error(`proposal ${version} is ${entry.state} and cannot become ${verdict}`);
    }
    entry.state = verdict;
    entry.verdict = detail;
    if (verdict !== 'accepted' || entry.op === 'source') return;
    for (const { name, text } of entry.changes) {
      if ((this.#texts.get(name)?.version ?? 0) < version) this.#texts.set(name, { text, version });
    }
  }

  copyBack(record: PolicyRecord): void {
    const present = this.#live().find((entry) => entry.version === record.version);
    if (present?.hash === record.hash) {
      if (present.state === 'pending') present.state = 'published';
    } else {
      if (present !== undefined) supersede(present);
      this.#put(record, 'published');
    }
    let { hash } = record;
    for (const entry of this.#live().filter(({ version }) => version > record.version)) {
      if (entry.previousHash === hash) hash = entry.hash;
      else supersede(entry);
    }
  }

  proposal(version: number): Proposal | undefined {
    const entry = this.#live().find((other) => other.version === version);
    return entry === undefined ? undefined : { ...entry };
  }

  superseded(): Proposal[] {
    return this.#entries
      .filter((entry) => entry.state === 'superseded')
      .sort((a, b) => a.version - b.version || (a.hash < b.hash ? -1 : 1))
      .map((entry) => ({ ...entry }));
  }

  policies(): StoredPolicy[] {
    return [...this.#texts]
      .flatMap(([name, { text, version }]) => (text === null ? [] : [{ name, text, version }]))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  takeLease(name: string, owner: string, holder: string, ttlMs: number): Lease {
    const nowMs = this.#now();
    const held = this.#leases.get(name);
    if (held === undefined || held.owner === owner || held.endsAtMs <= nowMs) {
      const isOwn = held?.owner === owner;
      const generation = isOwn ? held.generation : (held?.generation ?? 0) + 1;
      this.#leases.set(name, { owner, holder, generation, endsAtMs: nowMs + ttlMs });
    }
    return this.#lease(name);
  }

  releaseLease(name: string, owner: string, generation: number): void {
    const held = this.#leases.get(name);
    if (held?.owner === owner && held.generation === generation) held.endsAtMs = this.#now();
  }

  leases(): Lease[] {
    return [...this.#leases.keys()].sort().map((name) => this.#lease(name));
  }

  #lease(name: string): Lease {
    const { owner, holder, generation, endsAtMs } = this.#leases.get(name) as HeldLease;
    return { name, owner, holder, generation, remainingMs: endsAtMs - this.#now() };
  }

  #live(): Entry[] {
    return this.#entries
      .filter((entry) => entry.state !== 'superseded')
      .sort((a, b) => a.version - b.version);
  }

  #existing(version: number): Entry {
    const entry = this.#live().find((other) => other.version === version);
    if (entry === undefined) throw new Error(`there is no proposal ${version}`);
    return entry;
  }

  /** What was superseded may count after all. */
  #put({ kind: _kind, ...record }: PolicyRecord, state: 'pending' | 'published'): void {
    const { version, hash } = record;
    const known = this.#entries.find((entry) => entry.version === version && entry.hash === hash);
    if (known === undefined) {
      this.#entries.push({ ...record, state, verdict: null });
      return;
    }
    known.state = state;
    known.verdict = null;
  }
}

function supersede(entry: Entry): void {
  if (entry.state === 'accepted') {
    throw new CaucusError('log_damaged', `the log and the store differ at ${entry.version}`);
  }
  entry.state = 'superseded';
}

export interface StoreLink {
  isCut: boolean;
  lossChance: number;
}

export interface FakeStoreOptions {
  readonly state: StoreState;
  readonly scheduler: Scheduler;
  readonly network: Lane;
  readonly lane: Lane;
  readonly link: StoreLink;
  readonly random: Random;
}

/** A request that is not answered for so long has failed. */
const STORE_REQUEST_MS = 300;

export class FakeStore implements Store, Leases {
  readonly #options: FakeStoreOptions;

  constructor(options: FakeStoreOptions) {
    this.#options = options;
  }

  head = (): Promise<PolicyHead> => this.#ask((state) => state.head());
  propose = (
    previousVersion: number,
    previousHash: string,
    op: PolicyOp,
    changes: readonly PolicyChange[],
  ): Promise<ProposeResult> =>
    this.#ask((state) => state.propose(previousVersion, previousHash, op, changes));
  pending = (): Promise<readonly Proposal[]> => this.#ask((state) => state.pending());
  markPublished = (version: number): Promise<void> =>
    this.#ask((state) => state.markPublished(version));
  setVerdict = (version: number, verdict: Verdict, detail: string | null): Promise<void> =>
    this.#ask((state) => state.setVerdict(version, verdict, detail));
  copyBack = (record: PolicyRecord): Promise<void> => this.#ask((state) => state.copyBack(record));
  proposal = (version: number): Promise<Proposal | undefined> =>
    this.#ask((state) => state.proposal(version));
  superseded = (): Promise<readonly Proposal[]> => this.#ask((state) => state.superseded());
  policies = (): Promise<readonly StoredPolicy[]> => this.#ask((state) => state.policies());
  takeLease = (name: string, owner: string, holder: string, ttlMs: number): Promise<Lease> =>
    this.#ask((state) => state.takeLease(name, owner, holder, ttlMs));
  releaseLease = (name: string, owner: string, generation: number): Promise<void> =>
    this.#ask((state) => state.releaseLease(name, owner, generation));
  leases = (): Promise<readonly Lease[]> => this.#ask((state) => state.leases());
  close = (): Promise<void> => Promise.resolve();

  #ask<T>(act: (state: StoreState) => T): Promise<T> {
    const { state, scheduler, network, lane, link, random } = this.#options;
    return new Promise((resolve, reject) => {
      const cancel = lane.after(STORE_REQUEST_MS, () => {
        reject(new CaucusError('store_unavailable', 'the policy database did not answer'));
      });
      network.after(scheduler.latency(), () => {
        if (link.isCut || random.chance(link.lossChance)) return;
        let answer: () => void;
        try {
          const value = act(state);
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error);
        }
        if (random.chance(link.lossChance)) return;
        lane.after(scheduler.latency(), () => {
          cancel();
          answer();
        });
      });
    });
  }
}
