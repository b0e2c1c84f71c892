/**
 * What the core can hold of a program, told as diagnostics before anything is made. Counted exactly
 * only where a bound comes near: nearly every program is far from all of this.
 */
import {
  PLAN_RELATIONS_MAX,
  RULE_RECURSIVE_ATOMS_MAX,
  RULE_VALUES_MAX,
  TABLE_VERSIONS_MAX,
} from '../limits.ts';
import { valueKey } from '../value/value.ts';
import { variableOrConstant } from './core-rule.ts';
import { lower } from './lower.ts';
import { canFail, tableKey } from './stratified.ts';
import type { Literal, Rule, StratifiedProgram, Stratum, TableKey } from './stratified.ts';

export interface PlanLimits {
  /** Tables, and what stands for parts of rules. */
  readonly relations: number;
  /** Ways to run the rules of one table, or of tables that depend on each other. */
  readonly versions: number;
}

export interface LimitProblem {
  /** The rule that is too much; absent where no rule is. */
  readonly rule: Rule | undefined;
  readonly message: string;
  readonly note: string;
}

const LIMITS: PlanLimits = { relations: PLAN_RELATIONS_MAX, versions: TABLE_VERSIONS_MAX };

export function limitProblems(
  program: StratifiedProgram,
  limits: PlanLimits = LIMITS,
): LimitProblem[] {
  const problems = program.rules.flatMap((rule) => valuesProblem(rule));
  for (const stratum of program.strata) {
    const rules = stratum.rules.map((index) => program.rules[index] as Rule);
    problems.push(...versionsProblem(rules, limits.versions, versionsOf));
    if (stratum.recursive) problems.push(...atomsProblems(stratum, rules));
  }
  problems.push(...versionsProblem(program.rules, limits.versions, failuresOf));
  // Without them, all of this would have to be lowered to be counted.
  if (problems.length > 0) return problems;
  return relationsProblem(program, limits.relations);
}

function valuesProblem(rule: Rule): LimitProblem[] {
  const { headTerms, body, variables } = rule;
  const terms = [headTerms, ...body.map(variableOrConstant)];
  const places = terms.reduce((sum, list) => sum + list.length, 0);
  if (places <= RULE_VALUES_MAX && variables.length <= RULE_VALUES_MAX) return [];
  const constants = terms.flat().flatMap((term) => (term.kind === 'constant' ? [term.value] : []));
  const total = variables.length + new Set(constants.map(valueKey)).size;
  if (total <= RULE_VALUES_MAX) return [];
  const message =
    `the rule has ${total} different variables and constants, ` +
    `at most ${RULE_VALUES_MAX} are allowed`;
  return [{ rule, message, note: 'move a part of the body into a rule of its own' }];
}

/** From scratch, backwards, and driven by each atom. */
function versionsOf(rule: Rule): number {
  return 2 + rule.body.filter((literal) => literal.kind === 'atom').length;
}

/** The reports of failures are rules of one table. */
function failuresOf(rule: Rule): number {
  const calls = rule.body.filter(canFail).length;
  const sums = rule.headTerms.filter((term) => term.kind === 'aggregate').length;
  return calls * versionsOf(rule) + sums * 3;
}

function versionsProblem(
  rules: readonly Rule[],
  most: number,
  count: (rule: Rule) => number,
): LimitProblem[] {
  let total = 0;
  for (const rule of rules) {
    // Facts in great numbers get relations of their own.
    if (rule.body.length > 0) total += count(rule);
    if (total <= most) continue;
    const message = 'the rules of one table, or of tables that depend on each other, are too many';
    const note = 'put what differs between them into a table, and let one rule read it';
    return [{ rule, message, note }];
  }
  return [];
}

function atomsProblems(stratum: Stratum, rules: readonly Rule[]): LimitProblem[] {
  const members = new Set(stratum.tables);
  const isMember = (literal: Literal): boolean =>
    literal.kind === 'atom' && members.has(literal.table);
  return rules.flatMap((rule) => {
    const count = rule.body.filter(isMember).length;
    if (count <= RULE_RECURSIVE_ATOMS_MAX) return [];
    const message =
      `the body reads tables that depend on the rule's own one ${count} times, ` +
      `at most ${RULE_RECURSIVE_ATOMS_MAX} times are allowed`;
    return [{ rule, message, note: 'split the rule into several' }];
  });
}

function relationsProblem(program: StratifiedProgram, most: number): LimitProblem[] {
  if (relationsAtMost(program) <= most) return [];
  const { tables } = program;
  // So many tables need not be lowered to be counted.
  const keys = tables.length > most ? [] : lower(program).relations.map((one) => one.table);
  const count = Math.max(tables.length, keys.length);
  if (count <= most) return [];
  const rule = keys.length === 0 ? lastRuleWithin(program, most) : ruleOf(program, keys[most]);
  const message =
    `the policies need ${count} tables, with those for parts of rules, ` +
    `at most ${most} are allowed`;
  const note = 'put what differs between similar tables into a column of one table';
  return [{ rule, message, note }];
}

/** Each atom of a body may become a part of its own, for the rule and for each call that fails. */
function relationsAtMost({ tables, rules }: StratifiedProgram): number {
  let total = tables.length + 1 + Math.ceil(rules.length / 1024);
  for (const { headTerms, body } of rules) {
    const atoms = body.filter((literal) => literal.kind === 'atom').length;
    const calls = body.filter(canFail).length;
    const isAggregate = headTerms.some((term) => term.kind === 'aggregate');
    total += atoms * (1 + calls) + (isAggregate ? 3 : 0);
  }
  return total;
}

/** The rule with which the tables become too many. */
function lastRuleWithin({ rules }: StratifiedProgram, most: number): Rule | undefined {
  const seen = new Set<number>();
  const isTooMuch = ({ head, body }: Rule): boolean => {
    seen.add(head);
    for (const literal of body) if (literal.kind === 'atom') seen.add(literal.table);
    return seen.size > most;
  };
  return rules.find(isTooMuch) ?? rules.at(-1);
}

/** The rule that makes the table, or names it first; of the reports of failures, any. */
function ruleOf({ tables, rules }: StratifiedProgram, key: TableKey | undefined): Rule | undefined {
  const table = tables.findIndex((one) => tableKey(one) === key);
  const reads = (literal: Literal): boolean => literal.kind === 'atom' && literal.table === table;
  return (
    rules.find((rule) => rule.head === table) ??
    rules.find((rule) => rule.body.some(reads)) ??
    rules.at(-1)
  );
}
