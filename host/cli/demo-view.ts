/**
 * What `npm start` shows in a terminal: rows of a few subscriptions, kept up to date by their
 * transactions, and the transactions themselves. Pure: transactions in, lines out.
 */
import { compareRows, formatValue } from '../value/value.ts';
import type { Row, Value } from '../value/value.ts';
import stringWidth from 'string-width';
import { printable } from '../compiler/source-text.ts';
import type { Colors } from './terminal.ts';

/** What the demo subscribes to. */
export const DEMO_QUERIES = {
  totals: 'packages:total(what, n)',
  users: 'packages:all_users(package, users)',
  critical: 'packages:critical(package, essentials)',
  exposure: 'packages:exposure(package, why, users)',
  alarms: 'packages:alarm(essential, package, why)',
  loss: 'packages:loss(package, lost)',
  forbidden: 'watchlist:forbidden(package)',
} as const;

export type DemoQuery = keyof typeof DEMO_QUERIES;

export interface DemoTransaction {
  readonly revision: number;
  /** The changes replace what is shown. */
  readonly snapshot: boolean;
  readonly changes: readonly (readonly ['+' | '-', Row])[];
}

export interface DemoHead {
  readonly url: string;
  /** Where the rows come from: `Debian package index`. */
  readonly about: string;
  /** State of the source, and what is wrong with it. */
  readonly state: string;
  readonly problem: string | undefined;
  /** What the key `f` forbids. */
  readonly suggestion: string | undefined;
}

/** What the change log shows; the others change with nearly everything. */
const LOGGED: readonly DemoQuery[] = ['exposure', 'alarms', 'loss', 'forbidden'];
/** Lines of the change log that are kept. */
const LOG_LINES_MAX = 200;
/** Changes of one transaction that the log spells out; the rest is counted. */
const LOG_CHANGES_MAX = 8;
const TOP_ROWS = 8;

export class DemoView {
  readonly #rows = new Map<DemoQuery, Map<string, Row>>();
  readonly #log: { revision: number; sign: '+' | '-' | ' '; text: string }[] = [];
  #revision = 0;

  apply(name: DemoQuery, transaction: DemoTransaction): void {
    let rows = this.#rows.get(name);
    if (rows === undefined || transaction.snapshot) {
      rows = new Map();
      this.#rows.set(name, rows);
    }
    for (const [sign, row] of transaction.changes) {
      if (sign === '+') rows.set(rowText(row), row);
      else rows.delete(rowText(row));
    }
    this.#revision = Math.max(this.#revision, transaction.revision);
    if (!transaction.snapshot && LOGGED.includes(name)) this.#remember(name, transaction);
  }

  rows(name: DemoQuery): readonly Row[] {
    return [...(this.#rows.get(name)?.values() ?? [])];
  }

  /**
   * What is worth forbidding: the package that most essential ones reach, among those that at most
   * half of the installed packages need (what everything needs explains nothing).
   */
  suggestion(): string | undefined {
    const installed = Number(this.#total('installed'));
    const users = new Map(this.rows('users').map((row) => [row[0], Number(row[1])]));
    const critical = this.rows('critical').toSorted(byNumber(1));
    const fitting = critical.find(([name]) => (users.get(name ?? null) ?? 0) * 2 <= installed);
    const name = (fitting ?? critical[0])?.[0];
    return typeof name === 'string' ? name : undefined;
  }

  /** Users that some packages have and most have not: half of what the most needed one has. */
  manyUsers(): number {
    return Math.floor(Math.max(0, ...this.rows('users').map((row) => Number(row[1]))) / 2);
  }

  /** The largest first. */
  totals(): readonly Row[] {
    return this.rows('totals').toSorted(byNumber(1));
  }

  /** The whole screen: at most `height` lines of at most `width` columns. */
  lines(size: { width: number; height: number }, head: DemoHead, colors: Colors): string[] {
    const { bold, cyan, dim } = colors;
    const state = head.state === 'fresh' ? colors.green(head.state) : colors.yellow(head.state);
    const top = [
      `${bold('caucus')} ${cyan(head.url)}  ${head.about}, ${state}  ${dim(`revision ${this.#revision}`)}`,
      ...(head.problem === undefined ? [] : [colors.yellow(head.problem)]),
      this.#totals(colors),
      '',
      ...this.#top(size.width, colors),
      '',
      ...this.#alarms(colors),
      '',
    ];
    const foot = ['', this.#keys(head, colors)];
    const room = Math.max(0, size.height - top.length - foot.length - 1);
    const log = this.#log.slice(-room).map((entry) => {
      const paint = entry.sign === '+' ? colors.green : entry.sign === '-' ? colors.red : dim;
      return `  ${dim(String(entry.revision).padStart(5))} ${paint(`${entry.sign} ${entry.text}`)}`;
    });
    const title = bold('changes') + dim(log.length === 0 ? '  none yet' : '');
    const lines = [...top, title, ...log, ...foot];
    return lines.slice(0, size.height).map((line) => clip(line, size.width));
  }

  #remember(name: DemoQuery, { revision, changes }: DemoTransaction): void {
    const relation = DEMO_QUERIES[name].replace(/\(.*$/, '');
    for (const [sign, row] of changes.slice(0, LOG_CHANGES_MAX)) {
      this.#log.push({ revision, sign, text: `${relation}(${rowText(row)})` });
    }
    const more = changes.length - LOG_CHANGES_MAX;
    if (more > 0) this.#log.push({ revision, sign: ' ', text: `${more} more of ${relation}` });
    this.#log.splice(0, Math.max(0, this.#log.length - LOG_LINES_MAX));
  }

  #total(what: string): Value {
    return this.rows('totals').find((row) => row[0] === what)?.[1] ?? 0n;
  }

  #totals({ bold, dim }: Colors): string {
    const totals = this.totals();
    if (totals.length === 0) return dim('no rows yet');
    return totals
      .map((row) => `${bold(grouped(row[1] ?? 0n))} ${dim(String(row[0]))}`)
      .join(dim('  ·  '));
  }

  #top(width: number, colors: Colors): string[] {
    const needed = this.rows('users').toSorted(byNumber(1)).slice(0, TOP_ROWS);
    const risky = this.rows('exposure').toSorted(byNumber(2)).slice(0, TOP_ROWS);
    const left = [
      colors.bold('needed by most, through chains'),
      ...needed.map((row) => `  ${String(row[1]).padStart(6)}  ${shown(row[0])}`),
    ];
    const right = [
      colors.bold('risky, and how many installed packages reach it'),
      ...risky.map(
        (row) => `  ${String(row[2]).padStart(6)}  ${shown(row[0])} ${colors.dim(shown(row[1]))}`,
      ),
      ...(risky.length === 0 ? [colors.dim('  none')] : []),
    ];
    const half = Math.floor(width / 2);
    return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => {
      const start = clip(left[index] ?? '', half - 2);
      return `${start}${' '.repeat(Math.max(0, half - stringWidth(start)))}${right[index] ?? ''}`;
    });
  }

  #alarms(colors: Colors): string[] {
    const alarms = this.rows('alarms').toSorted(compareRows);
    const title = colors.bold('essential packages that cannot do without a risky one');
    if (alarms.length === 0) return [title, colors.dim('  none')];
    const byRisk = new Map<string, string[]>();
    for (const [essential, risky, why] of alarms) {
      const key = `${shown(risky)} (${shown(why)})`;
      byRisk.set(key, [...(byRisk.get(key) ?? []), shown(essential)]);
    }
    const lines = [...byRisk].map(([risk, names]) => `  ${colors.red(risk)}  ${names.join(' ')}`);
    const lost = this.rows('loss').toSorted(byNumber(1)).slice(0, 3);
    const losses = lost.map(
      (row) =>
        `  without ${shown(row[0])} ${colors.bold(grouped(row[1] ?? 0n))} packages of the index are lost`,
    );
    return [title, ...lines.slice(0, 4), ...losses];
  }

  #keys(head: DemoHead, { bold, dim }: Colors): string {
    const keys: string[] = [];
    if (head.suggestion !== undefined)
      keys.push(`${bold('f')} ${dim(`forbid ${printable(head.suggestion)}`)}`);
    if (this.rows('forbidden').length > 0) keys.push(`${bold('a')} ${dim('allow all again')}`);
    return [...keys, `${bold('q')} ${dim('quit')}`].join('   ');
  }
}

/** Descending by a column of ints, then by the row. */
function byNumber(column: number): (a: Row, b: Row) => number {
  return (a, b) => Number(b[column] ?? 0) - Number(a[column] ?? 0) || compareRows(a, b);
}

function rowText(row: Row): string {
  return row.map((value) => printable(formatValue(value))).join(', ');
}

function shown(value: Value | undefined): string {
  return printable(String(value ?? ''));
}

/** `63,682`: not by locale, so that it reads the same everywhere. */
function grouped(value: Value): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Cuts by display width; colour codes have none and are kept. */
function clip(line: string, width: number): string {
  if (stringWidth(line) <= width) return line;
  let result = '';
  let used = 0;
  // A colour code, or a character.
  for (const [part] of line.matchAll(/\u001b\[[0-9;]*m|[\s\S]/gu)) {
    const partWidth = part.startsWith('\u001b') ? 0 : stringWidth(part);
    if (used + partWidth > width - 1 && partWidth > 0) continue;
    result += part;
    used += partWidth;
  }
  return `${result}…`;
}
