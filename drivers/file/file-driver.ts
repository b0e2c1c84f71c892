/**
 * Rows from a file (its table is the base name) or from a directory (each file a table).
 *
 * What is there is decided by looking, not by watch events: every `FILE_POLL_MS`, and sooner when a
 * watch event hints at it, sizes and times are compared with those last read. So editors that
 * replace files, network disks without events and lost events all come to the same. A file is read
 * once it has not changed for `FILE_SETTLE_MS`, and again if it changed while it was read; files
 * that change within that span travel in one batch. A file that cannot be read, or is gone, keeps
 * its rows and makes the source stale.
 */
import type { FSWatcher, Stats } from 'node:fs';
import { watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RowBlock } from '../../host/value/row-block.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { Driver, DriverColumn, DriverTable, SourceProblem } from '../driver.ts';
import { problemsOf } from '../driver.ts';
import { FILE_POLL_MS, FILE_SETTLE_MAX_MS, FILE_SETTLE_MS } from '../limits.ts';
import type { PollResult, PollSource } from '../poll.ts';
import { PollDriver } from '../poll.ts';
import { FILE_ENDINGS, fileError, formatOf, readTable, tableNameOf } from './read-table.ts';
import type { HeaderOption } from './typed-rows.ts';

export interface FileDriverOptions {
  readonly source: string;
  /** A file or a directory. */
  readonly path: string;
  /** Columns of the policies' declaration `table source:t(…)`, asked for at each read. */
  readonly declared?: (table: string) => readonly DriverColumn[] | undefined;
  /** Default `auto`. */
  readonly header?: HeaderOption;
  readonly clock?: Clock;
  readonly pollMs?: number;
  readonly settleMs?: number;
}

export function fileDriver(options: FileDriverOptions): Driver {
  return new PollDriver(new Files(options), options.clock);
}

/** What is known of one file. */
interface Seen {
  readonly path: string;
  readonly table: string;
  /** Identity of what was last looked at, and since when it is so. */
  stamp: string;
  stampSinceMs: number;
  /** Identity of what was last read, whether or not it could be. */
  readStamp: string;
  /** Of the last read or look. */
  problems: readonly SourceProblem[];
  columns: readonly DriverColumn[] | undefined;
  /** When it began to change without a pause; 0: it does not. */
  unsettledSinceMs: number;
}

class Files implements PollSource {
  readonly name = 'file';
  readonly source: string;
  readonly #options: FileDriverOptions;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #settleMs: number;
  /** By table. A file that is gone stays. */
  readonly #seen = new Map<string, Seen>();
  #watcher: FSWatcher | undefined;
  #hint: () => void = () => undefined;
  #hinted = false;
  #unsettled = false;

  constructor(options: FileDriverOptions) {
    this.#options = options;
    this.source = options.source;
    this.#clock = options.clock ?? systemClock;
    this.#pollMs = options.pollMs ?? FILE_POLL_MS;
    this.#settleMs = options.settleMs ?? FILE_SETTLE_MS;
  }

  tables(): readonly DriverTable[] {
    return [...this.#seen.values()].map(({ table, columns }) =>
      columns === undefined ? { name: table } : { name: table, columns },
    );
  }

  open(signal: AbortSignal): void {
    signal.addEventListener('abort', () => this.#unwatch(), { once: true });
  }

  async poll(everything: boolean, signal: AbortSignal): Promise<PollResult> {
    if (everything) for (const seen of this.#seen.values()) seen.readStamp = '';
    const { files, problems } = await this.#list();
    if (!signal.aborted) this.#watch();
    this.#unsettled = false;
    const tables = new Map<string, RowBlock>();
    const ready: Seen[] = [];
    for (const path of files) {
      const seen = this.#entry(path, problems);
      if (seen !== undefined && (await this.#look(seen))) ready.push(seen);
    }
    // What is written together shall become visible together: one batch, once all of it is at rest.
    if (!this.#unsettled) for (const seen of ready) await this.#read(seen, tables, signal);
    for (const seen of this.#seen.values()) {
      if (!files.includes(seen.path)) {
        seen.stamp = seen.readStamp = '';
        seen.problems = fileError({ code: 'ENOENT' }, seen.path, seen.table).problems;
      }
      problems.push(...seen.problems);
    }
    return { tables, problems };
  }

  async changed(signal: AbortSignal): Promise<void> {
    if (this.#unsettled) return this.#clock.wait(this.#settleMs, signal);
    if (!this.#hinted) {
      const wake = new AbortController();
      this.#hint = () => wake.abort();
      await this.#clock.wait(this.#pollMs, AbortSignal.any([signal, wake.signal]));
      this.#hint = () => undefined;
    }
    this.#hinted = false;
  }

  /** The files of the path, in the order of their names. */
  async #list(): Promise<{ files: readonly string[]; problems: SourceProblem[] }> {
    const { path } = this.#options;
    try {
      const found = await stat(path);
      if (found.isDirectory()) {
        const names = await readdir(path);
        const files = names.filter((name) => !isHidden(name) && formatOf(name) !== undefined);
        return { files: files.toSorted().map((name) => join(path, name)), problems: [] };
      }
      if (formatOf(path) !== undefined) return { files: [path], problems: [] };
      const remedy = `name it with one of ${FILE_ENDINGS}`;
      const message = `\`${path}\` has no known ending`;
      return { files: [], problems: [{ message, remedy, file: path }] };
    } catch (error) {
      // A single file that was read before is reported with its table, as one of a directory is.
      const known = [...this.#seen.values()].some((seen) => seen.path === path);
      return { files: [], problems: known ? [] : [...fileError(error, path).problems] };
    }
  }

  #entry(path: string, problems: SourceProblem[]): Seen | undefined {
    const table = tableNameOf(path);
    const seen = this.#seen.get(table);
    if (seen === undefined) {
      if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(table)) {
        problems.push({
          message: `\`${table}\` is no name of a table`,
          remedy: 'rename the file: a letter or `_`, then letters, digits, `_`, `-` and `.`',
          file: path,
        });
        return undefined;
      }
      const entry: Seen = {
        path,
        table,
        stamp: '',
        stampSinceMs: 0,
        readStamp: '',
        problems: [],
        columns: undefined,
        unsettledSinceMs: 0,
      };
      this.#seen.set(table, entry);
      return entry;
    }
    if (seen.path === path) return seen;
    problems.push({
      message: `\`${path}\` and \`${seen.path}\` are both table \`${table}\`; the first is not read`,
      remedy: 'remove or rename one of them',
      table,
      file: path,
    });
    return undefined;
  }

  /** Whether the file has changed since it was read, and is at rest. */
  async #look(seen: Seen): Promise<boolean> {
    let stats: Stats;
    try {
      stats = await stat(seen.path);
    } catch (error) {
      seen.stamp = seen.readStamp = '';
      seen.problems = fileError(error, seen.path, seen.table).problems;
      return false;
    }
    const now = this.#clock.monotonicMs();
    const stamp = stampOf(stats);
    if (stamp === seen.readStamp) return false;
    if (stamp !== seen.stamp) {
      seen.stamp = stamp;
      // A file that was last written a while ago need not be watched for a while.
      const isOld = stats.mtimeMs <= this.#clock.now() - this.#settleMs;
      seen.stampSinceMs = isOld ? -Infinity : now;
    }
    if (now - seen.stampSinceMs >= this.#settleMs) {
      seen.unsettledSinceMs = 0;
      return true;
    }
    seen.unsettledSinceMs ||= now;
    if (now - seen.unsettledSinceMs < FILE_SETTLE_MAX_MS) {
      this.#unsettled = true;
    } else {
      seen.problems = [
        {
          message: `\`${seen.path}\` is being written without a pause`,
          remedy: 'write a file beside it and rename it to this name',
          table: seen.table,
          file: seen.path,
        },
      ];
    }
    return false;
  }

  async #read(seen: Seen, tables: Map<string, RowBlock>, signal: AbortSignal): Promise<void> {
    const { path, table, stamp } = seen;
    const format = formatOf(path);
    if (format === undefined) return;
    const before = seen.problems;
    try {
      const declared = this.#options.declared?.(table);
      const header = this.#options.header ?? 'auto';
      const read = await readTable({ path, table, format, declared, header, signal });
      tables.set(table, read.rows);
      seen.columns = read.columns;
      seen.problems = [];
    } catch (error) {
      if (signal.aborted) throw error;
      seen.problems = problemsOf(error);
    }
    const after = await stat(path).then(stampOf, () => '');
    if (after === stamp) {
      seen.readStamp = stamp;
    } else {
      // It was written while it was read: neither its rows nor its problems are those of one state.
      tables.delete(table);
      seen.problems = before;
      seen.unsettledSinceMs ||= this.#clock.monotonicMs();
      this.#unsettled = true;
    }
  }

  /** Events are hints only, so a watcher that cannot be had costs at most `pollMs`. */
  #watch(): void {
    if (this.#watcher !== undefined) return;
    const { path } = this.#options;
    const folder = formatOf(path) === undefined ? path : dirname(path);
    try {
      const watcher = watch(folder, { persistent: false }, () => {
        this.#hinted = true;
        this.#hint();
      });
      watcher.on('error', () => this.#unwatch());
      this.#watcher = watcher;
    } catch {
      this.#watcher = undefined;
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}

/**
 * Changes when the content does: a rename over the file changes the inode, a write size or time.
 */
function stampOf(stats: Stats): string {
  return `${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}`;
}

/** Files of editors and of programs that write beside and rename. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || name.startsWith('#') || name.endsWith('~');
}
