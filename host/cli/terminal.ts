/**
 * The two streams of a command: colours where a person reads, plain text where a program does,
 * problems with carets, tables aligned by display width, one progress line for long work.
 *
 * stdout carries the answer only; warnings, errors and progress go to stderr.
 */
import Table from 'cli-table3';
import pc from 'picocolors';
import stringWidth from 'string-width';
import type { Problem } from './problem.ts';

export type Colors = ReturnType<typeof pc.createColors>;

/** Least time between two redraws of the progress line, ms. */
const PROGRESS_INTERVAL_MS = 100;
/** Longest part of a source line that is shown around a caret, in columns. */
const EXCERPT_WIDTH_MAX = 100;

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
      this.note(this.json ? problemJson(problem) : renderProblem(problem, this.err));
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

export function problemJson(problem: Problem): string {
  const { excerpt: _excerpt, length: _length, ...rest } = problem;
  return JSON.stringify(rest);
}

/** `file:line:column: error: message`, the line with a caret, the note. */
export function renderProblem(problem: Problem, colors: Colors): string {
  const lines: string[] = [];
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined);
  const severity =
    problem.severity === 'error' ? colors.red('error') : colors.yellow('warning');
  const prefix = place.length === 0 ? '' : `${colors.bold(place.join(':'))}: `;
  lines.push(`${prefix}${severity}: ${problem.message} ${colors.dim(`[${problem.code}]`)}`);
  if (problem.excerpt !== undefined && problem.line !== undefined) {
    lines.push(...renderExcerpt(problem, problem.excerpt, problem.line, colors));
  }
  if (problem.note !== undefined) lines.push(`  ${colors.cyan('note')}: ${problem.note}`);
  return lines.join('\n');
}

function renderExcerpt(problem: Problem, text: string, line: number, colors: Colors): string[] {
  const points = [...text].map(visible);
  const column = Math.min((problem.column ?? 1) - 1, points.length);
  const from = Math.max(0, Math.min(column - EXCERPT_WIDTH_MAX / 2, points.length - EXCERPT_WIDTH_MAX));
  const shown = points.slice(from, from + EXCERPT_WIDTH_MAX);
  const before = stringWidth(shown.slice(0, column - from).join(''));
  const marked = shown.slice(column - from, column - from + (problem.length ?? 1)).join('');
  const gutter = String(line);
  const pad = ' '.repeat(gutter.length);
  const caret = '^'.repeat(Math.max(1, stringWidth(marked)));
  return [
    `  ${colors.dim(`${gutter} |`)} ${shown.join('')}`,
    `  ${colors.dim(`${pad} |`)} ${' '.repeat(before)}${colors.red(caret)}`,
  ];
}

/** One visible character for one code point, so that a caret stands below it and nothing drives the terminal. */
function visible(point: string): string {
  if (point === '\t') return '→';
  const code = point.codePointAt(0) ?? 0;
  return code < 0x20 || (code >= 0x7f && code < 0xa0) ? '�' : point;
}

/** Text of a value or name for a terminal: control characters become visible. */
export function printable(text: string): string {
  let plain = true;
  for (let i = 0; i < text.length && plain; i++) {
    const code = text.charCodeAt(i);
    plain = code >= 0x20 && (code < 0x7f || code >= 0xa0);
  }
  return plain ? text : [...text].map(visible).join('');
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
    head: head.map((name) => colors.bold(printable(name))),
    chars: EMPTY_FRAME,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    colAligns: head.map((_name, index) => style.align?.[index] ?? 'left'),
  });
  for (const row of rows) table.push(row.map(printable));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
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
