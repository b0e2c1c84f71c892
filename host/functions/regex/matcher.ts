/**
 * Runs a program over code points: all threads in step, each instruction at most once a position
 * (Pike's machine). The time is the size of the program times the length of the text, whatever the
 * pattern. Of several matches the leftmost is taken, and of those the one that Perl would find.
 */
import type { RegexProgram } from './program.ts';
import type { AssertKind, Ranges } from './syntax.ts';

/** Start and end of the match and of each group, in code points; −1: the group took no part. */
export type Slots = readonly number[];

/** The first match from `from` on, or undefined. */
export function findMatch(
  { instructions, groups }: RegexProgram,
  text: readonly number[],
  from: number,
): Slots | undefined {
  const slotCount = (groups.length + 1) * 2;
  let current = new Threads(instructions.length);
  let next = new Threads(instructions.length);
  let best: Slots | undefined;
  const add = (threads: Threads, start: number, at: number, slots: Slots): void => {
    // A stack of its own: a pattern may nest deeper than calls.
    const stack: { pc: number; slots: Slots }[] = [{ pc: start, slots }];
    for (;;) {
      const entry = stack.pop();
      if (entry === undefined) return;
      const { pc } = entry;
      if (threads.has(pc)) continue;
      threads.add(pc, entry.slots);
      const instruction = instructions[pc];
      switch (instruction?.op) {
        case 'jump':
          stack.push({ pc: instruction.to, slots: entry.slots });
          break;
        case 'split':
          stack.push({ pc: instruction.second, slots: entry.slots });
          stack.push({ pc: instruction.first, slots: entry.slots });
          break;
        case 'save': {
          const saved = entry.slots.slice();
          saved[instruction.slot] = at;
          stack.push({ pc: pc + 1, slots: saved });
          break;
        }
        case 'assert':
          if (holds(instruction.what, text, at)) stack.push({ pc: pc + 1, slots: entry.slots });
          break;
        default:
      }
    }
  };
  const empty: Slots = Array.from({ length: slotCount }, () => -1);
  for (let at = from; at <= text.length; at++) {
    if (best === undefined) add(current, 0, at, empty);
    if (current.count === 0) break;
    const code = text[at];
    for (let place = 0; place < current.count; place++) {
      const pc = current.pcs[place] as number;
      const instruction = instructions[pc];
      if (instruction?.op === 'match') {
        best = current.slots[place];
        // What comes behind is less preferred.
        break;
      }
      if (instruction?.op !== 'ranges' || code === undefined) continue;
      if (isIn(instruction.ranges, code)) add(next, pc + 1, at + 1, current.slots[place] as Slots);
    }
    [current, next] = [next, current];
    next.clear();
  }
  return best;
}

/** Places in a program, in the order of preference, each with what it noted on its way. */
class Threads {
  readonly pcs: Int32Array;
  readonly slots: Slots[] = [];
  readonly #places: Int32Array;
  count = 0;

  constructor(size: number) {
    this.pcs = new Int32Array(size);
    this.#places = new Int32Array(size);
  }

  has(pc: number): boolean {
    const place = this.#places[pc] as number;
    return place < this.count && this.pcs[place] === pc;
  }

  add(pc: number, slots: Slots): void {
    this.#places[pc] = this.count;
    this.pcs[this.count] = pc;
    this.slots[this.count] = slots;
    this.count++;
  }

  clear(): void {
    this.count = 0;
  }
}

function isIn(ranges: Ranges, code: number): boolean {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > (ranges[middle * 2 + 1] as number)) low = middle + 1;
    else if (code < (ranges[middle * 2] as number)) high = middle;
    else return true;
  }
  return false;
}

function holds(what: AssertKind, text: readonly number[], at: number): boolean {
  switch (what) {
    case 'start':
      return at === 0;
    case 'end':
      return at === text.length;
    case 'lineStart':
      return at === 0 || text[at - 1] === 10;
    case 'lineEnd':
      return at === text.length || text[at] === 10;
    default: {
      const isBoundary = isWord(text[at - 1]) !== isWord(text[at]);
      return isBoundary === (what === 'word');
    }
  }
}

function isWord(code: number | undefined): boolean {
  if (code === undefined) return false;
  if (code === 0x5f || (code >= 0x30 && code <= 0x39)) return true;
  const letter = code | 0x20;
  return code < 0x80 && letter >= 0x61 && letter <= 0x7a;
}
