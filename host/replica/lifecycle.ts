/** The phases of a replica as a table; SPEC.md says what each means, a test compares the two. */
import { CaucusError } from '../errors.ts';
import type { ReplicaStatus } from './replica.ts';

export type Phase = ReplicaStatus['phase'];

export type LifecycleEvent =
  | 'genesis-read'
  | 'restored'
  | 'caught-up'
  | 'append-failed'
  | 'append-worked'
  | 'stalled'
  | 'diverged'
  | 'agreed'
  | 'close'
  | 'drained';

/** Phase → event → next phase. An event that is not listed changes nothing. */
export const TRANSITIONS: Readonly<Record<Phase, Partial<Record<LifecycleEvent, Phase>>>> = {
  starting: { 'genesis-read': 'restoring', close: 'draining' },
  restoring: { restored: 'catching-up', stalled: 'read-only', close: 'draining' },
  'catching-up': {
    'caught-up': 'live',
    'append-failed': 'read-only',
    stalled: 'read-only',
    diverged: 'quarantined',
    close: 'draining',
  },
  live: {
    'append-failed': 'read-only',
    stalled: 'read-only',
    diverged: 'quarantined',
    close: 'draining',
  },
  'read-only': { 'append-worked': 'live', diverged: 'quarantined', close: 'draining' },
  quarantined: { agreed: 'live', close: 'draining' },
  draining: { drained: 'stopped' },
  stopped: {},
};

/** Reasons for which the state itself is not to be shown. */
const UNTRUSTED: ReadonlySet<string> = new Set(['log_diverged', 'state_diverged']);

export class Lifecycle {
  #phase: Phase = 'starting';
  /** Why nothing can be applied any more; `append-worked` does not heal it. */
  #stall: CaucusError | undefined;
  readonly #listeners: ((phase: Phase) => void)[] = [];

  /** Called after each change. */
  onPhase(listener: (phase: Phase) => void): void {
    this.#listeners.push(listener);
  }

  get phase(): Phase {
    return this.#phase;
  }

  get ready(): boolean {
    return this.#phase === 'live';
  }

  get stall(): CaucusError | undefined {
    return this.#stall;
  }

  on(event: Exclude<LifecycleEvent, 'stalled'>): void {
    if (event === 'append-worked' && this.#stall !== undefined) return;
    this.#move(event);
  }

  stallWith(error: CaucusError): void {
    this.#stall ??= error;
    this.#move('stalled');
  }

  /** Reads are answered while there is a state, and the log still says the same. */
  expectReadable(): void {
    const stall = this.#stall;
    if (stall !== undefined && UNTRUSTED.has(stall.code)) throw stall;
    if (this.#phase === 'live' || this.#phase === 'read-only') return;
    throw this.#notReady();
  }

  /** Writes are tried on a full disk as well: that is how it is found to have room again. */
  expectWritable(): void {
    if (this.#stall !== undefined) throw this.#stall;
    if (this.#phase === 'live' || this.#phase === 'read-only') return;
    throw this.#notReady();
  }

  #notReady(): CaucusError {
    return new CaucusError('not_ready', `the replica is ${this.#phase}`, {
      remedy: 'try again in a moment, or at another replica',
      details: { phase: this.#phase },
    });
  }

  #move(event: LifecycleEvent): void {
    const next = TRANSITIONS[this.#phase][event];
    if (next === undefined || next === this.#phase) return;
    this.#phase = next;
    for (const listener of this.#listeners) listener(next);
  }
}
