/** What `caucus test` prints for people. */
import type { PolicyTest } from '../compiler/compile-tests.ts';
import type { StratifiedProgram } from '../compiler/stratified.ts';
import { ExplanationText } from '../explain/text.ts';
import { coverageCounts, percentOf } from '../policy-tests/coverage.ts';
import type { RuleCoverage } from '../policy-tests/coverage.ts';
import { isPassed } from '../policy-tests/run-tests.ts';
import type { StepFailure, TestResult, TestRun } from '../policy-tests/run-tests.ts';
import type { Colors, Terminal } from './terminal.ts';
import type { Places } from './test-places.ts';

const LINES_SHOWN_MAX = 5;
const FAILURE_LINES_MAX = 60;

export class TestReport {
  readonly #program: StratifiedProgram;
  readonly #places: Places;
  readonly #terminal: Terminal;
  readonly #colors: Colors;

  constructor(program: StratifiedProgram, places: Places, terminal: Terminal) {
    this.#program = program;
    this.#places = places;
    this.#terminal = terminal;
    this.#colors = terminal.out;
  }

  print({ results, coverage }: TestRun, passed: number, failed: number): void {
    for (const result of results) this.#result(result);
    if (coverage !== undefined) this.#coverage(coverage.rules);
    const { green, red } = this.#colors;
    const counts = [`${passed} passed`, ...(failed === 0 ? [] : [`${failed} failed`])];
    this.#terminal.print((failed === 0 ? green : red)(counts.join(', ')));
  }

  #result(result: TestResult): void {
    const { test, failures, error, failedCalls } = result;
    const { green, red, dim, yellow } = this.#colors;
    const place = dim(`${this.#places.file(test.policy)}:${test.line}`);
    const word = isPassed(result) ? green('ok') : red('failed');
    this.#terminal.print(`${word} ${test.name}  ${place}`);
    if (error !== undefined) this.#terminal.print(`  ${error}`);
    for (const failure of failures) this.#failure(test, failure);
    if (failedCalls.length === 0) return;
    const calls = failedCalls.length === 1 ? '1 call' : `${failedCalls.length} calls`;
    this.#terminal.print(
      yellow(`  ${calls} failed and gave no row; \`expect system:errors(…)\` where it is meant`),
    );
    const text = new ExplanationText(this.#program.tables, test.policy);
    for (const row of failedCalls.slice(0, LINES_SHOWN_MAX)) {
      this.#terminal.print(`    ${text.row('system:errors', row)}`);
    }
  }

  #failure(test: PolicyTest, failure: StepFailure): void {
    const { red, green, bold } = this.#colors;
    const place = `${this.#places.file(test.policy)}:${failure.step.line}`;
    this.#terminal.print(`  ${bold(failure.step.text)}  ${this.#colors.dim(place)}`);
    const tables = failure.kind === 'holds' ? (failure.query.tables ?? []) : this.#program.tables;
    const text = new ExplanationText(tables, test.policy);
    const lines: string[] = [];
    if (failure.kind === 'holds') {
      lines.push(...text.failing(failure.failing));
    } else {
      for (const { table, missing, unexpected, matching } of failure.tables) {
        lines.push(...missing.map((row) => red(`- ${text.row(table, row)}`)));
        lines.push(...unexpected.map((row) => green(`+ ${text.row(table, row)}`)));
        if (matching > 0) lines.push(`  and ${matching} as expected`);
      }
    }
    for (const reason of failure.whyNot) lines.push(...text.whyNot(reason));
    for (const proof of failure.proofs) lines.push(...text.proof(proof));
    const shown = lines.slice(0, FAILURE_LINES_MAX);
    for (const line of shown) this.#terminal.print(`    ${line}`);
    if (shown.length < lines.length) {
      this.#terminal.print(`    and ${lines.length - shown.length} more lines`);
    }
  }

  #coverage(rules: readonly RuleCoverage[]): void {
    const { yellow, bold } = this.#colors;
    const print = (line: string): void => this.#terminal.print(line);
    for (const { rule, fired, literals } of rules) {
      const { policy, span } = rule;
      const place = `${this.#places.file(policy)}:${this.#places.line(policy, span.start)}`;
      if (!fired) {
        print(`${yellow('never fired')} ${rule.text}  ${this.#colors.dim(place)}`);
        if (literals.every(({ held }) => !held)) continue;
      }
      for (const literal of literals) {
        const what = !literal.held
          ? 'never held'
          : literal.failed === false
            ? 'never failed'
            : undefined;
        if (what === undefined) continue;
        const shown = this.#places.text(policy, literal.span);
        print(`${yellow(what)} ${shown} in ${rule.text}  ${this.#colors.dim(place)}`);
      }
    }
    const { covered, total } = coverageCounts(rules);
    const fired = rules.filter((one) => one.fired).length;
    const literals = total - rules.length;
    print(
      bold(`coverage ${percentOf(covered, total)} %`) +
        `: ${fired} of ${rules.length} rules fired; literals held or failed ` +
        `${covered - fired} of ${literals} ways`,
    );
  }
}
