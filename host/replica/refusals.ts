/**
 * Tells the writer of a fenced source that replicas cannot use what it wrote: it has no replica, so
 * it cannot see that a batch did not fit. A `refused` record goes into the topic that the writer
 * follows; it then tells all rows anew, in another generation.
 *
 * Every replica that notices may do so, at a moment of its own: mostly the first one has, by then.
 */
import { REFUSAL_MS } from '../limits.ts';
import type { Log } from '../log/log.ts';
import { encodeRecord } from '../log/records.ts';
import { isBroken } from './fenced-source.ts';
import type { ReplicatedState, SourceState } from './replicated-state.ts';
import type { Timer } from './revision-waiters.ts';
import { sourceTopic } from './topics.ts';

export interface RefusalsOptions {
  readonly state: Pick<ReplicatedState, 'sources'>;
  readonly log: Log;
  readonly setTimer: Timer;
  /** In [0, 1). */
  readonly random: () => number;
}

export class Refusals {
  readonly #options: RefusalsOptions;
  #cancel: (() => void) | undefined;
  #isLooking = false;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#cancel === undefined) this.#lookLater();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #lookLater(): void {
    const { setTimer, random } = this.#options;
    this.#cancel = setTimer(
      () => {
        this.#lookLater();
        void this.#look();
      },
      REFUSAL_MS * (0.5 + random()),
    );
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    for (const source of this.#options.state.sources.values()) {
      // What does not get through is tried at the next look.
      await this.#refuse(source).catch(() => undefined);
    }
    this.#isLooking = false;
  }

  async #refuse({ name, incarnation, fenced }: SourceState): Promise<void> {
    const { generation, refused, broken } = fenced;
    if (this.#cancel === undefined || refused || broken === undefined || !isBroken(fenced)) return;
    const record = encodeRecord({ kind: 'refused', generation, reason: broken.reason });
    // The writer sees it at once, the other replicas when it is cut.
    await this.#options.log.append(sourceTopic(name, incarnation), [record]);
  }
}
