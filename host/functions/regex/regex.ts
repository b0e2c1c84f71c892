/** Compiled patterns, kept while they are in use. */
import { REGEX_INSTRUCTIONS_MAX, REGEX_KEPT_MAX, REGEX_WORK_MAX } from '../../limits.ts';
import { toLower, toUpper } from '../case-table.ts';
import { findMatch } from './matcher.ts';
import type { Slots } from './matcher.ts';
import { compileTree } from './program.ts';
import type { RegexProgram } from './program.ts';
import { parseRegex, RegexError } from './syntax.ts';

const kept = new Map<string, RegexProgram | RegexError>();

const WORK_PER_STEP = 16;
/** Instructions times characters since `resetWork`. */
let work = 0;

export function resetWork(): void {
  work = 0;
}

/** What searches took since `resetWork`, in steps of the engine. */
export function workSteps(): number {
  return Math.ceil(work / WORK_PER_STEP);
}

/** What is wrong with a pattern; undefined where nothing is. */
export function regexProblem(pattern: string): string | undefined {
  const compiled = compiledOf(pattern, false);
  return compiled instanceof RegexError ? compiled.message : undefined;
}

/** A text against a pattern; undefined where the pattern is none, or both are too large. */
export function openRegex(
  pattern: string,
  text: string,
  isCaseless = false,
): RegexSearch | undefined {
  const compiled = compiledOf(pattern, isCaseless);
  if (compiled instanceof RegexError) return undefined;
  if (compiled.instructions.length * (text.length + 1) > REGEX_WORK_MAX) return undefined;
  return new RegexSearch(compiled, text);
}

export class RegexSearch {
  readonly program: RegexProgram;
  readonly #points: readonly string[];
  readonly #codes: readonly number[];

  constructor(program: RegexProgram, text: string) {
    this.program = program;
    this.#points = [...text];
    this.#codes = this.#points.map((point) => point.codePointAt(0) as number);
  }

  first(): Slots | undefined {
    work += this.#codes.length * this.program.instructions.length;
    return findMatch(this.program, this.#codes, 0);
  }

  /**
   * Matches from left to right that do not overlap; an empty one does not follow another directly.
   * Undefined where finding them takes more than `REGEX_WORK_MAX`.
   */
  all(): Slots[] | undefined {
    const found: Slots[] = [];
    const before = work;
    for (let from = 0; from <= this.#codes.length;) {
      const match = findMatch(this.program, this.#codes, from);
      const end = match?.[1] ?? this.#codes.length;
      work += (end - from + 1) * this.program.instructions.length;
      if (work - before > REGEX_WORK_MAX * 2) return undefined;
      if (match === undefined) break;
      const start = match[0] as number;
      const isEmpty = start === end;
      if (!(isEmpty && found.at(-1)?.[1] === start)) found.push(match);
      from = isEmpty ? end + 1 : end;
    }
    return found;
  }

  /** Text between two positions; undefined for a group that took no part. */
  text(from: number | undefined, to: number | undefined): string | undefined {
    if (from === undefined || from < 0) return undefined;
    return this.#points.slice(from, to).join('');
  }
}

function compiledOf(pattern: string, isCaseless: boolean): RegexProgram | RegexError {
  const key = `${isCaseless ? 'i' : ' '}${pattern}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const compiled = compile(pattern, isCaseless);
  if (kept.size >= REGEX_KEPT_MAX) kept.clear();
  kept.set(key, compiled);
  return compiled;
}

function compile(pattern: string, isCaseless: boolean): RegexProgram | RegexError {
  if (pattern.length > REGEX_INSTRUCTIONS_MAX) {
    return new RegexError('the pattern is too large', 0);
  }
  try {
    return compileTree(parseRegex(pattern, isCaseless, casesOf), REGEX_INSTRUCTIONS_MAX);
  } catch (error) {
    if (error instanceof RegexError) return error;
    throw error;
  }
}

function casesOf(code: number): number[] {
  const cases = new Set([code]);
  for (const one of [toLower.get(code), toUpper.get(code)]) if (one !== undefined) cases.add(one);
  const lower = toLower.get(code) ?? code;
  const upper = toUpper.get(lower);
  if (upper !== undefined) cases.add(upper);
  return [...cases];
}
