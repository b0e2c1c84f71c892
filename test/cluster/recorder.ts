/** A history as it grows. Times are milliseconds since it began. */
import { historyLines } from '../support/history.ts';
import type { HistoryEvent } from '../support/history.ts';

type Timed = Extract<HistoryEvent, { readonly atMs: number }>;
type WithoutTime<Event> = Event extends Timed ? Omit<Event, 'atMs'> : never;

export class Recorder {
  readonly history: HistoryEvent[] = [];
  readonly #startMs = performance.now();

  get atMs(): number {
    return Math.round(performance.now() - this.#startMs);
  }

  /** Now. */
  add(event: WithoutTime<Timed>): void {
    this.history.push({ ...event, atMs: this.atMs });
  }

  push(event: HistoryEvent): void {
    this.history.push(event);
  }

  lines(): string {
    return historyLines(this.history);
  }
}
