/**
 * Proposes cuts for writers that have no fold: a cut names what they have seen acknowledged and
 * says nothing of the rest. Appends that end while a cut is on its way share the next one.
 */
import type { Log } from '../log/log.ts';
import { encodeRecord } from '../log/records.ts';
import type { TopicEnd } from '../replica/sequencer.ts';
import { CUTS_TOPIC } from '../replica/topics.ts';
import { compareStrings } from '../value/string-order.ts';

export class CutProposer {
  readonly #log: Log;
  readonly #now: () => number;
  /** Not named by a cut of this proposer yet. */
  readonly #ends = new Map<string, TopicEnd>();
  #last: Promise<unknown> = Promise.resolve();
  #next: Promise<number> | undefined;
  #offset = 0;

  /** `now`: ms since the epoch. */
  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** The records below `end` are durable: the next cut names them. */
  raise(topic: string, end: TopicEnd): void {
    if (end.end > (this.#ends.get(topic)?.end ?? 0)) this.#ends.set(topic, end);
  }

  /** The offset of a cut that names all that was raised so far, or of a later one. */
  cut(): Promise<number> {
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => {
        this.#next = undefined;
        return this.#append();
      });
      this.#last = this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  async #append(): Promise<number> {
    const named = [...this.#ends];
    if (named.length === 0) return this.#offset;
    this.#ends.clear();
    const vector = named
      .map(([topic, { end, checksum }]) => ({ topic, end, checksum }))
      .sort((a, b) => compareStrings(a.topic, b.topic));
    const timeMs = Math.floor(this.#now());
    try {
      const cut = encodeRecord({ kind: 'cut', vector, timeMs, asOf: null });
      this.#offset = (await this.#log.append(CUTS_TOPIC, [cut])).first;
      return this.#offset;
    } catch (error) {
      // The records are in the log: the next cut names them, or a replica does.
      for (const [topic, end] of named) this.raise(topic, end);
      throw error;
    }
  }
}
