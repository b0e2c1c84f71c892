/**
 * One subscriber on each replica, over the WebSocket and with the client that users have. What
 * comes is noted by what it is called, so that whoever sent it learns when all replicas have
 * shown it.
 */
import { follow } from '../../host/cli/subscription.ts';
import type { SubscriptionTransaction } from '../../host/cli/subscription.ts';
import type { Row } from '../../host/value/value.ts';
import type { BenchReplica } from './bench-cluster.ts';

export interface ArrivalsOptions {
  readonly replicas: readonly BenchReplica[];
  readonly query: string;
  /** Names what was published by a row that came of it; undefined: the row says nothing. */
  readonly nameOf: (row: Row) => string | undefined;
}

interface Awaited {
  missing: number;
  readonly resolve: (atMs: number) => void;
}

const ARRIVAL_LIMIT_MS = 120_000;

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #awaited = new Map<string, Awaited>();
  readonly #end = new AbortController();
  readonly #following: Promise<void>[] = [];
  #fail: (error: unknown) => void = () => undefined;
  readonly #failed: Promise<never>;

  private constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => undefined);
  }

  /** Resolves when each subscriber has its snapshot. */
  static async open(options: ArrivalsOptions): Promise<Arrivals> {
    const arrivals = new Arrivals(options);
    await Promise.all(options.replicas.map(({ url }) => arrivals.#follow(url)));
    return arrivals;
  }

  /** Resolves with the time at which the last replica has shown it. */
  of(name: string): Promise<number> {
    const missing = this.#options.replicas.length;
    let timer: NodeJS.Timeout | undefined;
    const arrived = new Promise<number>((resolve, reject) => {
      this.#awaited.set(name, { missing, resolve });
      const late = (): void => reject(new Error(`\`${name}\` did not come to all replicas`));
      timer = setTimeout(late, ARRIVAL_LIMIT_MS);
    });
    return Promise.race([arrived, this.#failed]).finally(() => clearTimeout(timer));
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.allSettled(this.#following);
  }

  #follow(url: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const following = follow(
        { url, query: this.#options.query, signal: this.#end.signal },
        {
          onColumns: () => undefined,
          onTransaction: (transaction) => {
            if (transaction.snapshot) resolve();
            else this.#note(transaction, performance.now());
            return Promise.resolve();
          },
          onProgress: () => undefined,
          // Rows that come as a snapshot later would be missing here.
          onConnectionLost: (reason) =>
            this.#fail(new Error(`a subscriber was cut off: ${reason}`)),
          onConnected: () => undefined,
        },
      ).catch((error: unknown) => {
        reject(error);
        this.#fail(error);
      });
      this.#following.push(following);
    });
  }

  #note({ changes }: SubscriptionTransaction, atMs: number): void {
    for (const [sign, row] of changes) {
      const name = sign === '+' ? this.#options.nameOf(row) : undefined;
      const awaited = name === undefined ? undefined : this.#awaited.get(name);
      if (name === undefined || awaited === undefined) continue;
      awaited.missing--;
      if (awaited.missing > 0) continue;
      this.#awaited.delete(name);
      awaited.resolve(atMs);
    }
  }
}
