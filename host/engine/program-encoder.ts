/**
 * Plan → the bytes that the core decodes (engine-as/program-decoder.ts, its twin, has the format).
 * Asserts what it writes only as far as types do; the decoder checks everything.
 */
import * as abi from '../../engine-as/abi.ts';
import type { AggregatePlan, ColumnUse, Step, Unit, Version, View } from '../compiler/plan.ts';
import { functionNumber } from '../functions/registry.ts';
import { encodeRows } from '../value/row-block.ts';
import { valueKey } from '../value/value.ts';
import type { Value } from '../value/value.ts';

const NONE = 0xffffffff;

const VIEWS: Readonly<Record<View, number>> = {
  read: abi.VIEW_READ,
  old: abi.VIEW_OLD,
  new: abi.VIEW_NEW,
  settled: abi.VIEW_SETTLED,
  stable: abi.VIEW_STABLE,
  base: abi.VIEW_BASE,
};
const MATCHES = { each: abi.MATCH_EACH, once: abi.MATCH_ONCE, absent: abi.MATCH_ABSENT } as const;
const COMPARISONS = {
  '=': abi.COMPARE_EQUAL,
  '!=': abi.COMPARE_NOT_EQUAL,
  '<': abi.COMPARE_LESS,
  '<=': abi.COMPARE_LESS_EQUAL,
  '>': abi.COMPARE_GREATER,
  '>=': abi.COMPARE_GREATER_EQUAL,
  'not before': abi.COMPARE_NOT_BEFORE,
  'not behind': abi.COMPARE_NOT_BEHIND,
} as const;
const COMPUTATIONS = {
  '+': abi.COMPUTE_ADD,
  '-': abi.COMPUTE_SUBTRACT,
  '*': abi.COMPUTE_MULTIPLY,
  '/': abi.COMPUTE_DIVIDE,
  '%': abi.COMPUTE_REMAINDER,
} as const;
const AGGREGATES = {
  count: abi.AGGREGATE_COUNT,
  sum: abi.AGGREGATE_SUM,
  min: abi.AGGREGATE_MIN,
  max: abi.AGGREGATE_MAX,
  avg: abi.AGGREGATE_AVG,
  argmin: abi.AGGREGATE_ARGMIN,
  argmax: abi.AGGREGATE_ARGMAX,
  collect: abi.AGGREGATE_COLLECT,
} as const;
const PURPOSES = {
  full: abi.VERSION_FULL,
  delta: abi.VERSION_DELTA,
  candidate: abi.VERSION_CANDIDATE,
  insert: abi.VERSION_INSERT,
  round: abi.VERSION_ROUND,
  support: abi.VERSION_SUPPORT,
  group: abi.VERSION_GROUP,
} as const;
const UNITS = {
  counting: abi.UNIT_COUNTING,
  recursive: abi.UNIT_RECURSIVE,
  aggregate: abi.UNIT_AGGREGATE,
  best: abi.UNIT_BEST,
} as const;

export interface EncodedRelation {
  readonly handle: number;
  readonly indexes: readonly (readonly number[])[];
}

export interface EncodedUnit {
  readonly unit: Unit;
  /** Its relations are new: it is evaluated from scratch. */
  readonly isFresh: boolean;
  /** In place of those of its only version. */
  readonly constants?: Version['constants'];
}

/** Relation numbers of the units are places in `relations`. */
export function encodeProgram(
  relations: readonly EncodedRelation[],
  units: readonly EncodedUnit[],
): Uint8Array {
  return new ProgramEncoder().encode(relations, units);
}

class ProgramEncoder {
  #words = new Uint32Array(1 << 8);
  #wordCount = 0;
  readonly #constants: Value[] = [];
  /** Place in `#constants`, by the value's key. */
  readonly #places = new Map<string, number>();

  encode(relations: readonly EncodedRelation[], units: readonly EncodedUnit[]): Uint8Array {
    // Filled in when the counts are known.
    const header = this.#claim(HEADER_WORDS);
    for (const { handle, indexes } of relations) {
      this.#put(handle, indexes.length);
      for (const columns of indexes) this.#put(columns.length, ...columns);
    }
    for (const unit of units) this.#putUnit(unit);
    const constants = this.#constants.map((value) => [value]);
    const { bytes } = encodeRows(1, constants);
    this.#words.set(
      [
        abi.PROGRAM_MAGIC,
        abi.ABI_VERSION,
        this.#wordCount,
        relations.length,
        constants.length,
        bytes.length,
        units.length,
      ],
      header,
    );
    const program = new Uint8Array(this.#wordCount * 4 + bytes.length);
    program.set(littleEndian(this.#words.subarray(0, this.#wordCount)));
    program.set(bytes, this.#wordCount * 4);
    return program;
  }

  /** The place of so many more words. */
  #claim(count: number): number {
    const at = this.#wordCount;
    this.#wordCount += count;
    if (this.#wordCount > this.#words.length) {
      const grown = new Uint32Array(Math.max(this.#words.length * 2, this.#wordCount));
      grown.set(this.#words);
      this.#words = grown;
    }
    return at;
  }

  #put(...words: number[]): void {
    const at = this.#claim(words.length);
    this.#words.set(words, at);
  }

  #constant(value: Value): number {
    const key = valueKey(value);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const number = this.#constants.push(value) - 1;
    this.#places.set(key, number);
    return number;
  }

  #putUnit({ unit, isFresh, constants }: EncodedUnit): void {
    this.#put(UNITS[unit.kind], isFresh ? 1 : 0, unit.relations.length, ...unit.relations);
    this.#put(unit.versions.length);
    for (const version of unit.versions) this.#putVersion(version, constants);
    if (unit.aggregate !== undefined) this.#putAggregate(unit.aggregate);
    if (unit.best === undefined) return;
    this.#put(Number(unit.best.isMax));
    for (const { column, index } of unit.best.values) this.#put(column, index ?? NONE);
  }

  #putAggregate(plan: AggregatePlan): void {
    this.#put(plan.input, plan.output, plan.errors ?? NONE, plan.index ?? NONE);
    this.#put(plan.groupColumns.length, ...plan.groupColumns);
    this.#put(plan.aggregates.length);
    for (const one of plan.aggregates)
      this.#put(AGGREGATES[one.function], one.column, one.key ?? one.column);
  }

  /** All but the numbers of its constants is the same in every program. */
  #putVersion(version: Version, constants = version.constants): void {
    let words = encodedVersions.get(version);
    if (words === undefined) encodedVersions.set(version, (words = encodeVersion(version)));
    const at = this.#claim(words.length);
    this.#words.set(words, at);
    for (const [place, { value }] of constants.entries()) {
      this.#words[at + VERSION_WORDS + place * 2 + 1] = this.#constant(value);
    }
  }
}

const HEADER_WORDS = 7;
/** Words of a version before its constants. */
const VERSION_WORDS = 9;
/** Versions stay from plan to plan, and so do their words. */
const encodedVersions = new WeakMap<Version, Uint32Array>();

function encodeVersion(version: Version): Uint32Array {
  const code = encodeSteps(version.steps);
  const polarity = version.isNegative ? abi.POLARITY_NEGATIVE : abi.POLARITY_POSITIVE;
  const head = [
    PURPOSES[version.purpose],
    version.head,
    version.source ?? NONE,
    polarity,
    Number(version.inComponent),
    Number(version.isExit),
    version.registerCount,
    version.rankCount,
    version.constants.length,
  ];
  const constants = version.constants.flatMap(({ register }) => [register, 0]);
  return Uint32Array.from([...head, ...constants, code.length, ...code]);
}

function littleEndian(words: Uint32Array): Uint8Array {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  if (!IS_LITTLE_ENDIAN)
    for (const [at, word] of words.entries()) view.setUint32(at * 4, word, true);
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Word 0 is where the outermost step goes back to; `back` is the last step that iterates. */
function encodeSteps(steps: readonly Step[]): number[] {
  const code: number[] = [abi.OP_END];
  const starts: number[] = [];
  let back = 0;
  for (const step of steps) {
    const start = code.length;
    starts.push(start);
    if (step.op === 'emit' && step.back !== undefined) back = starts[step.back] ?? 0;
    putStep(code, step, back);
    if (step.op === 'delta' || step.op === 'scan' || step.op === 'lookup' || step.op === 'each') {
      back = start;
    }
  }
  return code;
}

function putStep(code: number[], step: Step, back: number): void {
  switch (step.op) {
    case 'delta':
      code.push(abi.OP_DELTA, back, 0, step.rank ?? abi.NO_REGISTER);
      return putUses(code, step.binds, step.checks);
    case 'head':
      code.push(abi.OP_HEAD, back);
      return putUses(code, step.binds, step.checks);
    case 'scan':
    case 'lookup': {
      const { rank, isBounded } = step;
      code.push(step.op === 'scan' ? abi.OP_SCAN : abi.OP_LOOKUP, back, 0, step.relation);
      code.push(VIEWS[step.view], MATCHES[step.match], ...rankWords(rank, isBounded));
      putUses(code, step.binds, step.checks);
      if (step.op === 'lookup') code.push(step.index, step.keys.length, ...step.keys);
      return;
    }
    case 'probe':
      code.push(abi.OP_PROBE, back, step.relation, VIEWS[step.view], Number(step.isAbsent));
      code.push(...rankWords(step.rank, step.isBounded), step.registers.length, ...step.registers);
      return;
    case 'compare':
      code.push(abi.OP_COMPARE, back, COMPARISONS[step.operator], step.left, step.right);
      return;
    case 'differ':
      code.push(abi.OP_DIFFER, back, step.left.length);
      step.left.forEach((left, place) => code.push(left, step.right[place] as number));
      return;
    case 'compute':
      code.push(abi.OP_COMPUTE, back, COMPUTATIONS[step.operator], step.left, step.right);
      code.push(step.output, Number(step.isCheck));
      return;
    case 'call':
      code.push(abi.OP_CALL, back, functionNumber(step.function), step.output);
      code.push(Number(step.isCheck), step.inputs.length, ...step.inputs);
      return;
    case 'callFails':
      code.push(abi.OP_CALL_FAILS, back, functionNumber(step.function));
      code.push(step.inputs.length, ...step.inputs);
      return;
    case 'each':
      code.push(abi.OP_EACH, back, 0, step.list, step.output, Number(step.isCheck));
      return;
    case 'fails':
      code.push(abi.OP_FAILS, back, COMPUTATIONS[step.operator], step.left, step.right);
      return;
    case 'format':
      code.push(abi.OP_FORMAT, back, step.output, step.inputs.length, ...step.inputs);
      return;
    case 'move':
      code.push(abi.OP_MOVE, back, step.from, step.to);
      return;
    case 'emit':
      code.push(abi.OP_EMIT, back, step.ranks.length, step.registers.length);
      code.push(...step.ranks, ...step.registers);
  }
}

function rankWords(rank: number | undefined, isBounded: boolean | undefined): [number, number] {
  return [rank ?? abi.NO_REGISTER, isBounded === true ? 0 : abi.NO_REGISTER];
}

function putUses(code: number[], binds: readonly ColumnUse[], checks: readonly ColumnUse[]): void {
  code.push(binds.length, checks.length);
  for (const use of [...binds, ...checks]) code.push(use.column, use.register);
}
