/**
 * Stratified program → plan. Each stratum becomes a unit; what the core does not know is expressed
 * by auxiliary relations before it:
 *
 *   not t(x, _)       `$some…`   t's rows projected to x, counted; the literal asks for a whole row
 *   a(x, y), t(x, _)  `$some…`   likewise, `$part…` for several literals: see body-parts.ts
 *   p(g, sum(v))      `$in…`     the distinct solutions, `$agg…` the aggregate over them; `$in…` has
 *                                no rows where each solution has one derivation
 *   p(1). p(2). …     `$facts…`  facts in great numbers, in pieces that fit the core's limits
 *   x + y             rules of `system:errors`, see failing-calls.ts
 *   key               rules of `system:key_violations`, see key-violations.ts
 */
import { outputRule, solutionVariables } from './aggregate-rule.ts';
import { splitBody } from './body-parts.ts';
import type { SplitBody } from './body-parts.ts';
import {
  canonical,
  constant,
  printDefinition,
  variable,
  variablesOf,
  variablesOfTerms,
  withoutPlace,
} from './core-rule.ts';
import type { CoreAtom, CoreLiteral, CoreRule } from './core-rule.ts';
import { mayLackValue, searchesGroup } from './dependency-graph.ts';
import { failureHead, failureRules } from './failing-calls.ts';
import { addKeyViolations, KEY_VIOLATIONS_TABLE } from './key-violations.ts';
import { onDemandTables } from './on-demand.ts';
import { valueOfAtom, valueOperand } from './monotone.ts';
import type { AggregatePlan, Plan, PlanOptions } from './plan.ts';
import { PlanBuilder, UNKNOWN_SIZE } from './plan-builder.ts';
import {
  atomOf,
  canBeKnown,
  knownPart,
  knownRule,
  noteRule,
  ruleOf,
  smallest,
  withBody,
} from './lowered-rules.ts';
import { PlanMemory } from './plan-memory.ts';
import { canFail, tableKey } from './stratified.ts';
import type {
  Aggregate,
  BestTables,
  Literal,
  Operand,
  Rule,
  StratifiedProgram,
  StratifiedQuery,
  Stratum,
  Table,
  TableKey,
} from './stratified.ts';
import { Unfolding } from './unfold.ts';

export { lowerQuery } from './lower-query.ts';

const ERRORS_TABLE: TableKey = 'system:errors';
const ERRORS_ARITY = 4;
/** In place of the relation of a table that is not kept. */
const NO_RELATION = -1;
/** Rules of a stratum above which its facts stand in relations of their own, so many in each. */
const FACTS_PER_UNIT_MAX = 32_768;
/** Rows that a table of keys is taken to have: what is asked for is asked first. */
const KEYS_SIZE = 4;
/** Table of a view by its name. */
export const VIEW_PREFIX = '$view:';

/** `memory`: of the plan before, so that what did not change is not planned again. */
export function lower(
  program: StratifiedProgram,
  options: PlanOptions = {},
  memory: PlanMemory = new PlanMemory(),
): Plan {
  for (;;) {
    const plan = new Lowering(program, options, memory).run();
    if (plan !== undefined) return plan;
  }
}

class Lowering {
  readonly #program: StratifiedProgram;
  readonly #options: PlanOptions;
  readonly #builder: PlanBuilder;
  readonly #onDemand: ReadonlySet<number>;
  readonly #unfolding: Unfolding;
  /** Plan relation of each program table. */
  readonly #relations: number[];
  /** Relation of each rule's aggregates by `policy:ordinal`. */
  readonly #aggregates = new Map<string, number>();
  readonly #errorRules: CoreRule[] = [];
  #errors: number | undefined;
  #areErrorsDone = false;
  #violations: number | undefined;
  #areViolationsDone = false;
  /** The view that is being lowered. */
  #viewKey: TableKey = '';

  constructor(program: StratifiedProgram, options: PlanOptions, memory: PlanMemory) {
    this.#program = program;
    this.#options = options;
    const sizes = options.sizes ?? new Map<TableKey, number>();
    this.#builder = new PlanBuilder(options, sizes, memory);
    this.#onDemand = options.leavesOut === true ? onDemandTables(program) : new Set();
    this.#unfolding = new Unfolding(program, this.#onDemand);
    this.#relations = program.tables.map((table, index) =>
      this.#onDemand.has(index) ? NO_RELATION : this.#tableRelation(table),
    );
  }

  /** Undefined where the program has to be planned once more, see `PlanMemory`. */
  run(): Plan | undefined {
    const derived = new Set(this.#program.strata.flatMap((stratum) => stratum.tables));
    for (const [index, relation] of this.#relations.entries()) {
      const isReport = relation === this.#errors || relation === this.#violations;
      if (!derived.has(index) && !isReport) this.#builder.addBase(relation);
    }
    for (const stratum of this.#program.strata) {
      const rules = stratum.rules.map((index) => this.#program.rules[index] as Rule);
      const read = new Set(rules.flatMap((rule) => rule.body.map((one) => this.#readBy(one))));
      if (this.#errors !== undefined && read.has(this.#errors)) this.#finishErrors();
      if (this.#violations !== undefined && read.has(this.#violations)) this.#finishViolations();
      if (stratum.tables.every((table) => this.#onDemand.has(table))) this.#reportOnly(rules);
      else this.#lowerStratum(stratum, rules);
    }
    this.#finishErrors();
    this.#finishViolations();
    for (const view of this.#options.views ?? []) this.#lowerView(view.name, view.query);
    const finished = this.#builder.finish();
    if (finished === undefined) return undefined;
    const { tables } = this.#builder;
    const [aggregates, onDemand] = [this.#aggregates, this.#onDemand];
    const [program, options] = [this.#program, this.#options];
    return { program, options, ...finished, tables, aggregates, onDemand };
  }

  #tableRelation(table: Table): number {
    const key = tableKey(table);
    const expected = table.owner.startsWith('$') ? KEYS_SIZE : UNKNOWN_SIZE;
    const relation = this.#builder.addTable(key, table.arity, expected);
    if (key === ERRORS_TABLE) this.#errors = relation;
    if (key === KEY_VIOLATIONS_TABLE) this.#violations = relation;
    return relation;
  }

  #errorsRelation(): number {
    this.#errors ??= this.#builder.addTable(ERRORS_TABLE, ERRORS_ARITY);
    return this.#errors;
  }

  #relationOf(table: number, tables: readonly Table[]): number {
    if (this.#onDemand.has(table)) return this.#askedRelation(table);
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

  /** A table on demand that a view has under `not`: kept for views only. */
  #askedRelation(table: number): number {
    const { arity, ...named } = this.#program.tables[table] as Table;
    const name = `$asked:${tableKey(named)}`;
    const there = this.#builder.find(name);
    if (there !== undefined) return there;
    const relation = this.#builder.addAuxiliary(name, arity, this.#viewKey);
    const rules = this.#unfolding.rulesOf(table).flatMap((rule) => {
      const headTerms = rule.headTerms as readonly Operand[];
      return this.#unfolded({ relation, headTerms }, rule.body, rule.variables.length);
    });
    this.#addCounting(relation, rules);
    return relation;
  }

  #unfolded(
    head: { readonly relation: number; readonly headTerms: readonly Operand[] },
    literals: readonly Literal[],
    count: number,
    tables: readonly Table[] = this.#program.tables,
  ): CoreRule[] {
    return this.#unfolding.bodies(literals, count).map(({ body, variableCount }) => ({
      head: head.relation,
      headTerms: head.headTerms,
      body: body.map((literal) => this.#lowerLiteral(literal, tables)),
      variableCount,
    }));
  }

  /** Of rules whose table is not kept: what of them fails is told all the same. */
  #reportOnly(rules: readonly Rule[]): void {
    for (const rule of rules) {
      if (rule.body.some(canFail)) this.#lowerRule(rule);
    }
  }

  /** All failures of rules so far; strata that read them come behind every call. */
  #finishErrors(): void {
    if (this.#areErrorsDone || this.#errors === undefined) return;
    this.#areErrorsDone = true;
    this.#addCounting(this.#errors, this.#errorRules);
  }

  #finishViolations(): void {
    if (this.#areViolationsDone) return;
    this.#areViolationsDone = true;
    const relationOf = (table: number): number | undefined =>
      this.#onDemand.has(table) ? undefined : this.#relations[table];
    const { tables } = this.#program;
    this.#violations = addKeyViolations(this.#builder, tables, relationOf, this.#violations);
  }

  /** The relation that a literal reads; NO_RELATION for none. */
  #readBy(literal: Literal): number {
    return literal.kind === 'atom' ? (this.#relations[literal.table] ?? NO_RELATION) : NO_RELATION;
  }

  #lowerStratum(stratum: Stratum, rules: readonly Rule[]): void {
    if (stratum.best !== undefined) return this.#lowerBest(stratum.best, rules);
    const members = stratum.tables.map((table) => this.#relations[table] as number);
    const coreRules = this.#gatherFacts(
      members,
      rules.map((rule) => this.#lowerRule(rule)),
    );
    if (stratum.recursive) {
      const component = new Set(members);
      const split = coreRules.map((rule) => this.#splitRule(rule, component));
      this.#builder.addRecursive(members, split);
    } else for (const member of members) this.#addCounting(member, coreRules);
  }

  /**
   * Rules that read the component give values, which the core compares; what others give is
   * aggregated as anywhere else, and enters as the first value of its group.
   */
  #lowerBest(best: BestTables, rules: readonly Rule[]): void {
    const members = new Map<number, number>();
    for (const [table, column] of best.columns) {
      members.set(this.#relations[table] as number, column);
    }
    const component = new Set(members.keys());
    const isMax = best.function === 'max';
    const lowered = rules.map((rule) => {
      const values = rule.body.flatMap((literal) => valueOfAtom(literal, best));
      if (values.length === 0) return this.#lowerRule(rule);
      const value = valueOperand(rule.headTerms[best.columns.get(rule.head) ?? -1]);
      if (value === undefined) throw new Error('a best table without a value');
      const plain = {
        ...rule,
        headTerms: rule.headTerms.map((term) => (term.kind === 'aggregate' ? value : term)),
      };
      const core = this.#lowerRule(plain);
      const guards = values.map((from): CoreLiteral => {
        const operator = isMax ? 'not behind' : 'not before';
        return { kind: 'comparison', operator, left: value, right: from };
      });
      return { ...core, body: [...core.body, ...guards] };
    });
    const split = lowered.map((rule) => this.#splitRule(rule, component));
    this.#builder.addBest(members, split, isMax);
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
    const split = rules.map((rule) => this.#splitRule(rule));
    this.#builder.addCounting(relation, split);
  }

  #splitRule(rule: CoreRule, component?: ReadonlySet<number>): CoreRule {
    const split = this.#split(rule, component);
    if (split === null) return rule;
    const owner = this.#builder.tableOf(rule.head);
    // Parts that differ in the names of their variables only ask the same.
    const atoms = new Map<string, CoreAtom>();
    for (const { literals, outputs } of split.parts) {
      const atom = this.#project(literals, outputs, owner);
      atoms.set(`${atom.relation}:${variablesOf(atom).join()}`, atom);
    }
    return withBody(rule, [...split.rest, ...atoms.values()]);
  }

  #split(rule: CoreRule, component: ReadonlySet<number> | undefined): SplitBody | null {
    const entry = this.#builder.ruleEntry(rule, component);
    if (entry.split === undefined) {
      const isMember = (relation: number): boolean => component?.has(relation) === true;
      entry.split = splitBody(rule, isMember) ?? null;
    }
    return entry.split;
  }

  /**
   * A relation of the `outputs` for which the literals hold, counted, and the atom that asks it.
   * Equal definitions share one.
   */
  #project(
    literals: readonly CoreLiteral[],
    outputs: readonly number[],
    owner: TableKey,
  ): CoreAtom {
    const nameOf = (relation: number): string => this.#builder.nameOf(relation);
    const part = knownPart(literals, nameOf, () => {
      const { body, columns, variableCount } = canonical(literals, outputs);
      const headTerms = columns.map((_, index) => variable(index));
      const text = printDefinition(headTerms, body, nameOf);
      const name = `${literals.length === 1 ? '$some' : '$part'}:${text}`;
      return { columns, rule: { headTerms, body, variableCount }, name };
    });
    const { columns, rule, name } = part;
    const there = this.#builder.find(name);
    if (there !== undefined) return atomOf(part, there);
    const size = smallest(rule.body, (one) => this.#builder.sizeOf(one));
    const relation = this.#builder.addAuxiliary(name, columns.length, owner, size);
    this.#addCounting(relation, [ruleOf(part, relation)]);
    return atomOf(part, relation);
  }

  #lowerRule(rule: Rule): CoreRule {
    const head = this.#relations[rule.head] as number;
    const isPlain = this.#options.isExplained !== true && canBeKnown(rule);
    const relationOf = (table: number): number => this.#relations[table] ?? NO_RELATION;
    const known = isPlain ? knownRule(rule, head, relationOf) : undefined;
    if (known !== undefined) return known;
    const core = this.#lowerNewRule(rule, head);
    if (isPlain) noteRule(rule, core);
    return core;
  }

  #lowerNewRule(rule: Rule, head: number): CoreRule {
    const body = rule.body.map((literal) => this.#lowerLiteral(literal, this.#program.tables));
    const variableCount = rule.variables.length;
    if (rule.body.some(canFail)) {
      const errors = this.#errorsRelation();
      this.#errorRules.push(...failureRules(rule, body, errors, variableCount));
    }
    if (!rule.headTerms.some((term) => term.kind === 'aggregate')) {
      const headTerms = rule.headTerms as readonly Operand[];
      return { head, headTerms, body, variableCount, ...this.#source(rule) };
    }
    return this.#lowerAggregate(rule, head, body);
  }

  #source(source: Rule): { source?: Rule } {
    return this.#options.isExplained === true ? { source } : {};
  }

  #lowerLiteral(literal: Literal, tables: readonly Table[]): CoreLiteral {
    if (literal.kind !== 'atom') return withoutPlace(literal);
    const relation = this.#relationOf(literal.table, tables);
    const { negated, terms } = literal;
    const isWhole = !terms.some((term) => term.kind === 'wildcard');
    if (!negated || isWhole) return { kind: 'atom', relation, negated, terms };
    const atom: CoreAtom = { kind: 'atom', relation, negated: false, terms };
    const owner = this.#builder.tableOf(relation);
    return { ...this.#project([atom], variablesOf(atom), owner), negated: true };
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
    const told = this.#source(rule);
    const given = { head: input, headTerms: inputTerms, body, variableCount, ...told };
    const aggregates = rule.headTerms.filter((term) => term.kind === 'aggregate');
    const stream = this.#streamOf(given, aggregates);
    if (stream === undefined) this.#addCounting(input, [given]);

    const groupTerms = rule.headTerms.filter((term): term is Operand => term.kind !== 'aggregate');
    const groups = [...new Set(variablesOfTerms(groupTerms))].sort(
      (a, b) => solution.indexOf(a) - solution.indexOf(b),
    );
    const width = groups.length + aggregates.length;
    const output = this.#builder.addAuxiliary(`$agg:${label}`, width, owner);
    this.#aggregates.set(label, output);
    const errors = aggregates.some(mayLackValue)
      ? this.#builder.addAuxiliary(`$fail:${label}`, groups.length + 1, owner)
      : undefined;
    const groupColumns = groups.map((one) => solution.indexOf(one));
    const needsSearch = aggregates.some((one) => searchesGroup(one));
    // The first index of a new relation: there is always room.
    const index =
      needsSearch && groups.length > 0 ? this.#builder.index(input, groupColumns) : undefined;
    const plan: AggregatePlan = {
      input,
      output,
      ...(errors === undefined ? {} : { errors }),
      ...(index === undefined ? {} : { index }),
      groupColumns,
      aggregates: aggregates.map((one) => ({
        function: one.argument === undefined ? 'count' : one.function,
        column: one.argument === undefined ? 0 : solution.indexOf(one.argument.index),
        ...(one.key === undefined ? {} : { key: solution.indexOf(one.key.index) }),
      })),
    };
    this.#builder.addAggregate(plan, stream);
    if (errors !== undefined) this.#reportSums(rule, { errors, groups, groupTerms, aggregates });
    return outputRule(head, output, rule.headTerms, groups);
  }

  /**
   * The rule as one of which each solution has one derivation, if it is one: its atoms name all
   * that tells their rows apart. Undefined where rows are searched again, as for the smallest.
   */
  #streamOf(rule: CoreRule, aggregates: readonly Aggregate[]): CoreRule | undefined {
    if (aggregates.some(searchesGroup)) return undefined;
    const { body: literals, ...rest } = this.#splitRule(rule);
    const owner = this.#builder.tableOf(rule.head);
    const body = literals.map((literal) =>
      literal.kind === 'atom' &&
      !literal.negated &&
      literal.terms.some((term) => term.kind === 'wildcard')
        ? this.#project([literal], variablesOf(literal), owner)
        : literal,
    );
    const solution = new Set(variablesOfTerms(rule.headTerms));
    const isTold = body.every((literal) => {
      if (literal.kind === 'each') return false;
      if (literal.kind !== 'atom' || literal.negated) return true;
      return variablesOf(literal).every((one) => solution.has(one));
    });
    return isTold ? { ...rest, body } : undefined;
  }

  #reportSums(rule: Rule, sums: Sums): void {
    const { errors, groups, groupTerms, aggregates } = sums;
    const place = (term: Operand): Operand =>
      term.kind === 'constant' ? term : variable(groups.indexOf(term.index));
    for (const [ordinal, aggregate] of aggregates.entries()) {
      if (!mayLackValue(aggregate) || aggregate.argument === undefined) continue;
      const text = `${aggregate.function}(${rule.variables[aggregate.argument.index] ?? ''})`;
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
    const headTerms = query.outputs.map(variable);
    this.#viewKey = key;
    const { body, variables } = query;
    const rules = this.#unfolded({ relation, headTerms }, body, variables.length, tables);
    this.#addCounting(relation, rules);
  }
}

interface Sums {
  readonly errors: number;
  readonly groups: readonly number[];
  readonly groupTerms: readonly Operand[];
  readonly aggregates: readonly Aggregate[];
}
