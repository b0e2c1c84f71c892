/** `caucus test`: runs the tests in policy files, which are compiled together as one catalog. */
import type { PolicyTest } from '../compiler/compile-tests.ts';
import { TEST_ROWS_PER_TABLE_MAX } from '../limits.ts';
import { coverageCounts, percentOf } from '../policy-tests/coverage.ts';
import { isPassed, runTests } from '../policy-tests/run-tests.ts';
import type { TestRun } from '../policy-tests/run-tests.ts';
import { stringifyJson } from '../value/json.ts';
import { compileTestTexts } from './compile-files.ts';
import { createEngine } from './core-engine.ts';
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-code.ts';
import { readPolicyTexts } from './policy-imports.ts';
import { inputError, ProblemsError } from './problem.ts';
import type { Terminal } from './terminal.ts';
import { coverageJson, resultsJson } from './test-json.ts';
import { Places } from './test-places.ts';
import { TestReport } from './test-report.ts';

export interface TestOptions {
  /** Runs the tests whose names contain it. */
  readonly filter?: string;
  readonly coverage?: boolean;
  /** Per cent that the coverage must reach. */
  readonly coverageMin?: number;
}

export async function test(
  files: readonly string[],
  options: TestOptions,
  terminal: Terminal,
): Promise<number> {
  const sources = await readPolicyTexts(files);
  const { program, tests, problems } = compileTestTexts(sources);
  if (program === undefined) throw new ProblemsError(problems);
  terminal.problems(problems);
  const chosen = chosenTests(tests, options.filter);
  const engine = await createEngine(TEST_ROWS_PER_TABLE_MAX);
  const withCoverage = options.coverage === true || options.coverageMin !== undefined;
  let run: TestRun;
  try {
    const now = (): number => performance.now();
    run = await runTests(program, chosen, engine, { coverage: withCoverage, now });
  } finally {
    engine.close();
  }
  const places = new Places(sources);
  const passed = run.results.filter(isPassed).length;
  const failed = run.results.length - passed;
  if (terminal.json) {
    const coverage =
      run.coverage === undefined ? {} : { coverage: coverageJson(run.coverage.rules, places) };
    const results = resultsJson(program, run.results, places);
    terminal.print(stringifyJson({ tests: results, passed, failed, ...coverage }));
  } else new TestReport(program, places, terminal).print(run, passed, failed);
  const isCovered = checkCoverage(run, options.coverageMin, terminal);
  return failed > 0 || !isCovered ? EXIT_BAD_INPUT : EXIT_OK;
}

function chosenTests(
  tests: readonly PolicyTest[],
  filter: string | undefined,
): readonly PolicyTest[] {
  const chosen = tests.filter(({ name }) => name.includes(filter ?? ''));
  if (chosen.length > 0) return chosen;
  throw filter === undefined || tests.length === 0
    ? inputError('no-tests', 'the files have no tests', {
        note: 'write `test "name" { given …. expect …. }` in a policy',
      })
    : inputError('no-tests', `no name of the ${tests.length} tests contains \`${filter}\``);
}

function checkCoverage(run: TestRun, min: number | undefined, terminal: Terminal): boolean {
  if (run.coverage === undefined || min === undefined) return true;
  const { covered, total } = coverageCounts(run.coverage.rules);
  const reached = percentOf(covered, total);
  if (reached >= min) return true;
  terminal.problems([
    {
      severity: 'error',
      code: 'coverage',
      message: `the tests cover ${reached} %, less than ${min} %`,
      note: 'see what they leave out with `--coverage`, or lower `--coverage-min`',
    },
  ]);
  return false;
}
