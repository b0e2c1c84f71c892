/**
 * Pattern text → tree. The syntax is RE2's without Unicode classes:
 *
 *   x y | ( ) (?:…) (?<name>…) (?P<name>…) (?i) (?i:…)   flags i, m, s, U off by default
 *   * + ? {n} {n,} {n,m}, each lazy with ? behind it
 *   . [a-z] [^a-z] [[:alpha:]] \d \w \s \D \W \S \b \B \A \z ^ $
 *   \n \r \t \f \v \a \xHH \x{H…} and \ before any punctuation; \Q…\E
 *
 * No references back and no looking around: what takes more than linear time is not there.
 */

/** Pairs of code points, first and last. */
export type Ranges = readonly number[];
export type AssertKind = 'start' | 'end' | 'lineStart' | 'lineEnd' | 'word' | 'noWord';

export type RegexNode =
  | { readonly kind: 'ranges'; readonly ranges: Ranges }
  | { readonly kind: 'assert'; readonly what: AssertKind }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'group'; readonly index: number; readonly part: RegexNode }
  | {
      readonly kind: 'repeat';
      readonly part: RegexNode;
      readonly least: number;
      /** Infinity: no bound. */
      readonly most: number;
      readonly isLazy: boolean;
    };

export interface RegexTree {
  readonly root: RegexNode;
  /** Name of each group, from 1; undefined for one without. */
  readonly groups: readonly (string | undefined)[];
}

/** What is wrong with a pattern, and where (in code points). */
export class RegexError extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

const CODE_POINT_MAX = 0x10ffff;
const REPEATS_MAX = 1000;
const DEPTH_MAX = 100;
const DIGIT: Ranges = [0x30, 0x39];
const WORD: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const SPACE: Ranges = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7 };
const POSIX: Readonly<Record<string, Ranges>> = {
  alnum: [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a],
  alpha: [0x41, 0x5a, 0x61, 0x7a],
  ascii: [0, 0x7f],
  blank: [0x09, 0x09, 0x20, 0x20],
  cntrl: [0, 0x1f, 0x7f, 0x7f],
  digit: DIGIT,
  graph: [0x21, 0x7e],
  lower: [0x61, 0x7a],
  print: [0x20, 0x7e],
  punct: [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e],
  space: [0x09, 0x0d, 0x20, 0x20],
  upper: [0x41, 0x5a],
  word: WORD,
  xdigit: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66],
};

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

/** `fold`: all code points that differ from one in case only, itself included. */
export function parseRegex(
  pattern: string,
  isCaseless: boolean,
  fold: (code: number) => readonly number[],
): RegexTree {
  return new RegexParser(pattern, isCaseless, fold).parse();
}

class RegexParser {
  readonly #points: readonly string[];
  readonly #fold: (code: number) => readonly number[];
  readonly #groups: (string | undefined)[] = [];
  #at = 0;
  #depth = 0;
  #flags: Flags;

  constructor(pattern: string, isCaseless: boolean, fold: (code: number) => readonly number[]) {
    this.#points = [...pattern];
    this.#fold = fold;
    this.#flags = { i: isCaseless, m: false, s: false };
  }

  parse(): RegexTree {
    const root = this.#choice();
    if (this.#at < this.#points.length) this.#fail('a `)` closes nothing');
    return { root, groups: this.#groups };
  }

  #choice(): RegexNode {
    if (++this.#depth > DEPTH_MAX) this.#fail('the pattern is nested too deep');
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    this.#depth--;
    return parts.length === 1 ? (parts[0] as RegexNode) : { kind: 'choice', parts };
  }

  #sequence(): RegexNode {
    const parts: RegexNode[] = [];
    while (this.#at < this.#points.length && !this.#is('|') && !this.#is(')')) {
      const atom = this.#atom();
      if (atom !== undefined) parts.push(this.#repeated(atom));
    }
    return parts.length === 1 ? (parts[0] as RegexNode) : { kind: 'sequence', parts };
  }

  #repeated(part: RegexNode): RegexNode {
    const bounds = this.#bounds();
    if (bounds === undefined) return part;
    const [least, most] = bounds;
    const isLazy = this.#take('?');
    if (this.#bounds() !== undefined) this.#fail('a repetition is repeated');
    return { kind: 'repeat', part, least, most, isLazy };
  }

  #bounds(): [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    if (!this.#is('{')) return undefined;
    const rest = this.#points.slice(this.#at, this.#at + 12).join('');
    const match = /^\{(\d{1,4})(,?)(\d{0,4})\}/.exec(rest);
    // Anything else in braces is text, as in RE2.
    if (match === null) return undefined;
    const least = Number(match[1]);
    const most = match[2] === '' ? least : match[3] === '' ? Infinity : Number(match[3]);
    if ((match[2] === '' && match[3] !== '') || most < least) this.#fail('bounds of a repetition');
    if (least > REPEATS_MAX || (most !== Infinity && most > REPEATS_MAX)) {
      this.#fail(`more than ${REPEATS_MAX} repetitions`);
    }
    this.#at += match[0].length;
    return [least, most];
  }

  #atom(): RegexNode | undefined {
    const point = this.#next();
    switch (point) {
      case '(':
        return this.#group();
      case '[':
        return this.#class();
      case '.':
        return ranges(this.#flags.s ? [0, CODE_POINT_MAX] : [0, 9, 11, CODE_POINT_MAX]);
      case '^':
        return { kind: 'assert', what: this.#flags.m ? 'lineStart' : 'start' };
      case '$':
        return { kind: 'assert', what: this.#flags.m ? 'lineEnd' : 'end' };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        return this.#fail('nothing stands before a repetition');
      default:
        return this.#literal(codeOf(point));
    }
  }

  #group(): RegexNode | undefined {
    const flags = this.#flags;
    let index: number | undefined;
    if (this.#take('?')) {
      const name = this.#groupName();
      if (name === undefined) {
        // `(?i)` holds until the group around it ends.
        if (this.#groupFlags()) return undefined;
      } else index = this.#groups.push(name);
    } else index = this.#groups.push(undefined);
    const part = this.#choice();
    if (!this.#take(')')) this.#fail('a `(` is not closed');
    this.#flags = flags;
    return index === undefined ? part : { kind: 'group', index, part };
  }

  #groupName(): string | undefined {
    const rest = this.#points.slice(this.#at, this.#at + 70).join('');
    const match = /^P?<([A-Za-z_][A-Za-z0-9_]{0,63})>/.exec(rest);
    if (match === null) return undefined;
    this.#at += match[0].length;
    const name = match[1] as string;
    if (this.#groups.includes(name)) this.#fail(`two groups have the name \`${name}\``);
    return name;
  }

  /** True for flags that are no group. */
  #groupFlags(): boolean {
    let isOn = true;
    for (;;) {
      const point = this.#next();
      if (point === ':') return false;
      if (point === ')') {
        return true;
      }
      if (point === '-' && isOn) isOn = false;
      else if (point === 'i' || point === 'm' || point === 's') {
        this.#flags = { ...this.#flags, [point]: isOn };
      } else this.#fail('a group that is not known; there is no looking around');
    }
  }

  #escape(): RegexNode | undefined {
    if (this.#take('Q')) return this.#quoted();
    const point = this.#next();
    const known = classOf(point);
    if (known !== undefined) return ranges(known);
    switch (point) {
      case 'b':
        return { kind: 'assert', what: 'word' };
      case 'B':
        return { kind: 'assert', what: 'noWord' };
      case 'A':
        return { kind: 'assert', what: 'start' };
      case 'z':
        return { kind: 'assert', what: 'end' };
      default:
        return this.#literal(this.#escapedCode(point));
    }
  }

  #quoted(): RegexNode {
    const parts: RegexNode[] = [];
    while (this.#at < this.#points.length) {
      if (this.#is('\\') && this.#points[this.#at + 1] === 'E') {
        this.#at += 2;
        break;
      }
      parts.push(this.#literal(codeOf(this.#next())));
    }
    return { kind: 'sequence', parts };
  }

  #escapedCode(point: string): number {
    const control = ESCAPES[point];
    if (control !== undefined) return control;
    if (point === 'x') return this.#hex();
    if (/[A-Za-z0-9]/.test(point)) this.#fail(`there is no escape \`\\${point}\``);
    return codeOf(point);
  }

  #hex(): number {
    const rest = this.#points.slice(this.#at, this.#at + 8).join('');
    const match = /^(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/.exec(rest);
    const code = Number.parseInt(match?.[1] ?? match?.[2] ?? '', 16);
    if (match === null || code > CODE_POINT_MAX) this.#fail('an escape `\\x` needs hex digits');
    this.#at += match[0].length;
    return code;
  }

  #class(): RegexNode {
    const isNegated = this.#take('^');
    const found: number[] = [];
    for (let isFirst = true; isFirst || !this.#is(']'); isFirst = false) {
      if (this.#at >= this.#points.length) this.#fail('a `[` is not closed');
      const known = this.#classPart();
      if (typeof known !== 'number') {
        found.push(...known);
        continue;
      }
      let last = known;
      if (this.#is('-') && this.#points[this.#at + 1] !== ']') {
        this.#at++;
        const end = this.#classPart();
        if (typeof end !== 'number' || end < known) this.#fail('a range of a class is upside down');
        last = end;
      }
      found.push(known, last);
    }
    this.#at++;
    const folded = this.#flags.i ? this.#foldRanges(found) : found;
    const merged = merge(folded);
    return ranges(isNegated ? complement(merged) : merged);
  }

  /** A code point, or the ranges of a class inside the class. */
  #classPart(): number | Ranges {
    const point = this.#next();
    if (point === '[' && this.#is(':')) {
      const rest = this.#points.slice(this.#at, this.#at + 12).join('');
      const match = /^:(\^?)([a-z]+):\]/.exec(rest);
      const known = POSIX[match?.[2] ?? ''];
      if (match === null || known === undefined) return this.#fail('a class that is not known');
      this.#at += match[0].length;
      return match[1] === '^' ? complement(known) : known;
    }
    if (point !== '\\') return codeOf(point);
    const escaped = this.#next();
    return classOf(escaped) ?? this.#escapedCode(escaped);
  }

  #literal(code: number): RegexNode {
    if (!this.#flags.i) return ranges([code, code]);
    return ranges(merge(this.#fold(code).flatMap((one) => [one, one])));
  }

  #foldRanges(found: Ranges): Ranges {
    const folded = [...found];
    for (let index = 0; index < found.length; index += 2) {
      const [from, to] = [found[index] as number, found[index + 1] as number];
      // Letters with another case lie below this; a larger range is walked up to there.
      for (let code = from; code <= Math.min(to, 0x1e943); code++) {
        for (const other of this.#fold(code)) if (other !== code) folded.push(other, other);
      }
    }
    return folded;
  }

  #is(point: string): boolean {
    return this.#points[this.#at] === point;
  }

  #take(point: string): boolean {
    if (!this.#is(point)) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const point = this.#points[this.#at];
    if (point === undefined) return this.#fail('the pattern ends in the middle');
    this.#at++;
    return point;
  }

  #fail(message: string): never {
    throw new RegexError(message, this.#at);
  }
}

function ranges(all: Ranges): RegexNode {
  return { kind: 'ranges', ranges: all };
}

function codeOf(point: string): number {
  return point.codePointAt(0) as number;
}

function classOf(point: string): Ranges | undefined {
  switch (point) {
    case 'd':
      return DIGIT;
    case 'D':
      return complement(DIGIT);
    case 'w':
      return WORD;
    case 'W':
      return complement(WORD);
    case 's':
      return SPACE;
    case 'S':
      return complement(SPACE);
    default:
      return undefined;
  }
}

/** Ascending, apart from each other. */
function merge(all: Ranges): number[] {
  const pairs: [number, number][] = [];
  for (let index = 0; index < all.length; index += 2) {
    pairs.push([all[index] as number, all[index + 1] as number]);
  }
  pairs.sort((a, b) => a[0] - b[0]);
  const merged: number[] = [];
  for (const [from, to] of pairs) {
    const end = merged.at(-1);
    if (end !== undefined && from <= end + 1) merged[merged.length - 1] = Math.max(end, to);
    else merged.push(from, to);
  }
  return merged;
}

function complement(all: Ranges): number[] {
  const others: number[] = [];
  let next = 0;
  for (let index = 0; index < all.length; index += 2) {
    const from = all[index] as number;
    if (from > next) others.push(next, from - 1);
    next = (all[index + 1] as number) + 1;
  }
  if (next <= CODE_POINT_MAX) others.push(next, CODE_POINT_MAX);
  return others;
}
