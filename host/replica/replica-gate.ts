/**
 * A replica that is not there yet: the API listens with it, and says how far the start is, while
 * the state is restored. `open` puts the replica in its place; until then everything but the
 * status is `not_ready`. Listeners that came before are handed on.
 */
import type { PolicyDescription } from '../compiler/describe-policies.ts';
import type { TableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import type {
  Batch,
  Commit,
  Consistency,
  Explanation,
  ExplainRequest,
  PolicyDryRun,
  PolicyPosition,
  PolicyWrite,
  Position,
  QueryAnswer,
  QueryRequest,
  Replica,
  ReplicaStatus,
  StartProgress,
  View,
  WhyNotAnswer,
  WhyNotRequest,
} from './replica.ts';

type CommitListener = (commit: Commit) => void;
type LostListener = (table: TableKey, error: Error) => void;

export class ReplicaGate implements Replica {
  #target: Replica | undefined;
  #phase: ReplicaStatus['phase'] = 'starting';
  #progress: StartProgress | undefined;
  #waitingFor: string | undefined;
  readonly #onCommit = new Map<CommitListener, (() => void) | undefined>();
  readonly #onViewLost = new Map<LostListener, (() => void) | undefined>();

  /** While it is not open: where the start is. */
  phaseOnChange(phase: ReplicaStatus['phase']): void {
    this.#phase = phase;
  }

  progressOnChange(progress: StartProgress): void {
    this.#progress = progress;
  }

  /** What the start lacks, in words; undefined: nothing. */
  waitOnChange(waitingFor: string | undefined): void {
    this.#waitingFor = waitingFor;
  }

  open(target: Replica): void {
    this.#target = target;
    for (const listener of this.#onCommit.keys()) {
      this.#onCommit.set(listener, target.onCommit(listener));
    }
    for (const listener of this.#onViewLost.keys()) {
      this.#onViewLost.set(listener, target.onViewLost(listener));
    }
  }

  status(): ReplicaStatus {
    if (this.#target !== undefined) return this.#target.status();
    const progress = this.#progress;
    // The last steps of a start (policy files, declarations) come after the replica is live.
    const phase = this.#phase === 'live' ? 'catching-up' : this.#phase;
    return {
      revision: progress?.revision ?? 0,
      token: '',
      phase,
      ready: false,
      logId: '',
      policies: [],
      sources: [],
      digest: '',
      ...(progress === undefined ? {} : { progress }),
      ...(this.#waitingFor === undefined ? {} : { waitingFor: this.#waitingFor }),
    };
  }

  async query(request: QueryRequest): Promise<QueryAnswer> {
    return await this.#opened().query(request);
  }

  async explain(request: ExplainRequest): Promise<Explanation> {
    return await this.#opened().explain(request);
  }

  async whyNot(request: WhyNotRequest): Promise<WhyNotAnswer> {
    return await this.#opened().whyNot(request);
  }

  async writeBatch(batch: Batch): Promise<Position> {
    return await this.#opened().writeBatch(batch);
  }

  async readPolicy(
    name: string,
    consistency?: Consistency,
  ): Promise<Position & { readonly text: string }> {
    return await this.#opened().readPolicy(name, consistency);
  }

  async describePolicy(
    name: string,
    consistency?: Consistency,
  ): Promise<Position & PolicyDescription> {
    return await this.#opened().describePolicy(name, consistency);
  }

  async writePolicies(writes: readonly PolicyWrite[]): Promise<PolicyPosition> {
    return await this.#opened().writePolicies(writes);
  }

  async dryRun(write: PolicyWrite): Promise<PolicyDryRun> {
    return await this.#opened().dryRun(write);
  }

  async openView(request: Parameters<Replica['openView']>[0]): Promise<View> {
    return await this.#opened().openView(request);
  }

  onCommit(listener: CommitListener): () => void {
    return register(this.#onCommit, listener, this.#target?.onCommit(listener));
  }

  onViewLost(listener: LostListener): () => void {
    return register(this.#onViewLost, listener, this.#target?.onViewLost(listener));
  }

  /** Throws `not_ready`, with how far the start is. */
  expectOpen(): void {
    this.#opened();
  }

  async close(): Promise<void> {
    await this.#target?.close();
  }

  #opened(): Replica {
    if (this.#target !== undefined) return this.#target;
    throw notStarted(this.status());
  }
}

/** `catching-up (revision 5 of 900)`; `starting, and waits: the database is away`. */
export function phaseText({ phase, progress, waitingFor }: ReplicaStatus): string {
  if (waitingFor !== undefined) return `${phase}, and waits: ${waitingFor}`;
  if (progress === undefined) return phase;
  return `${phase} (revision ${progress.revision} of ${progress.newest})`;
}

function notStarted(status: ReplicaStatus): CaucusError {
  const { phase, progress } = status;
  return new CaucusError('not_ready', `the replica is ${phaseText(status)}`, {
    remedy: 'try again in a moment; `/healthz/ready` tells when',
    details: { phase, ...(progress === undefined ? {} : { progress }) },
  });
}

function register<L>(
  listeners: Map<L, (() => void) | undefined>,
  listener: L,
  stop: (() => void) | undefined,
): () => void {
  listeners.set(listener, stop);
  return () => {
    listeners.get(listener)?.();
    listeners.delete(listener);
  };
}
