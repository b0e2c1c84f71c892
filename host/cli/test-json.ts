/** What `caucus test --json` prints. */
import type { StratifiedProgram } from '../compiler/stratified.ts';
import { ExplanationText } from '../explain/text.ts';
import { coverageCounts, percentOf } from '../policy-tests/coverage.ts';
import type { RuleCoverage } from '../policy-tests/coverage.ts';
import { isPassed } from '../policy-tests/run-tests.ts';
import type { StepFailure, TestResult } from '../policy-tests/run-tests.ts';
import { parseJson, stringifyJson } from '../value/json.ts';
import type { JsonValue } from '../value/json.ts';
import type { Row } from '../value/value.ts';
import type { Places } from './test-places.ts';

export function resultsJson(
  program: StratifiedProgram,
  results: readonly TestResult[],
  places: Places,
): JsonValue {
  return results.map((result): JsonValue => {
    const { test, failures, error, failedCalls, ms } = result;
    return {
      policy: test.policy,
      name: test.name,
      file: places.file(test.policy),
      line: BigInt(test.line),
      passed: isPassed(result),
      ms,
      failures: failures.map((one) => failureJson(program, test.policy, one)),
      failedCalls: rowsJson(failedCalls),
      ...(error === undefined ? {} : { error }),
    };
  });
}

function failureJson(program: StratifiedProgram, policy: string, failure: StepFailure): JsonValue {
  const tables = failure.kind === 'holds' ? (failure.query.tables ?? []) : program.tables;
  const text = new ExplanationText(tables, policy);
  const explanation = [
    ...failure.whyNot.flatMap((one) => text.whyNot(one)),
    ...failure.proofs.flatMap((one) => text.proof(one)),
  ];
  const head = { line: BigInt(failure.step.line), expected: failure.step.text };
  if (failure.kind === 'only') {
    const differences = failure.tables.map(({ table, missing, unexpected }): JsonValue => {
      return { table, missing: rowsJson(missing), unexpected: rowsJson(unexpected) };
    });
    return { ...head, tables: differences, explanation };
  }
  const { failing, variables } = failure.failing;
  const literals = failing.map(({ literal, why }): JsonValue => {
    return { literal: text.literal(literal, variables), why };
  });
  return { ...head, failing: literals, explanation };
}

function rowsJson(rows: readonly Row[]): JsonValue {
  return parseJson(stringifyJson(rows));
}

export function coverageJson(rules: readonly RuleCoverage[], places: Places): JsonValue {
  const { covered, total } = coverageCounts(rules);
  return {
    percent: BigInt(percentOf(covered, total)),
    covered: BigInt(covered),
    total: BigInt(total),
    rules: rules.map(({ rule, fired, literals }): JsonValue => {
      const { policy, ordinal, text, span } = rule;
      return {
        policy,
        file: places.file(policy),
        line: BigInt(places.line(policy, span.start)),
        ordinal: BigInt(ordinal),
        rule: text,
        fired,
        literals: literals.map((one): JsonValue => {
          const literal = places.text(policy, one.span);
          const failed = one.failed === undefined ? {} : { failed: one.failed };
          return { literal, held: one.held, ...failed };
        }),
      };
    }),
  };
}
