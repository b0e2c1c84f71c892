/**
 * Lets the time go on where nothing else happens: while a rule or view reads `now`, a cut that
 * names no records each `TIME_STEP_MS`. Every replica has one of these. Whichever comes first
 * moves the time, and with that the others wait anew; a random delay makes it mostly one.
 *
 * The clock of this replica only says when to try, and the fold takes the earlier of what a cut
 * proposes and the log's own time. So a clock that is ahead proposes too much, which does no harm,
 * and one that is behind could not move the time, and does not try.
 */
import { TIME_STEP_MS } from '../limits.ts';
import type { Log } from '../log/log.ts';
import { encodeRecord } from '../log/records.ts';
import type { ReplicatedState } from './replicated-state.ts';
import type { Timer } from './revision-waiters.ts';
import { CUTS_TOPIC } from './topics.ts';

export interface TickerOptions {
  readonly state: Pick<ReplicatedState, 'revision' | 'timeMs'>;
  readonly log: Pick<Log, 'append'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly setTimer: Timer;
  /** In [0, 1). */
  readonly random: () => number;
  /** Up to so much is added to each wait; 0 for a replica that is alone. */
  readonly spreadMs: number;
  /** Of what the engine runs at the moment. */
  readonly readsNow: () => boolean;
  /** After each try: without an error it worked. */
  readonly onAppend: (error?: unknown) => void;
}

export class Ticker {
  readonly #options: TickerOptions;
  #isRunning = false;
  #cancel: (() => void) | undefined;
  /** The time in force when it last moved. */
  #timeMs: number;
  #isAppending = false;
  /** The last cut of its own. */
  #proposed = -1;

  constructor(options: TickerOptions) {
    this.#options = options;
    this.#timeMs = options.state.timeMs;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    if (this.#options.readsNow()) this.#wait(0);
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** After each commit of the engine, with the state that belongs to it. */
  engineOnCommit(): void {
    const { state, now, readsNow } = this.#options;
    const isMoved = state.timeMs !== this.#timeMs;
    this.#timeMs = state.timeMs;
    if (!this.#isRunning) return;
    if (!readsNow()) {
      this.#cancel?.();
      this.#cancel = undefined;
    } else if (isMoved) {
      const untilNextMs = state.timeMs + TIME_STEP_MS - now();
      // By a clock that is not that of the log, a step from now.
      const isAhead = untilNextMs <= 0;
      this.#wait(isAhead ? TIME_STEP_MS : Math.min(untilNextMs, TIME_STEP_MS));
    } else if (this.#cancel === undefined) this.#wait(0);
  }

  #wait(delayMs: number): void {
    const { setTimer, random, spreadMs } = this.#options;
    this.#cancel?.();
    this.#cancel = setTimer(
      () => {
        // Unless a cut moves the time, which makes it wait anew.
        this.#wait(TIME_STEP_MS);
        if (this.#isDue()) void this.#propose();
      },
      delayMs + random() * spreadMs,
    );
  }

  #isDue(): boolean {
    const { state, now } = this.#options;
    const isPending = this.#isAppending || this.#proposed > state.revision;
    return !isPending && now() - state.timeMs >= TIME_STEP_MS;
  }

  async #propose(): Promise<void> {
    const { log, now, onAppend } = this.#options;
    this.#isAppending = true;
    const timeMs = Math.floor(now());
    try {
      const cut = encodeRecord({ kind: 'cut', vector: [], timeMs, asOf: null });
      this.#proposed = (await log.append(CUTS_TOPIC, [cut])).first;
      onAppend();
    } catch (error) {
      if (this.#isRunning) onAppend(error);
    } finally {
      this.#isAppending = false;
    }
  }
}
