/**
 * What is wrong with a configuration, with its place: a flag, a variable, or file, line and column.
 * All of it is reported at once. The value of a secret is never repeated, neither in a message nor
 * in the line that is shown.
 */
import type { ConfigFile } from './config-file.ts';
import type { Span } from '../compiler/source-text.ts';

export type Place =
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'file'; readonly file: ConfigFile; readonly span: Span }
  /** Nothing was written where something has to be. */
  | { readonly kind: 'nowhere' };

/** As the command line shows problems. */
export interface ConfigProblem {
  readonly severity: 'error';
  /** `usage` of flags and variables; docs/CONFIGURATION.md lists those of files. */
  readonly code: string;
  readonly message: string;
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1, in Unicode code points. */
  readonly column?: number;
  readonly length?: number;
  readonly excerpt?: string;
  readonly note?: string;
}

export const CONFIG_CODES = {
  'config-syntax': 'the file is not YAML, or not a map of options',
  'unknown-option': 'an option, driver option or variable has no such name',
  'bad-option': 'the value of an option does not fit',
  'missing-option': 'an option is missing that another one needs',
  'conflicting-options': 'two options contradict each other',
} as const;

export type ConfigCode = keyof typeof CONFIG_CODES;

/** A configuration that cannot be used. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems[0]?.message ?? 'bad configuration');
    this.name = 'ConfigError';
    this.problems = problems;
  }

  /** Of the first problem. */
  get remedy(): string | undefined {
    return this.problems[0]?.note;
  }

  /** The command line and the environment alone show it; no file has to be read for that. */
  get isUsage(): boolean {
    return this.problems.every(({ code }) => code === 'usage');
  }
}

export class Report {
  readonly #problems: ConfigProblem[] = [];

  /** Those of a file in the order of its lines. */
  get problems(): readonly ConfigProblem[] {
    return this.#problems.toSorted(
      (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
    );
  }

  add(place: Place, code: ConfigCode, message: string, note?: string): void {
    const rest = note === undefined ? {} : { note };
    switch (place.kind) {
      case 'flag':
        this.#push('usage', `\`${place.flag}\`: ${message}`, rest);
        break;
      case 'variable':
        this.#push('usage', `\`${place.name}\`: ${message}`, rest);
        break;
      case 'nowhere':
        this.#push('usage', message, rest);
        break;
      case 'file':
        this.#push(code, message, { ...place.file.placeOf(place.span), ...rest });
    }
  }

  /** Something named by an option that cannot be read. */
  addUnreadable(place: Place, key: string, file: string, error: unknown): void {
    const { code = 'io' } = error as NodeJS.ErrnoException;
    const at = place.kind === 'file' ? place.file.placeOf(place.span) : {};
    const subject =
      place.kind === 'flag' ? place.flag : place.kind === 'variable' ? place.name : key;
    this.#push(code.toLowerCase(), `\`${subject}\`: \`${file}\` ${unreadable(code)}`, at);
  }

  throwIfAny(): void {
    if (this.problems.length > 0) throw new ConfigError(this.problems);
  }

  #push(code: string, message: string, rest: Partial<ConfigProblem>): void {
    this.#problems.push({ severity: 'error', code, message, ...rest });
  }
}

/** How a message names what stands at a place whose kind does not tell it already. */
export function subjectOf(place: Place, key: string): string {
  return place.kind === 'file' || place.kind === 'nowhere' ? `\`${key}\`: ` : '';
}

export function unreadable(code: string): string {
  switch (code) {
    case 'ENOENT':
      return 'does not exist';
    case 'EISDIR':
      return 'is a directory, not a file';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this user';
    default:
      return `cannot be read: ${code}`;
  }
}
