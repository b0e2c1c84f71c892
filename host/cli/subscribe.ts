/** `caucus subscribe TEXT`: transactions as JSON lines, as a log for people, or as a live table. */
import { once } from 'node:events';
import { stringifyJson } from '../value/json.ts';
import { EXIT_INTERRUPTED, EXIT_OK } from './exit-code.ts';
import { LiveTable } from './live-table.ts';
import { cell } from './query.ts';
import { follow } from './subscription.ts';
import type { SubscriptionListener, SubscriptionTransaction } from './subscription.ts';
import { renderTable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export interface SubscribeOptions {
  readonly url: string;
  readonly policy?: string;
  readonly from?: string;
  readonly view?: 'log' | 'table';
}

/** Output is handed over in pieces of so many changes. */
const CHANGES_PER_PIECE = 1000;

/** Runs until SIGINT, SIGTERM or the reader of the output goes away. */
export async function subscribe(
  text: string,
  options: SubscribeOptions,
  terminal: Terminal,
): Promise<number> {
  const stop = new AbortController();
  let exitCode = EXIT_OK;
  const onInterrupt = (): void => {
    exitCode = EXIT_INTERRUPTED;
    stop.abort();
  };
  const onTerminate = (): void => stop.abort();
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  const listener = listenerOf(text, options, terminal);
  try {
    const { view: _view, ...rest } = options;
    await follow({ ...rest, query: text, signal: stop.signal }, listener);
    return exitCode;
  } finally {
    listener.close();
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
}

type ClosableListener = SubscriptionListener & { close(): void };

function listenerOf(text: string, options: SubscribeOptions, terminal: Terminal): ClosableListener {
  if (terminal.json) return new JsonLines(terminal);
  const view = options.view ?? (terminal.outIsTty ? 'table' : 'log');
  return view === 'table' && terminal.outIsTty
    ? new LiveTable(text, options.url, terminal)
    : new ChangeLog(terminal);
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/** One line a transaction. */
class JsonLines implements ClosableListener {
  private readonly terminal: Terminal;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  onColumns(): void {}

  async onTransaction({
    revision,
    token,
    snapshot,
    changes,
  }: SubscriptionTransaction): Promise<void> {
    const head = stringifyJson({ revision, token, snapshot });
    await write(`${head.slice(0, -1)},"changes":[`);
    for (let from = 0; from < changes.length; from += CHANGES_PER_PIECE) {
      const piece = changes.slice(from, from + CHANGES_PER_PIECE);
      const json = stringifyJson(piece.map(([sign, row]) => [sign, [...row]]));
      await write((from > 0 ? ',' : '') + json.slice(1, -1));
    }
    await write(']}\n');
  }

  onProgress(): void {}

  onConnectionLost(reason: string, retryMs: number): void {
    this.terminal.problems([
      {
        severity: 'warning',
        code: 'connection-lost',
        message: `${reason}; trying again in ${retryMs} ms`,
      },
    ]);
  }

  onConnected(): void {}

  close(): void {}
}

/** What changed, in colour, as it comes. */
class ChangeLog implements ClosableListener {
  private readonly terminal: Terminal;
  private columns: readonly string[] = [];
  private isLost = false;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  onColumns(columns: readonly string[]): void {
    this.columns = columns;
  }

  async onTransaction({ revision, snapshot, changes }: SubscriptionTransaction): Promise<void> {
    const { out } = this.terminal;
    const what = snapshot ? `${changes.length} rows` : `${changes.length} changed`;
    await write(`${out.dim(`revision ${revision}: ${what}`)}\n`);
    for (let from = 0; from < changes.length; from += CHANGES_PER_PIECE) {
      const piece = changes.slice(from, from + CHANGES_PER_PIECE);
      const rows = piece.map(([sign, row]) => [sign, ...row.map(cell)]);
      const lines = renderTable(['', ...this.columns], rows, out)
        .split('\n')
        .slice(from === 0 ? 0 : 1);
      const painted = lines.map((line) => {
        if (line.startsWith('+')) return out.green(line);
        return line.startsWith('-') ? out.red(line) : line;
      });
      await write(`${painted.join('\n')}\n`);
    }
  }

  onProgress(): void {}

  onConnectionLost(reason: string, retryMs: number): void {
    this.isLost = true;
    this.terminal.note(this.terminal.err.yellow(`${reason}; trying again in ${retryMs} ms`));
  }

  onConnected(): void {
    if (this.isLost) this.terminal.note(this.terminal.err.green('connected again'));
    this.isLost = false;
  }

  close(): void {}
}
