/**
 * Stratified program → plan. Each stratum becomes a unit; what the core does not know is expressed
 * by auxiliary relations before it:
 *
 *   not t(x, _)       `$not…`    t's rows projected to x, counted; the literal asks for a whole row
 *   p(g, sum(v))      `$in…`     the distinct solutions, `$agg…` the aggregate over them
 *   a(x), b(y)        `$part…`   see body-parts.ts
 *   p(1). p(2). …     `$facts…`  facts in great numbers, in pieces that fit the core's limits
 *   x + y             rules of `system:errors`, see failing-calls.ts
 */
import { splitBody } from './body-parts.ts';
import { constant, variable, variablesOfTerms } from './core-rule.ts';
import type { CoreAtom, CoreLiteral, CoreRule } from './core-rule.ts';
import { failureHead, failureRules } from './failing-calls.ts';
import type { AggregatePlan, Plan, PlanOptions } from './plan.ts';
import { PlanBuilder } from './plan-builder.ts';
import { tableKey } from './stratified.ts';
import type {
  Aggregate,
  AtomLiteral,
  HeadTerm,
  Literal,
  Operand,
  Rule,
  StratifiedProgram,
  StratifiedQuery,
  Stratum,
  Table,
  TableKey,
} from './stratified.ts';
import type { Value } from '../value/value.ts';

export { lowerQuery } from './lower-query.ts';

const ERRORS_TABLE: TableKey = 'system:errors';
const ERRORS_ARITY = 4;
/** Rules of a stratum above which its facts stand in relations of their own, so many in each. */
const FACTS_PER_UNIT_MAX = 32_768;
/** Table of a view by its name. */
export const VIEW_PREFIX = '$view:';

export function lower(program: StratifiedProgram, options: PlanOptions = {}): Plan {
  return new Lowering(program, options).run();
}

class Lowering {
  readonly #program: StratifiedProgram;
  readonly #options: PlanOptions;
  readonly #builder: PlanBuilder;
  /** Plan relation of each program table. */
  readonly #relations: number[];
  readonly #errorRules: CoreRule[] = [];
  #errors: number | undefined;
  #areErrorsDone = false;

  constructor(program: StratifiedProgram, options: PlanOptions) {
    this.#program = program;
    this.#options = options;
    this.#builder = new PlanBuilder(options.batchOnly === true, options.sizes ?? new Map());
    this.#relations = program.tables.map((table) => this.#tableRelation(table));
  }

  run(): Plan {
    const isErrors = (index: number): boolean => this.#relations[index] === this.#errors;
    const derived = new Set(this.#program.strata.flatMap((stratum) => stratum.tables));
    for (const [index, relation] of this.#relations.entries()) {
      if (!derived.has(index) && !isErrors(index)) this.#builder.addBase(relation);
    }
    for (const stratum of this.#program.strata) {
      const rules = stratum.rules.map((index) => this.#program.rules[index] as Rule);
      const readsErrors = rules.some((rule) =>
        rule.body.some((literal) => literal.kind === 'atom' && isErrors(literal.table)),
      );
      if (readsErrors) this.#finishErrors();
      this.#lowerStratum(stratum, rules);
    }
    this.#finishErrors();
    for (const view of this.#options.views ?? []) this.#lowerView(view.name, view.query);
    const { relations, units } = this.#builder.finish();
    return {
      program: this.#program,
      options: this.#options,
      relations,
      units,
      tables: this.#builder.tables,
    };
  }

  #tableRelation(table: Table): number {
    const key = tableKey(table);
    const relation = this.#builder.addTable(key, table.arity);
    if (key === ERRORS_TABLE) this.#errors = relation;
    return relation;
  }

  #errorsRelation(): number {
    this.#errors ??= this.#builder.addTable(ERRORS_TABLE, ERRORS_ARITY);
    return this.#errors;
  }

  #relationOf(table: number, tables: readonly Table[]): number {
    const known = this.#relations[table];
    if (known !== undefined) return known;
    const missing = tables[table];
    if (missing === undefined) throw new Error(`no table ${table}`);
    const key = tableKey(missing);
    const there = this.#builder.tables.get(key);
    if (there !== undefined) return there;
    const relation = this.#builder.addTable(key, missing.arity);
    this.#builder.addBase(relation);
    return relation;
  }

  /** All failures of rules so far; strata that read them come behind every call. */
  #finishErrors(): void {
    if (this.#areErrorsDone || this.#errors === undefined) return;
    this.#areErrorsDone = true;
    this.#builder.addCounting(this.#errors, this.#errorRules);
  }

  #lowerStratum(stratum: Stratum, rules: readonly Rule[]): void {
    const members = stratum.tables.map((table) => this.#relations[table] as number);
    const coreRules = this.#gatherFacts(
      members,
      rules.map((rule) => this.#lowerRule(rule)),
    );
    if (stratum.recursive) this.#builder.addRecursive(members, coreRules);
    else for (const member of members) this.#addCounting(member, coreRules);
  }

  /** Facts in great numbers stand in relations of their own: a unit has a limit of versions. */
  #gatherFacts(members: readonly number[], rules: readonly CoreRule[]): readonly CoreRule[] {
    if (rules.length <= FACTS_PER_UNIT_MAX) return rules;
    const gathered = rules.filter((rule) => rule.body.length > 0);
    for (const member of members) {
      const facts = rules.filter((rule) => rule.head === member && rule.body.length === 0);
      if (facts.length === 0) continue;
      const terms = (facts[0] as CoreRule).headTerms.map((_, index) => variable(index));
      for (let start = 0; start < facts.length; start += FACTS_PER_UNIT_MAX) {
        const label = `$facts:${this.#builder.nameOf(member)}:${start}`;
        const owner = this.#builder.tableOf(member);
        const relation = this.#builder.addAuxiliary(label, terms.length, owner);
        const chunk = facts.slice(start, start + FACTS_PER_UNIT_MAX);
        this.#builder.addCounting(
          relation,
          chunk.map((fact) => ({ ...fact, head: relation })),
        );
        const atom: CoreAtom = { kind: 'atom', relation, negated: false, terms };
        const variableCount = terms.length;
        gathered.push({ head: member, headTerms: terms, body: [atom], variableCount });
      }
    }
    return gathered;
  }

  #addCounting(relation: number, rules: readonly CoreRule[]): void {
    const split = rules.map((rule, ordinal) => this.#splitRule(rule, `${relation}:${ordinal}`));
    this.#builder.addCounting(relation, split);
  }

  #splitRule(rule: CoreRule, name: string): CoreRule {
    const split = splitBody(rule);
    if (split === undefined) return rule;
    const owner = this.#builder.tableOf(rule.head);
    const atoms = split.parts.map((part, ordinal): CoreAtom => {
      const terms = part.outputs.map(variable);
      const label = `$part:${this.#builder.nameOf(rule.head)}:${name}:${ordinal}`;
      const relation = this.#builder.addAuxiliary(label, terms.length, owner);
      const { variableCount } = rule;
      const own = { head: relation, headTerms: terms, body: part.literals, variableCount };
      this.#builder.addCounting(relation, [own]);
      return { kind: 'atom', relation, negated: false, terms };
    });
    return { ...rule, body: [...atoms, ...split.rest] };
  }

  #lowerRule(rule: Rule): CoreRule {
    const body = rule.body.map((literal) => this.#lowerLiteral(literal, this.#program.tables));
    const variableCount = rule.variables.length;
    if (body.some((literal) => literal.kind === 'compute')) {
      const errors = this.#errorsRelation();
      this.#errorRules.push(...failureRules(rule, body, errors, variableCount));
    }
    const head = this.#relations[rule.head] as number;
    if (!rule.headTerms.some((term) => term.kind === 'aggregate')) {
      return { head, headTerms: rule.headTerms as readonly Operand[], body, variableCount };
    }
    return this.#lowerAggregate(rule, head, body);
  }

  #lowerLiteral(literal: Literal, tables: readonly Table[]): CoreLiteral {
    if (literal.kind === 'comparison') {
      const { operator, left, right } = literal;
      return { kind: 'comparison', operator, left, right };
    }
    if (literal.kind === 'compute') {
      const { operator, left, right, output } = literal;
      return { kind: 'compute', operator, left, right, output };
    }
    const relation = this.#relationOf(literal.table, tables);
    const { negated, terms } = literal;
    if (!negated || !terms.some((term) => term.kind === 'wildcard')) {
      return { kind: 'atom', relation, negated, terms };
    }
    return this.#projectNegated(literal, relation);
  }

  /**
   * `not t(x, _, "a")` → `not $not(x)` with `$not(x) :- t(x, _, "a")`. Equal patterns share one.
   */
  #projectNegated(literal: AtomLiteral, relation: number): CoreAtom {
    const variables = [...new Set(variablesOfTerms(literal.terms))];
    const terms = literal.terms.map((term) =>
      term.kind === 'variable' ? variable(variables.indexOf(term.index)) : term,
    );
    const pattern = terms.map((term) => {
      if (term.kind === 'wildcard') return '_';
      return term.kind === 'constant'
        ? printConstant(term.value)
        : `${(term as { index: number }).index}`;
    });
    const name = `$not:${this.#builder.nameOf(relation)}(${pattern.join(',')})`;
    let projection = this.#builder.find(name);
    if (projection === undefined) {
      const owner = this.#builder.tableOf(relation);
      projection = this.#builder.addAuxiliary(name, variables.length, owner);
      this.#builder.addCounting(projection, [
        {
          head: projection,
          headTerms: variables.map((_, index) => variable(index)),
          body: [{ kind: 'atom', relation, negated: false, terms }],
          variableCount: variables.length,
        },
      ]);
    }
    return { kind: 'atom', relation: projection, negated: true, terms: variables.map(variable) };
  }

  /**
   * The rule that copies the aggregate's output into the table; input and aggregate go before it.
   */
  #lowerAggregate(rule: Rule, head: number, body: readonly CoreLiteral[]): CoreRule {
    const label = `${rule.policy}:${rule.ordinal}`;
    const owner = this.#builder.tableOf(head);
    const solution = solutionVariables(rule);
    const input = this.#builder.addAuxiliary(`$in:${label}`, solution.length, owner);
    const inputTerms = solution.map(variable);
    const variableCount = rule.variables.length;
    this.#builder.addCounting(input, [{ head: input, headTerms: inputTerms, body, variableCount }]);

    const groupTerms = rule.headTerms.filter((term): term is Operand => term.kind !== 'aggregate');
    const groups = [...new Set(variablesOfTerms(groupTerms))].sort(
      (a, b) => solution.indexOf(a) - solution.indexOf(b),
    );
    const aggregates = rule.headTerms.filter((term) => term.kind === 'aggregate');
    const width = groups.length + aggregates.length;
    const output = this.#builder.addAuxiliary(`$agg:${label}`, width, owner);
    const canFail = aggregates.some((one) => one.function === 'sum');
    const errors = canFail
      ? this.#builder.addAuxiliary(`$fail:${label}`, groups.length + 1, owner)
      : undefined;
    const groupColumns = groups.map((one) => solution.indexOf(one));
    const needsSearch = aggregates.some((one) => one.function === 'min' || one.function === 'max');
    const plan: AggregatePlan = {
      input,
      output,
      ...(errors === undefined ? {} : { errors }),
      ...(needsSearch && groups.length > 0
        ? { index: this.#builder.index(input, groupColumns) }
        : {}),
      groupColumns,
      aggregates: aggregates.map((one) => ({
        function: one.argument === undefined ? 'count' : one.function,
        column: one.argument === undefined ? 0 : solution.indexOf(one.argument.index),
      })),
    };
    this.#builder.addAggregate(plan);
    if (errors !== undefined) this.#reportSums(rule, { errors, groups, groupTerms, aggregates });
    return outputRule(head, output, rule.headTerms, groups);
  }

  #reportSums(rule: Rule, sums: Sums): void {
    const { errors, groups, groupTerms, aggregates } = sums;
    const place = (term: Operand): Operand =>
      term.kind === 'constant' ? term : variable(groups.indexOf(term.index));
    for (const [ordinal, aggregate] of aggregates.entries()) {
      if (aggregate.function !== 'sum' || aggregate.argument === undefined) continue;
      const text = `sum(${rule.variables[aggregate.argument.index] ?? ''})`;
      const terms = [...groups.map((_, index) => variable(index)), constant(BigInt(ordinal))];
      const inputs = variable(groups.length);
      this.#errorRules.push({
        ...failureHead(rule, text, this.#errorsRelation(), groups.length),
        body: [
          { kind: 'atom', relation: errors, negated: false, terms },
          { kind: 'format', inputs: groupTerms.map(place), output: inputs },
        ],
        variableCount: groups.length + 1,
      });
    }
  }

  #lowerView(name: string, query: StratifiedQuery): void {
    const key = `${VIEW_PREFIX}${name}`;
    const tables = query.tables ?? this.#program.tables;
    const relation = this.#builder.addTable(key, query.outputs.length);
    const body = query.body.map((literal) => this.#lowerLiteral(literal, tables));
    const headTerms = query.outputs.map(variable);
    const rule = { head: relation, headTerms, body, variableCount: query.variables.length };
    this.#addCounting(relation, [rule]);
  }
}

interface Sums {
  readonly errors: number;
  readonly groups: readonly number[];
  readonly groupTerms: readonly Operand[];
  readonly aggregates: readonly Aggregate[];
}

/** Named variables of the rule, and temporaries of its head: what makes a solution distinct. */
function solutionVariables(rule: Rule): number[] {
  const inHead = new Set(
    rule.headTerms.flatMap((term) => {
      if (term.kind === 'aggregate')
        return term.argument === undefined ? [] : [term.argument.index];
      return term.kind === 'variable' ? [term.index] : [];
    }),
  );
  return [...rule.variables.keys()].filter(
    (index) => inHead.has(index) || !rule.variables[index]?.startsWith('$'),
  );
}

/** `t(head…) :- $agg(groups…, aggregates…)`. */
function outputRule(
  head: number,
  output: number,
  headTerms: readonly HeadTerm[],
  groups: readonly number[],
): CoreRule {
  let next = groups.length;
  const terms = headTerms.map((term) => {
    if (term.kind === 'aggregate') return variable(next++);
    return term.kind === 'constant' ? term : variable(groups.indexOf(term.index));
  });
  const columns = Array.from({ length: next }, (_, index) => variable(index));
  return {
    head,
    headTerms: terms,
    body: [{ kind: 'atom', relation: output, negated: false, terms: columns }],
    variableCount: next,
  };
}

function printConstant(value: Value): string {
  return `${typeof value}:${String(value)}`.replace(/[\\,]/g, (found) => `\\${found}`);
}
