/** All checks over one history, of the simulation or of real processes. */
import type { History } from '../../support/history.ts';
import { Reference } from '../reference.ts';
import { checkAnswers } from './answers.ts';
import { checkAtomicity } from './atomicity.ts';
import { checkConvergence } from './convergence.ts';
import { checkDurability } from './durability.ts';
import { checkFencing } from './fencing.ts';
import { checkLostRecords, losesRecords } from './lost-records.ts';
import { checkRest } from './rest.ts';
import type { Checker, Violation } from './violation.ts';

const CHECKERS: readonly Checker[] = [
  checkRest,
  checkConvergence,
  checkAtomicity,
  checkFencing,
  checkDurability,
  checkAnswers,
];

export function checkHistory(history: History): Violation[] {
  const reference = new Reference(history);
  if (losesRecords(history)) return checkLostRecords(history, reference);
  const problems = reference.problems.map((message): Violation => ({ invariant: 'I1', message }));
  return [...problems, ...CHECKERS.flatMap((check) => check(history, reference))];
}
