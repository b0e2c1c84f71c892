/** Makes a failing case smaller: whatever can be left out while it still fails, is. */
import type { Row } from '../../host/value/value.ts';
import type { RowBatch, RowChange } from '../support/update-generator.ts';
import type { FuzzCase, FuzzStep } from './fuzz-case.ts';

/** Runs that one shrinking may take. */
const TRIES_MAX = 3000;

/** `fails`: true while the case shows the failure; a case that is not valid does not. */
export async function shrink(
  fuzzCase: FuzzCase,
  fails: (candidate: FuzzCase) => Promise<boolean>,
): Promise<FuzzCase> {
  let smallest = fuzzCase;
  let tries = 0;
  for (let isSmaller = true; isSmaller && tries < TRIES_MAX;) {
    isSmaller = false;
    for (const reductionsOf of [lessSteps, lessStatements, lessViews, lessRows]) {
      // After a success the same place is tried again: what stood behind it has moved there.
      for (let at = 0; tries < TRIES_MAX;) {
        const candidate = reductionsOf(smallest, at);
        if (candidate === undefined) break;
        tries++;
        if (await fails(candidate)) {
          smallest = candidate;
          isSmaller = true;
        } else {
          at++;
        }
      }
    }
  }
  return smallest;
}

function lessSteps(fuzzCase: FuzzCase, at: number): FuzzCase | undefined {
  const { steps } = fuzzCase;
  // The last step shows the failure. Large pieces first: halves from the front, then single steps.
  const halves = [steps.length >> 1, steps.length >> 2].filter((size) => size > 1);
  const half = halves[at];
  if (half !== undefined) return { ...fuzzCase, steps: steps.slice(half) };
  const index = at - halves.length;
  return index < steps.length - 1 ? { ...fuzzCase, steps: without(steps, index) } : undefined;
}

function lessStatements(fuzzCase: FuzzCase, at: number): FuzzCase | undefined {
  const { program, steps } = fuzzCase;
  let number = 0;
  let found = false;
  const policies = program.policies.map((policy) => ({
    ...policy,
    statements: policy.statements.filter(() => {
      if (number++ !== at) return true;
      found = true;
      return false;
    }),
  }));
  if (!found) return undefined;
  const renumbered = steps.map((step) => {
    if (step.disabled === undefined) return step;
    const rest = step.disabled.filter((other) => other !== at);
    return { ...step, disabled: rest.map((other) => (other > at ? other - 1 : other)) };
  });
  return { ...fuzzCase, program: { ...program, policies }, steps: renumbered };
}

function lessViews(fuzzCase: FuzzCase, at: number): FuzzCase | undefined {
  const candidates: FuzzCase[] = fuzzCase.views.map((_, index) => ({
    ...fuzzCase,
    views: without(fuzzCase.views, index),
  }));
  const changed = (index: number, step: FuzzStep): FuzzCase => ({
    ...fuzzCase,
    steps: fuzzCase.steps.map((other, place) => (place === index ? step : other)),
  });
  for (const [index, step] of fuzzCase.steps.entries()) {
    if (step.queries.length > 0) candidates.push(changed(index, { ...step, queries: [] }));
    if (step.disabled !== undefined) {
      const { batch, dryRun, queries } = step;
      candidates.push(changed(index, { batch, dryRun, queries }));
    }
  }
  return candidates[at];
}

/** Drops a whole change, then single rows. */
function lessRows(fuzzCase: FuzzCase, at: number): FuzzCase | undefined {
  let number = 0;
  let found = false;
  const isDropped = (): boolean => {
    const isIt = number++ === at;
    found ||= isIt;
    return isIt;
  };
  const keep = (rows: readonly Row[]): Row[] => rows.filter(() => !isDropped());
  const lessOf = (batch: RowBatch): RowChange[] =>
    batch.flatMap((change) => {
      if (isDropped()) return [];
      return [{ ...change, delete: keep(change.delete), insert: keep(change.insert) }];
    });
  const steps = fuzzCase.steps.map((step) => ({ ...step, batch: lessOf(step.batch) }));
  return found ? { ...fuzzCase, steps } : undefined;
}

function without<T>(items: readonly T[], index: number): T[] {
  return items.filter((_, place) => place !== index);
}
