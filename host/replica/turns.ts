/**
 * The turns of the event loop that long work takes, and the one way to make it stop: after `stop`
 * every turn throws. A transaction that is under way then rolls back and rejects; what it was
 * computing is in the log and is applied by the next start.
 */
export class Turns {
  readonly #yield: () => Promise<void>;
  #stopped: Error | undefined;

  constructor(yieldToLoop: () => Promise<void>) {
    this.#yield = yieldToLoop;
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** A turn of the event loop; throws the reason once stopped. */
  readonly next = async (): Promise<void> => {
    this.#check();
    await this.#yield();
    this.#check();
  };

  #check(): void {
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  /** The first reason counts. */
  stop(reason: Error): void {
    this.#stopped ??= reason;
  }
}
