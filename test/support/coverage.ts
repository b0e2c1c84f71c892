/**
 * `npm run coverage [-- word…]`: runs the tests on the core with markers and prints which of its
 * lines ran. A line counts as covered when a statement that begins on it ran.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { COVERAGE_FOLDER, HITS_SUFFIX, STATEMENTS_FILE, type Statement } from './coverage-files.ts';
import { scriptCommand } from './script-command.ts';

export interface FileCoverage {
  readonly file: string;
  readonly lines: number;
  readonly covered: number;
  /** Lines with statements, none of which ran. */
  readonly missed: readonly number[];
}

/** Joins what was marked with what ran, file by file. */
export function summarise(statements: readonly Statement[], hits: Uint8Array): FileCoverage[] {
  const files = new Map<string, Map<number, boolean>>();
  for (const [index, { file, line }] of statements.entries()) {
    const lines = files.get(file) ?? new Map<number, boolean>();
    files.set(file, lines);
    lines.set(line, lines.get(line) === true || hits[index] === 1);
  }
  return [...files]
    .map(([file, lines]) => {
      const missed = [...lines].filter(([, hit]) => !hit).map(([line]) => line);
      missed.sort((a, b) => a - b);
      return { file, lines: lines.size, covered: lines.size - missed.length, missed };
    })
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** `[3, 4, 5, 9]` → `3-5, 9`. */
export function lineRanges(lines: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const line of lines) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === line - 1) last[1] = line;
    else ranges.push([line, line]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

function percent(covered: number, lines: number): string {
  return `${((100 * covered) / Math.max(1, lines)).toFixed(1)} %`;
}

function run(): void {
  const words = scriptCommand('coverage', 'Runs the tests and prints which lines of the core ran.')
    .argument('[words...]', 'run only the test files whose paths contain one of them')
    .parse().args;
  const folder = path.resolve(COVERAGE_FOLDER);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const node = (args: string[], env = process.env): number =>
    spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1;

  if (node(['build/js/test/support/coverage-core.js']) !== 0) process.exit(1);
  const hook = pathToFileURL(path.resolve('build/js/test/support/coverage-hook.js'));
  const status = node(['build/js/test/run.js', ...words], {
    ...process.env,
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import ${hook.href}`,
    CAUCUS_COVERAGE_ROOT: process.cwd(),
  });

  const statements = JSON.parse(readFileSync(STATEMENTS_FILE, 'utf8')) as Statement[];
  const hits = new Uint8Array(statements.length);
  for (const name of readdirSync(folder).filter((file) => file.endsWith(HITS_SUFFIX))) {
    readFileSync(path.join(folder, name)).forEach((hit, index) => {
      if (hit === 1) hits[index] = 1;
    });
  }
  let lines = 0;
  let covered = 0;
  for (const file of summarise(statements, hits)) {
    lines += file.lines;
    covered += file.covered;
    const share = percent(file.covered, file.lines).padStart(8);
    console.log(
      `${share}  ${file.file}${file.missed.length > 0 ? `: ${lineRanges(file.missed)}` : ''}`,
    );
  }
  console.log(
    `${percent(covered, lines).padStart(8)}  ${covered} of ${lines} lines of the core ran`,
  );
  process.exitCode = status;
}

if (process.argv[1] === import.meta.filename) run();
