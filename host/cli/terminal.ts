/**
 * The two streams of a command: colours where a person reads, plain text where a program does,
 * problems with carets, tables aligned by display width, one progress line for long work.
 *
 * stdout carries the answer only; warnings, errors and progress go to stderr.
 */
import Table from 'cli-table3';
import pc from 'picocolors';
import { caretLines, printable, SourceText } from '../compiler/source-text.ts';
import type { Span } from '../compiler/source-text.ts';
import type { Problem } from './problem.ts';

export type Colors = ReturnType<typeof pc.createColors>;

/** Least time between two redraws of the progress line, ms. */
const PROGRESS_INTERVAL_MS = 100;

export interface Progress {
  /** Redraws at most ten times a second; costs a clock read otherwise. */
  update(text: string): void;
  /** Removes the line. */
  done(): void;
}

export interface TerminalOptions {
  readonly color: 'auto' | 'always' | 'never';
  /** For machines: problems as JSON lines on stderr, no progress. */
  readonly json: boolean;
}

export class Terminal {
  readonly out: Colors;
  readonly err: Colors;
  readonly json: boolean;
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;

  constructor(options: TerminalOptions, env: NodeJS.ProcessEnv = process.env) {
    const colored = (isTty: boolean): boolean => {
      if (options.color !== 'auto') return options.color === 'always';
      return isTty && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
    };
    this.json = options.json;
    this.outIsTty = process.stdout.isTTY === true;
    this.errIsTty = process.stderr.isTTY === true;
    this.out = pc.createColors(colored(this.outIsTty));
    this.err = pc.createColors(colored(this.errIsTty));
  }

  print(line: string): void {
    process.stdout.write(`${line}\n`);
  }

  note(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  problems(problems: readonly Problem[]): void {
    for (const problem of problems) {
      this.note(
        this.json ? JSON.stringify(problemObject(problem)) : renderProblem(problem, this.err),
      );
    }
  }

  progress(): Progress {
    if (this.json || !this.errIsTty) return { update: () => {}, done: () => {} };
    let drawn = 0;
    return {
      update: (text) => {
        const nowMs = performance.now();
        if (nowMs - drawn < PROGRESS_INTERVAL_MS) return;
        drawn = nowMs;
        process.stderr.write(`\r\u001b[K${this.err.dim(text)}`);
      },
      done: () => {
        if (drawn > 0) process.stderr.write('\r\u001b[K');
      },
    };
  }
}

/** What machines get of a problem: no excerpts. */
export function problemObject(problem: Problem): Partial<Problem> {
  const { excerpt: _excerpt, length: _length, rendered: _rendered, ...rest } = problem;
  return rest;
}

/** The layout of the compiler's own diagnostics: what, where, the line with carets, what to do. */
export function renderProblem(problem: Problem, colors: Colors): string {
  const { severity, code, file, line } = problem;
  if (problem.rendered !== undefined) return problem.rendered.split('\n').map(printable).join('\n');
  const paint = severity === 'error' ? colors.red : colors.yellow;
  const title = paint(`${severity}[${code}]`);
  const gutter = ' '.repeat(line === undefined ? 1 : String(line).length);
  const lines = [`${title}: ${colors.bold(printable(problem.message))}`];
  if (file !== undefined) {
    const place = [file, line, problem.column].filter((part) => part !== undefined).join(':');
    lines.push(`${gutter} ${colors.dim('-->')} ${printable(place)}`);
  }
  if (problem.excerpt !== undefined && line !== undefined) {
    const shown = caretLines(
      new SourceText(problem.excerpt),
      excerptSpan(problem, problem.excerpt),
    );
    lines.push(
      `${gutter} ${colors.dim('|')}`,
      `${colors.dim(`${line} |`)} ${shown.line}`,
      `${gutter} ${colors.dim('|')} ${paint(shown.carets)}`,
    );
  }
  if (problem.note !== undefined) {
    lines.push(`${gutter} ${colors.dim('=')} ${printable(problem.note)}`);
  }
  return lines.join('\n');
}

/** Code points of the problem → UTF-16 units of the line. */
function excerptSpan(problem: Problem, excerpt: string): Span {
  const points = [...excerpt];
  const from = (problem.column ?? 1) - 1;
  const start = points.slice(0, from).join('').length;
  const marked = points.slice(from, from + (problem.length ?? 1)).join('');
  return { start, end: start + marked.length };
}

export interface TableStyle {
  readonly align?: readonly ('left' | 'right')[];
}

/** Rows below a bold head, aligned by display width, without a frame. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  colors: Colors,
  style: TableStyle = {},
): string {
  const table = new Table({
    head: head.map((name) => colors.bold(oneLine(name))),
    chars: EMPTY_FRAME,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    colAligns: head.map((_name, index) => style.align?.[index] ?? 'left'),
  });
  for (const row of rows) table.push(row.map(oneLine));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A cell is one line, and cannot write to the terminal. */
function oneLine(text: string): string {
  return printable(text.replaceAll('\t', '\ufffd'));
}

const EMPTY_FRAME = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};
