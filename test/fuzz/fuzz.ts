/**
 * Random stratified programs with random batches: after every batch the engine under test, kept up
 * to date, must agree with itself from scratch and with the naive reference.
 */
import { checkCase, InvalidCase } from './check-case.ts';
import type { Difference } from './check-case.ts';
import type { EngineKind } from './engine-kind.ts';
import { generateCase, printCase } from './fuzz-case.ts';
import type { FuzzCase } from './fuzz-case.ts';
import { shrink } from './shrink.ts';

export interface FuzzOptions {
  /** Of the first program; program n has seed + n. */
  readonly seed: number;
  /** At least so many in all. */
  readonly batches: number;
  /** Of one program. */
  readonly batchesPerProgram?: number;
  /** Larger tables; far slower, for the reference is. */
  readonly large?: boolean;
  /** See `CheckOptions`. */
  readonly scratchEvery?: number;
  /** Stop at this time (`performance.now()`), though fewer batches have run. */
  readonly until?: number;
  readonly onProgress?: (done: FuzzReport) => void;
}

export interface FuzzReport {
  readonly programs: number;
  readonly batches: number;
}

/** What was found; the message holds the seed, the shrunk case and the first difference. */
export class FuzzFailure extends Error {
  readonly seed: number;
  readonly shrunk: FuzzCase;

  constructor(
    kind: EngineKind,
    seed: number,
    shrunk: FuzzCase,
    difference: Difference,
    options: FuzzOptions,
  ) {
    const large = options.large === true ? ' --large' : '';
    super(
      [
        `the ${kind.name} engine differs from the reference, seed ${seed}`,
        `reproduce: npm run fuzz -- --engine ${kind.name} --seed ${seed} --batches 1${large}`,
        '',
        printCase(shrunk),
        '',
        `after step ${difference.step}: ${difference.what}`,
      ].join('\n'),
    );
    this.name = 'FuzzFailure';
    this.seed = seed;
    this.shrunk = shrunk;
  }
}

const BATCHES_PER_PROGRAM = 24;

/** Throws a `FuzzFailure` for the first seed whose case differs. */
export async function compareEngines(kind: EngineKind, options: FuzzOptions): Promise<FuzzReport> {
  const perProgram = options.batchesPerProgram ?? BATCHES_PER_PROGRAM;
  const check = { scratchEvery: options.scratchEvery ?? 1 };
  let [programs, batches] = [0, 0];
  while (batches < options.batches) {
    if (options.until !== undefined && performance.now() > options.until) break;
    const seed = options.seed + programs;
    const fuzzCase = generateCase(seed, perProgram, options.large === true);
    const difference = await checkCase(kind, fuzzCase, check);
    if (difference !== undefined)
      throw await shrunkFailure(kind, seed, fuzzCase, difference, options);
    programs++;
    batches += fuzzCase.steps.length;
    options.onProgress?.({ programs, batches });
  }
  return { programs, batches };
}

async function shrunkFailure(
  kind: EngineKind,
  seed: number,
  fuzzCase: FuzzCase,
  difference: Difference,
  options: FuzzOptions,
): Promise<FuzzFailure> {
  const failing = { ...fuzzCase, steps: fuzzCase.steps.slice(0, difference.step + 1) };
  const differenceOf = async (candidate: FuzzCase): Promise<Difference | undefined> => {
    try {
      return await checkCase(kind, candidate, { scratchEvery: 1 });
    } catch (error) {
      if (error instanceof InvalidCase) return undefined;
      throw error;
    }
  };
  const shrunk = await shrink(failing, async (candidate) => {
    return (await differenceOf(candidate)) !== undefined;
  });
  const first = (await differenceOf(shrunk)) ?? difference;
  return new FuzzFailure(kind, seed, shrunk, first, options);
}
