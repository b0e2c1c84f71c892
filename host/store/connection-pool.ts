/**
 * Connections that are used by one caller at a time. Not the pool of the connector: that one knows
 * connections by their number, and two servers behind one load balancer give out the same numbers.
 */
import { CaucusError } from '../errors.ts';

export interface PooledConnection {
  readonly isOpen: boolean;
  /** Cuts it off. */
  destroy(): void;
  /** Says good-bye first. */
  end(): Promise<void>;
}

export interface ConnectionPoolOptions<C extends PooledConnection> {
  readonly open: () => Promise<C>;
  readonly size: number;
  /** How long a caller waits for its turn. */
  readonly waitMs: number;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class ConnectionPool<C extends PooledConnection> {
  readonly #options: ConnectionPoolOptions<C>;
  readonly #idle: C[] = [];
  readonly #waiting: Waiter[] = [];
  #used = 0;
  #isClosed = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: ConnectionPoolOptions<C>) {
    this.#options = options;
  }

  /** What `action` leaves on the connection is the next one's; it destroys what it spoils. */
  async use<T>(action: (connection: C) => Promise<T>): Promise<T> {
    await this.#turn();
    let connection: C | undefined;
    try {
      connection = this.#takeIdle() ?? (await this.#options.open());
      return await action(connection);
    } finally {
      if (connection?.isOpen === true) this.#idle.push(connection);
      // Its server may be gone, and the others with it.
      else this.#dropIdle();
      this.#release();
    }
  }

  /** Lets what is under way come to its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(closed());
    if (this.#used > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
    await Promise.all(this.#idle.splice(0).map((connection) => connection.end()));
  }

  async #turn(): Promise<void> {
    if (this.#isClosed) throw closed();
    if (this.#used < this.#options.size) this.#used++;
    else await this.#wait();
  }

  #wait(): Promise<void> {
    const { size, waitMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        const what = `had none of its ${size} connections free for ${waitMs} ms`;
        reject(unavailable(what, 'try again, or raise the number of connections'));
      }, waitMs);
      const waiter: Waiter = {
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiting.push(waiter);
    });
  }

  /** The turn goes on to who waits longest, so that nobody comes in between. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve();
    else if (--this.#used === 0) this.#onEmpty?.();
  }

  #takeIdle(): C | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.isOpen) return connection;
    }
  }

  #dropIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }
}

function closed(): CaucusError {
  return unavailable('is closed', 'it closes with its server');
}

function unavailable(what: string, remedy: string): CaucusError {
  return new CaucusError('store_unavailable', `the policy database ${what}`, { remedy });
}
