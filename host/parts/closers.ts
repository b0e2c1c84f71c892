/** What was opened, to be closed last first; once, however often it is asked. */
export class Closers {
  readonly #closers: (() => unknown)[] = [];
  #closing: Promise<void> | undefined;

  add(closer: () => unknown): void {
    this.#closers.push(closer);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const closer of this.#closers.reverse()) await closer();
    })();
    return this.#closing;
  }
}
