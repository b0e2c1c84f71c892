/** A start waits for what is away for a while: the log, the database, the other replicas. */
import { setTimeout as delay } from 'node:timers/promises';
import { CaucusError } from '../errors.ts';
import { START_REPORT_MS, START_RETRY_MS } from '../limits.ts';
import type { Logger } from '../observe/log.ts';

export interface StartPatienceOptions {
  readonly logger: Logger;
  /** Gives the start up. */
  readonly signal: AbortSignal | undefined;
  /** What it waits for, in words; undefined: for nothing any more. */
  readonly onWait: (reason: string | undefined) => void;
  /** Resolves after `ms` or when the signal aborts. */
  readonly pause?: (ms: number) => Promise<void>;
}

export class StartPatience {
  readonly #options: StartPatienceOptions;

  constructor(options: StartPatienceOptions) {
    this.#options = options;
  }

  /** Tries until it works. Throws what another try cannot mend, and the last error at an abort. */
  async retry<T>(attempt: () => Promise<T>): Promise<T> {
    const { logger, signal, onWait } = this.#options;
    const pause = this.#options.pause ?? ((ms: number) => paused(ms, signal));
    let said = '';
    for (let waitedMs = 0; ; waitedMs += START_RETRY_MS) {
      try {
        const result = await attempt();
        onWait(undefined);
        return result;
      } catch (error) {
        const isPassing = error instanceof CaucusError && isCurable(error);
        if (!isPassing || signal?.aborted === true) throw error;
        onWait(error.message);
        if (error.message !== said || waitedMs % START_REPORT_MS === 0) {
          logger.warn('start-waiting', `the start waits: ${error.message}`, {
            remedy: error.remedy,
          });
        }
        said = error.message;
        await pause(START_RETRY_MS);
      }
    }
  }
}

async function paused(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** Another try may do: it is away, or the others have trimmed what was being read. */
function isCurable({ status, code }: CaucusError): boolean {
  return status === 503 || code === 'revision_expired';
}
