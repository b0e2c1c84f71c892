/** Runs jobs one after another, as they came: one engine, one transaction at a time. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job);
    // The queue goes on after a failed job; the failure is the caller's.
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Resolves when all jobs that were queued before are done. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}
