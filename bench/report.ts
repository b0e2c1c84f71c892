/** What a run gives, how it is kept, and how it is shown beside what was accepted before. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import path from 'node:path';
import { formatCount, formatMs } from './measure.ts';

export type Unit = 'ms' | 'ratio' | 'bytes' | 'perSecond' | 'count';

export interface Figure {
  readonly value: number;
  readonly unit: Unit;
  /** What may be compared between runs; the others are shown only. */
  readonly compared?: boolean;
  /** What it should be. */
  readonly target?: Target;
}

export type Target = { readonly atMost: number } | { readonly atLeast: number };

/** One line of the table: a workload in one mode. */
export interface Entry {
  readonly name: string;
  readonly figures: Readonly<Record<string, Figure>>;
  /** Figures that are not there, and why. */
  readonly notRun?: Readonly<Record<string, string>>;
}

export interface SuiteResult {
  readonly suite: string;
  readonly entries: readonly Entry[];
}

export interface Results {
  readonly machine: Machine;
  readonly suites: readonly SuiteResult[];
}

export interface Machine {
  /** Names the file of accepted results: a kind of processor and the Node that ran. */
  readonly kind: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
}

const RESULTS_FOLDER = 'bench/results';

export function thisMachine(): Machine {
  const processor = cpus()[0]?.model ?? 'unknown';
  const words = processor.toLowerCase().replaceAll(/\(r\)|\(tm\)|@.*$|cpu|processor/g, ' ');
  const slug = words.replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');
  const node = process.versions.node;
  return {
    kind: `${slug || process.arch}-node${node.split('.')[0]}`,
    processor,
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node,
  };
}

function resultsFile(kind: string): string {
  return path.join(RESULTS_FOLDER, `${kind}.json`);
}

export function readAccepted(kind: string): Results | undefined {
  const file = resultsFile(kind);
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, 'utf8')) as Results;
}

/** Entries that were not run keep what was accepted for them. */
export function merge(before: Results | undefined, now: Results): Results {
  const suites = new Map<string, Map<string, Entry>>();
  for (const { suite, entries } of [...(before?.suites ?? []), ...now.suites]) {
    const known = suites.get(suite) ?? new Map<string, Entry>();
    suites.set(suite, known);
    for (const entry of entries) known.set(entry.name, entry);
  }
  return {
    machine: now.machine,
    suites: [...suites].map(([suite, entries]) => ({ suite, entries: [...entries.values()] })),
  };
}

export function writeResults(file: string, results: Results): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, rounded, 2)}\n`);
}

/** Accepts: what is written here is committed. */
export function accept(results: Results): string {
  const file = resultsFile(results.machine.kind);
  writeResults(file, merge(readAccepted(results.machine.kind), results));
  return file;
}

/** Four digits say all that a run knows. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(4))
    : value;
}

function formatFigure({ value, unit }: Figure): string {
  switch (unit) {
    case 'ms':
      return formatMs(value);
    case 'ratio':
      return `${value.toFixed(2)} x`;
    case 'bytes':
      return `${formatCount(value)}B`;
    case 'perSecond':
      return `${formatCount(value)}/s`;
    case 'count':
      return formatCount(value);
  }
}

/** How a figure compares: `+12 %` against the accepted one. */
function change(now: Figure, before: Figure | undefined): string {
  if (before === undefined || now.compared !== true || before.value === 0) return '';
  const percent = (100 * (now.value - before.value)) / before.value;
  return ` (${percent >= 0 ? '+' : ''}${percent.toFixed(0)} %)`;
}

/** What it should be, and whether it is: ` (≤ 5.0 ms, missed)`. */
function goal({ value, unit, target }: Figure): string {
  if (target === undefined) return '';
  const [sign, bound, isMet] =
    'atMost' in target
      ? ['≤', target.atMost, value <= target.atMost]
      : ['≥', target.atLeast, value >= target.atLeast];
  return ` (${sign} ${formatFigure({ value: bound, unit })}, ${isMet ? 'met' : 'missed'})`;
}

/** The table of a suite: a line for each entry, a column for each figure. */
export function formatSuite(now: SuiteResult, before: SuiteResult | undefined): string {
  const columns = [
    ...new Set(
      now.entries.flatMap(({ figures, notRun }) => Object.keys({ ...figures, ...notRun })),
    ),
  ];
  const lines = [[now.suite, ...columns]];
  for (const entry of now.entries) {
    const accepted = before?.entries.find(({ name }) => name === entry.name);
    const cells = columns.map((column) => {
      const figure = entry.figures[column];
      if (figure === undefined) return entry.notRun?.[column] === undefined ? '' : 'not run';
      return formatFigure(figure) + change(figure, accepted?.figures[column]) + goal(figure);
    });
    lines.push([entry.name, ...cells]);
  }
  const widths = lines[0]?.map((_, column) => {
    return Math.max(...lines.map((line) => [...(line[column] ?? '')].length));
  });
  const table = lines.map((line) => {
    const cells = line.map((cell, column) => {
      const width = widths?.[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `${cells.join('  ')}\n`;
  });
  return [...table, ...reasons(now)].join('');
}

/** Why something was not run, each reason once. */
function reasons({ entries }: SuiteResult): string[] {
  const places = new Map<string, string[]>();
  for (const { name, notRun } of entries) {
    for (const [column, reason] of Object.entries(notRun ?? {})) {
      const key = `${column}: ${reason}`;
      places.set(key, [...(places.get(key) ?? []), name]);
    }
  }
  return [...places].map(([reason, names]) => `not run: ${reason} (${names.join(', ')})\n`);
}
