/**
 * What is wrong with a file, flag or answer, as the command line shows it: with a place, the line
 * of the text with a caret below it, and what to do. Diagnostics of the compiler become problems
 * too, so that all commands print errors one way.
 */
import type { Diagnostic } from '../compiler/diagnostic.ts';
import { CaucusError } from '../errors.ts';

export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Stable and kebab-case or a code of `ERROR_KINDS`. */
  readonly code: string;
  readonly message: string;
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1, in Unicode code points of the line. */
  readonly column?: number;
  /** Code points to underline; 1 without it. */
  readonly length?: number;
  /** The line of the text, without its end. */
  readonly excerpt?: string;
  readonly note?: string;
  /** As another program shows it already; printed instead of all else. */
  readonly rendered?: string;
}

/** Bad input: exit code 1. Carries everything that was found, not only the first. */
export class ProblemsError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems[0]?.message ?? 'bad input');
    this.name = 'ProblemsError';
    this.problems = problems;
  }
}

/** The server cannot be reached or cannot answer now: exit code 3. */
export class UnavailableError extends ProblemsError {}

/** Bad usage: exit code 2. What can be decided from the command line alone. */
export class UsageError extends Error {
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string) {
    super(message);
    this.name = 'UsageError';
    this.remedy = remedy;
  }
}

export function inputError(
  code: string,
  message: string,
  more: Partial<Problem> = {},
): ProblemsError {
  return new ProblemsError([{ severity: 'error', code, message, ...more }]);
}

export function problemOfDiagnostic(diagnostic: Diagnostic, file: string, text: string): Problem {
  const lineStart = text.lastIndexOf('\n', Math.max(0, diagnostic.span.start - 1)) + 1;
  const start = diagnostic.span.start < lineStart ? diagnostic.span.start : lineStart;
  const newline = text.indexOf('\n', diagnostic.span.start);
  const lineEnd = newline < 0 ? text.length : newline;
  const spanEnd = Math.min(diagnostic.span.end, lineEnd);
  const underlined = text.slice(diagnostic.span.start, spanEnd);
  return {
    severity: diagnostic.severity,
    code: diagnostic.code,
    message: diagnostic.message,
    file,
    line: diagnostic.line,
    column: diagnostic.column,
    length: Math.max(1, [...underlined].length),
    excerpt: text.slice(start, lineEnd).replace(/\r$/, ''),
    ...(diagnostic.note === undefined ? {} : { note: diagnostic.note }),
  };
}

/** The problems that an error stands for; undefined for a defect of the program. */
export function problemsOfError(error: unknown): readonly Problem[] | undefined {
  if (error instanceof ProblemsError) return error.problems;
  if (error instanceof CaucusError && error.code !== 'internal') {
    return [
      {
        severity: 'error',
        code: error.code,
        message: error.message,
        ...(error.remedy === undefined ? {} : { note: error.remedy }),
      },
    ];
  }
  const system = error as NodeJS.ErrnoException;
  if (error instanceof Error && typeof system.code === 'string' && system.syscall !== undefined) {
    return [systemProblem(system)];
  }
  return undefined;
}

/** For `catch`: an error of reading names no file by itself, as of a directory. */
export function withPath(file: string): (error: unknown) => never {
  return (error) => {
    const system = error as NodeJS.ErrnoException;
    if (error instanceof Error && system.syscall !== undefined) system.path ??= file;
    throw error;
  };
}

interface SystemMeaning {
  readonly meaning: string;
  readonly note: string;
}

const MAY_NOT: SystemMeaning = {
  meaning: 'may not be accessed by this user',
  note: 'change its permissions, or run the command as a user who may',
};

const SYSTEM_MEANINGS: Readonly<Record<string, SystemMeaning>> = {
  ENOENT: { meaning: 'does not exist', note: 'check the path, and from which folder it is seen' },
  EACCES: MAY_NOT,
  EPERM: MAY_NOT,
  EISDIR: { meaning: 'is a directory, not a file', note: 'name a file' },
  ENOTDIR: { meaning: 'is not a directory', note: 'name a directory' },
  EEXIST: { meaning: 'exists already', note: 'remove it, or name another one' },
  ENOSPC: { meaning: 'cannot be written: the disk is full', note: 'make space, and try again' },
  EROFS: { meaning: 'cannot be written: the file system is read-only', note: 'name another place' },
};

function systemProblem(error: NodeJS.ErrnoException): Problem {
  const known = error.path === undefined ? undefined : SYSTEM_MEANINGS[error.code ?? ''];
  return {
    severity: 'error',
    code: (error.code ?? 'io').toLowerCase(),
    message: known === undefined ? error.message : `\`${error.path}\` ${known.meaning}`,
    ...(known === undefined ? {} : { note: known.note }),
  };
}
