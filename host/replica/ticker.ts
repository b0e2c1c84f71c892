/**
 * Lets the time go on where nothing else happens, by cuts that name no records: each `TIME_STEP_MS`
 * while a rule or view reads `now`; else, while there are fenced sources, as often as is needed to
 * notice that one has fallen silent, for that is judged by the time in force. Every replica has one
 * of these. Whichever comes first moves the time, and with that the others wait anew; a random
 * delay makes it mostly one.
 *
 * The clock of this replica only says when to try, and the fold takes the earlier of what a cut
 * proposes and the log's own time. So a clock that is ahead proposes too much, which does no harm,
 * and one that is behind could not move the time, and does not try.
 */
import { SOURCE_SILENT_MS, TIME_STEP_MS } from '../limits.ts';
import type { Log } from '../log/log.ts';
import { encodeRecord } from '../log/records.ts';
import type { ReplicatedState } from './replicated-state.ts';
import type { Timer } from './revision-waiters.ts';
import { CUTS_TOPIC } from './topics.ts';

export interface TickerOptions {
  readonly state: Pick<ReplicatedState, 'revision' | 'timeMs' | 'sources'>;
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

/** Whole seconds: with one more the span is over for certain. */
const SILENCE_STEP_MS = SOURCE_SILENT_MS + TIME_STEP_MS;

export class Ticker {
  readonly #options: TickerOptions;
  #isRunning = false;
  #cancel: (() => void) | undefined;
  /** So long nothing moves the time before this tries; Infinity: it does not. */
  #stepMs = Infinity;
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
    this.#reckon();
  }

  stop(): void {
    this.#isRunning = false;
    this.#disarm();
  }

  /** After each commit of the engine, with the state that belongs to it. */
  engineOnCommit(): void {
    const { timeMs } = this.#options.state;
    const isMoved = timeMs !== this.#timeMs;
    this.#timeMs = timeMs;
    if (!this.#isRunning) return;
    // By a clock that is not that of the log, a step from now.
    if (isMoved && this.#stepMs !== Infinity) this.#arm(this.#untilDueMs() || this.#stepMs);
    this.#reckon();
  }

  /** Infinity: nobody needs that the time goes on. */
  #wantedStepMs(): number {
    const { state, readsNow } = this.#options;
    if (readsNow()) return TIME_STEP_MS;
    for (const { kind } of state.sources.values()) if (kind === 'fenced') return SILENCE_STEP_MS;
    return Infinity;
  }

  /** Waits anew where others than before need the time. */
  #reckon(): void {
    const stepMs = this.#wantedStepMs();
    if (stepMs === this.#stepMs) return;
    this.#disarm();
    this.#stepMs = stepMs;
    if (stepMs !== Infinity) this.#arm(this.#untilDueMs());
  }

  /** At most a step: a clock that is behind is tried as often as another. */
  #untilDueMs(): number {
    const { state, now } = this.#options;
    return Math.min(Math.max(0, state.timeMs + this.#stepMs - now()), this.#stepMs);
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#stepMs = Infinity;
  }

  #arm(delayMs: number): void {
    const { setTimer, random, spreadMs } = this.#options;
    this.#cancel?.();
    this.#cancel = setTimer(
      () => {
        // Unless a cut moves the time, which makes it wait anew.
        this.#arm(this.#stepMs);
        if (this.#isDue()) void this.#propose();
      },
      delayMs + random() * spreadMs,
    );
  }

  #isDue(): boolean {
    const { state, now } = this.#options;
    const isPending = this.#isAppending || this.#proposed > state.revision;
    return !isPending && now() - state.timeMs >= this.#stepMs;
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
