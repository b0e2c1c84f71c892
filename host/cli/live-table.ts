/**
 * The rows of a subscription on the whole screen, drawn again as they change: what came last in
 * colour, the newest changes below. Uses the terminal's second screen, so that the scroll-back
 * stays as it was.
 */
import { stringifyJson } from '../value/json.ts';
import { compareRows } from '../value/value.ts';
import type { Row } from '../value/value.ts';
import { cell } from './query.ts';
import type { RowChange, SubscriptionListener, SubscriptionTransaction } from './subscription.ts';
import { renderTable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/** Least time between two drawings, ms. */
const REDRAW_MS = 100;
/** Newest changes kept for the list below the table. */
const CHANGES_SHOWN_MAX = 8;
/** Lines that are neither rows nor changes: title, head, blank lines, footer. */
const FRAME_LINES = 6;
const LINES_DEFAULT = 24;

const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export class LiveTable implements SubscriptionListener {
  private readonly text: string;
  private readonly url: string;
  private readonly terminal: Terminal;
  private readonly rows = new Map<string, Row>();
  private sorted: readonly Row[] | undefined;
  private newest: readonly RowChange[] = [];
  private newestKeys: ReadonlySet<string> = new Set();
  private columns: readonly string[] | undefined;
  private revision = 0n;
  private state = 'connecting';
  private timer: NodeJS.Timeout | undefined;
  private drawnMs = Number.NEGATIVE_INFINITY;
  private readonly onResize = (): void => this.draw();

  constructor(text: string, url: string, terminal: Terminal) {
    this.text = text;
    this.url = url;
    this.terminal = terminal;
    process.stdout.write(ENTER_SCREEN);
    process.stdout.on('resize', this.onResize);
    this.draw();
  }

  onColumns(columns: readonly string[]): void {
    this.columns = columns;
  }

  async onTransaction(transaction: SubscriptionTransaction): Promise<void> {
    const { snapshot, changes, revision } = transaction;
    if (snapshot) this.rows.clear();
    for (const [sign, row] of changes) {
      const key = stringifyJson([...row]);
      if (sign === '+') this.rows.set(key, row);
      else this.rows.delete(key);
    }
    if (!snapshot) {
      this.newest = [...changes.slice(-CHANGES_SHOWN_MAX).reverse(), ...this.newest].slice(
        0,
        CHANGES_SHOWN_MAX,
      );
    }
    this.newestKeys = new Set(snapshot ? [] : changes.map(([, row]) => stringifyJson([...row])));
    this.sorted = undefined;
    this.revision = revision;
    this.drawSoon();
  }

  onProgress(revision: bigint): void {
    this.revision = revision;
    this.drawSoon();
  }

  onConnectionLost(reason: string, retryMs: number): void {
    this.state = `${reason}; trying again in ${retryMs} ms`;
    this.drawSoon();
  }

  onConnected(): void {
    this.state = 'live';
    this.drawSoon();
  }

  close(): void {
    clearTimeout(this.timer);
    process.stdout.off('resize', this.onResize);
    process.stdout.write(LEAVE_SCREEN);
    this.terminal.print(`${this.rows.size} rows at revision ${this.revision}`);
  }

  private drawSoon(): void {
    if (this.timer !== undefined) return;
    const waitMs = Math.max(0, this.drawnMs + REDRAW_MS - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.draw();
    }, waitMs);
  }

  private draw(): void {
    this.drawnMs = performance.now();
    const { out } = this.terminal;
    const height = process.stdout.rows ?? LINES_DEFAULT;
    const changesShown = Math.min(this.newest.length, Math.max(0, Math.floor(height / 4)));
    const room = Math.max(1, height - FRAME_LINES - changesShown);
    this.sorted ??= [...this.rows.values()].sort(compareRows);
    const shown = this.sorted.slice(0, room);
    const table = this.renderRows(shown).split('\n');
    const painted = table.map((line, index) => {
      const row = shown[index - 1];
      const isNew = row !== undefined && this.newestKeys.has(stringifyJson([...row]));
      return isNew ? out.green(line) : line;
    });
    const hidden = this.sorted.length - shown.length;
    const changes = this.newest.slice(0, changesShown).map(([sign, row]) => {
      const line = `${sign} ${row.map(cell).join('  ')}`;
      return sign === '+' ? out.green(line) : out.red(line);
    });
    const lines = [
      `${out.bold(this.text)}  ${out.dim(this.url)}`,
      '',
      ...painted,
      ...(hidden > 0 ? [out.dim(`… ${hidden} more rows`)] : []),
      '',
      ...changes,
      out.dim(`${this.rows.size} rows, revision ${this.revision}, ${this.state}; Ctrl-C ends`),
    ];
    process.stdout.write(HOME + lines.map((line) => line + CLEAR_LINE).join('\n') + CLEAR_BELOW);
  }

  /** Empty until the server has told the columns. */
  private renderRows(rows: readonly Row[]): string {
    const { columns } = this;
    const { out } = this.terminal;
    if (columns === undefined) return '';
    if (columns.length === 0) return renderTable(['holds'], [[String(this.rows.size > 0)]], out);
    return renderTable(
      columns,
      rows.map((row) => row.map(cell)),
      out,
    );
  }
}
