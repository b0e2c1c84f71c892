/** The live view of `npm start` on a terminal: follows the demo's queries, draws, reads keys. */
import type { SourceHealth } from '../../drivers/runner.ts';
import { problemText } from '../../drivers/driver.ts';
import type { JsonInput } from '../value/json.ts';
import { request } from './client.ts';
import { DEMO_QUERIES, DemoView } from './demo-view.ts';
import type { DemoHead, DemoQuery } from './demo-view.ts';
import { follow } from './subscription.ts';
import type { Colors } from './terminal.ts';

/** Least time between two drawings, ms. */
const REDRAW_MS = 100;
const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const CTRL_C = '\u0003';
const SIZE_DEFAULT = { width: 80, height: 24 };

export interface DemoScreenOptions {
  readonly url: string;
  readonly about: string;
  readonly colors: Colors;
  readonly health: () => SourceHealth | undefined;
}

export class DemoScreen {
  readonly #options: DemoScreenOptions;
  readonly #view = new DemoView();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #refused: string | undefined;

  constructor(options: DemoScreenOptions) {
    this.#options = options;
  }

  /** Resolves when somebody quits or the signal aborts; the terminal is then as it was. */
  async run(signal: AbortSignal): Promise<void> {
    const { stdin, stdout } = process;
    const quit = (): void => this.#stop.abort();
    const onResize = (): void => this.#draw();
    const onData = (data: Buffer): void => this.#key(data.toString());
    signal.addEventListener('abort', quit, { once: true });
    if (signal.aborted) quit();
    stdout.write(ENTER_SCREEN);
    stdout.on('resize', onResize);
    if (stdin.isTTY) stdin.setRawMode(true).on('data', onData);
    try {
      this.#draw();
      const names = Object.keys(DEMO_QUERIES) as DemoQuery[];
      await Promise.all(names.map((name) => this.#follow(name)));
    } finally {
      quit();
      clearTimeout(this.#timer);
      if (stdin.isTTY) stdin.setRawMode(false).off('data', onData).pause();
      stdout.off('resize', onResize);
      stdout.write(LEAVE_SCREEN);
      signal.removeEventListener('abort', quit);
    }
  }

  /** What is outside the rows has changed. */
  redraw(): void {
    this.#timer ??= setTimeout(() => this.#draw(), REDRAW_MS);
  }

  async #follow(name: DemoQuery): Promise<void> {
    const { signal } = this.#stop;
    await follow(
      { url: this.#options.url, query: DEMO_QUERIES[name], signal },
      {
        onColumns: () => undefined,
        onTransaction: async ({ revision, snapshot, changes }) => {
          this.#view.apply(name, { revision: Number(revision), snapshot, changes });
          this.redraw();
        },
        onProgress: () => undefined,
        onConnectionLost: (reason) => this.#say(reason),
        onConnected: () => this.#say(undefined),
      },
    );
  }

  #key(key: string): void {
    if (key === 'q' || key === CTRL_C) return this.#stop.abort();
    const suggestion = this.#view.suggestion();
    if (key === 'f' && suggestion !== undefined) {
      void this.#push({ insert: { forbidden: [[suggestion]] } });
    } else if (key === 'a') {
      void this.#push({ snapshot: { forbidden: [] } });
    }
  }

  async #push(body: JsonInput): Promise<void> {
    const path = '/v1/sources/watchlist/batches';
    await request(this.#options.url, { method: 'POST', path, body }).catch((error: unknown) => {
      this.#say(error instanceof Error ? error.message : String(error));
    });
  }

  #say(refused: string | undefined): void {
    this.#refused = refused;
    this.redraw();
  }

  #head(): DemoHead {
    const { url, about, health } = this.#options;
    const now = health();
    const [problem] = now?.problems ?? [];
    return {
      url,
      about,
      state: now?.state ?? 'starting',
      problem: this.#refused ?? (problem === undefined ? undefined : problemText(problem)),
      suggestion: this.#view.suggestion(),
    };
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#stop.signal.aborted) return;
    const { columns, rows } = process.stdout;
    const size = { width: columns ?? SIZE_DEFAULT.width, height: rows ?? SIZE_DEFAULT.height };
    const lines = this.#view.lines(size, this.#head(), this.#options.colors);
    const screen = lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n');
    process.stdout.write(`${HOME}${screen}${CLEAR_BELOW}`);
  }
}
