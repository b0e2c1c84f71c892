/** One run of the fuzzer as data: replayable, printable, and small enough to shrink. */
import { formatValue } from '../../host/value/value.ts';
import type { Row } from '../../host/value/value.ts';
import { between, randomOf } from '../support/prng.ts';
import { generateProgram, generateQuery } from '../support/program-generator.ts';
import type { GeneratedProgram } from '../support/program-generator.ts';
import { UpdateGenerator } from '../support/update-generator.ts';
import type { RowBatch, RowChange } from '../support/update-generator.ts';

export interface FuzzStep {
  readonly batch: RowBatch;
  /** Computed and thrown away. */
  readonly dryRun: boolean;
  /**
   * Statements (numbered through all policies) that are out of force from this step on; absent: as
   * before.
   */
  readonly disabled?: readonly number[];
  /** Asked after the step. */
  readonly queries: readonly string[];
}

export interface FuzzCase {
  readonly program: GeneratedProgram;
  readonly steps: readonly FuzzStep[];
  /** Queries kept as `$view:v0`, `$view:v1` … */
  readonly views: readonly string[];
  /** Tables whose deltas are asked for, by position in `program.tables`; absent: all. */
  readonly watched?: readonly number[];
}

const LARGE_SCALE = 10;
/** One seed of so many has rules that ask for rows which they do not use. */
const QUESTION_SEEDS = 4;
/** And one of so many has all aggregates and recursion through them. */
const BEST_SEEDS = 3;
/** And one of so many has functions, values of all kinds, and tables with keys. */
const CALL_SEEDS = 5;
/** And one of so many has circles of variables. */
const CYCLE_SEEDS = 7;

/** A seed's program and `batches` batches for it; `large`: with some hundred rows a table. */
export function generateCase(seed: number, batches: number, large = false): FuzzCase {
  const questions = seed % QUESTION_SEEDS === 1;
  const best = seed % BEST_SEEDS === 2;
  const calls = seed % CALL_SEEDS === 3;
  const cycles = seed % CYCLE_SEEDS === 4;
  const program = generateProgram(randomOf(seed, 0), { large, questions, best, calls, cycles });
  const scale = large ? LARGE_SCALE : 1;
  const updates = new UpdateGenerator(randomOf(seed, 1), program, scale);
  const random = randomOf(seed, 2);
  const query = (): string => generateQuery(random, program);
  const queries = (probability: number): string[] => (random.chance(probability) ? [query()] : []);
  const steps: FuzzStep[] = [{ batch: updates.initial(), dryRun: false, queries: queries(1) }];
  while (steps.length < batches) {
    const dryRun = random.chance(0.06);
    // A dry run leaves no rows, so the generator must not count on them.
    const batch = dryRun ? new UpdateGenerator(random, program, scale).next() : updates.next();
    const step: FuzzStep = { batch, dryRun, queries: queries(0.3) };
    steps.push(random.chance(0.06) ? { ...step, disabled: someStatements() } : step);
  }
  const views = random.chance(0.3) ? [query()] : [];
  if (random.chance(0.2)) views.push(query());
  const isPartial = random.chance(0.2);
  const watched = program.tables.flatMap((_, index) => (random.chance(0.5) ? [index] : []));
  return { program, steps, views, ...(isPartial ? { watched } : {}) };

  function someStatements(): number[] {
    const count = program.policies.reduce((sum, policy) => sum + policy.statements.length, 0);
    if (random.chance(0.4)) return [];
    return Array.from({ length: between(random, 1, 2) }, () => random.int(count));
  }
}

/** The program without the statements that are out of force. */
export function withoutStatements(
  program: GeneratedProgram,
  disabled: readonly number[],
): GeneratedProgram {
  let number = 0;
  const policies = program.policies.map(({ name, statements }) => ({
    name,
    statements: statements.filter(() => !disabled.includes(number++)),
  }));
  return { ...program, policies };
}

/** The case for people: policies, then what happens step by step. */
export function printCase({ program, steps, views, watched }: FuzzCase): string {
  const lines: string[] = [];
  let number = 0;
  for (const { name, statements } of program.policies) {
    if (statements.length === 0) continue;
    lines.push(`policy ${name}`);
    for (const statement of statements) lines.push(`  ${statement}    // ${number++}`);
  }
  views.forEach((view, index) => lines.push(`view v${index}: ${view}`));
  if (watched !== undefined) lines.push(`watched: ${watched.join(' ')}`);
  steps.forEach((step, index) => {
    const notes = [
      ...(step.dryRun ? ['dry run'] : []),
      ...(step.disabled === undefined ? [] : [`without statements ${step.disabled.join(' ')}`]),
    ];
    lines.push(`step ${index}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`);
    for (const change of step.batch) lines.push(...printChange(change));
    for (const query of step.queries) lines.push(`  query ${query}`);
  });
  return lines.join('\n');
}

function printChange(change: RowChange): string[] {
  const printed = (sign: string, row: Row): string =>
    `  ${sign} ${change.table}(${row.map(formatValue).join(', ')})`;
  return [
    ...(change.replace ? [`  replace ${change.table}`] : []),
    ...change.delete.map((row) => printed('-', row)),
    ...change.insert.map((row) => printed('+', row)),
  ];
}
