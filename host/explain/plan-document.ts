/**
 * A plan for people and programs: its units in the order of evaluation, of each what it is kept by,
 * how it is laid out, and the order in which each version of its rules goes through tables.
 */
import type { CoreLiteral, CoreRule } from '../compiler/core-rule.ts';
import { printValue } from '../compiler/print-value.ts';
import type { Plan, Step, Unit, UnitRule, Version } from '../compiler/plan.ts';
import type { Operand, Term } from '../compiler/stratified.ts';
import { intersectedProbes } from '../compiler/intersections.ts';
import { expectedRows } from '../compiler/version-builder.ts';
import type { PolicyTexts } from './program-index.ts';
import { RuleLines } from './program-index.ts';

export interface StepDocument {
  /** `tc(x, y)`, `not down(y)`, `c = e + d` … */
  readonly text: string;
  /** `group`: the rows of a key, intersected with those of the lookup before. */
  readonly how: 'scan' | 'index' | 'row' | 'group' | 'test';
  /** Columns of the index, from 1. */
  readonly index?: readonly bigint[];
  /** One match is enough. */
  readonly once?: true;
  /** Rows that are expected for what is bound. */
  readonly rows?: bigint;
}

export interface VersionDocument {
  readonly purpose: Version['purpose'];
  /** The literal whose new or changed rows drive it. */
  readonly drivenBy?: string;
  readonly steps: readonly StepDocument[];
}

export interface RulePlanDocument {
  readonly policy?: string;
  readonly ordinal?: bigint;
  readonly line?: bigint;
  readonly text: string;
  readonly versions: readonly VersionDocument[];
}

export interface UnitDocument {
  readonly kind: Unit['kind'];
  readonly tables: readonly string[];
  /** What a relation that is no table is for, and whose rules read it. */
  readonly auxiliary?: string;
  readonly readBy?: readonly string[];
  readonly layout: 'rows' | 'bits or rows';
  readonly why: string;
  readonly rules: readonly RulePlanDocument[];
  /** Facts of the text. */
  readonly facts: bigint;
  /** After an evaluation: rows of its tables, and whether it went over bits. */
  readonly rows?: readonly bigint[];
  readonly overBits?: boolean;
}

export interface TablePlanDocument {
  readonly name: string;
  /** Columns of its indexes, from 1. */
  readonly indexes: readonly (readonly bigint[])[];
  /** Rows that the planner takes it to have. */
  readonly expected: bigint;
}

export interface PlanDocument {
  readonly units: readonly UnitDocument[];
  readonly tables: readonly TablePlanDocument[];
}

/** What is known after an evaluation. */
export interface Evaluated {
  rowsOf(table: string): number;
  /** By the first relation of a unit. */
  isOverBits(table: string): boolean | undefined;
}

/** `plan` was made with `isExplained`. */
export function planDocument(plan: Plan, texts: PolicyTexts, evaluated?: Evaluated): PlanDocument {
  const printer = new PlanPrinter(plan, texts);
  const units = plan.units.flatMap((unit) => {
    const hasWork = unit.versions.length > 0 || unit.aggregate !== undefined;
    return hasWork ? [unitDocument(printer, unit, evaluated)] : [];
  });
  const tables = plan.relations.map(({ indexes }, relation) => ({
    name: printer.name(relation),
    indexes: indexes.map((columns) => fromOne(columns)),
    expected: BigInt(Math.round(plan.sizes?.[relation] ?? 0)),
  }));
  return { units, tables };
}

function unitDocument(
  printer: PlanPrinter,
  unit: Unit,
  evaluated: Evaluated | undefined,
): UnitDocument {
  const { plan } = printer;
  const tables = unit.relations.map((relation) => printer.name(relation));
  const first = unit.relations[0] ?? 0;
  const why = auxiliaryText(printer, unit);
  const rules = (unit.rules ?? []).filter(({ rule }) => rule.body.length > 0);
  const names = unit.relations.map((relation) => plan.relations[relation]?.name ?? '');
  const overBits = unit.kind === 'recursive' ? evaluated?.isOverBits(names[0] ?? '') : undefined;
  return {
    kind: unit.kind,
    tables,
    ...(plan.tables.has(names[0] ?? '')
      ? {}
      : { auxiliary: why ?? '', readBy: printer.readersOf(first) }),
    ...layoutOf(plan, unit),
    rules: rules.map((one) => printer.rule(one)),
    facts: BigInt((unit.rules ?? []).length - rules.length),
    ...(evaluated === undefined
      ? {}
      : { rows: names.map((name) => BigInt(evaluated.rowsOf(name))) }),
    ...(overBits === undefined ? {} : { overBits }),
  };
}

/** Steps that have no translation to bits (engine-as/dense-translate.ts). */
const NOT_OVER_BITS: ReadonlySet<Step['op']> = new Set([
  'compute',
  'fails',
  'call',
  'callFails',
  'each',
  'format',
]);

function layoutOf(plan: Plan, unit: Unit): Pick<UnitDocument, 'layout' | 'why'> {
  const rows = (why: string): Pick<UnitDocument, 'layout' | 'why'> => ({ layout: 'rows', why });
  if (unit.kind !== 'recursive') return rows('only recursive tables are evaluated over bits');
  const isWide = unit.relations.some((relation) => {
    const arity = plan.relations[relation]?.arity ?? 0;
    return arity === 0 || arity > 2;
  });
  if (isWide) return rows('a table of the recursion has no or more than two columns');
  const computes = unit.versions.some(
    ({ purpose, steps }) => purpose === 'round' && steps.some(({ op }) => NOT_OVER_BITS.has(op)),
  );
  if (computes) return rows('a rule of the recursion computes');
  return {
    layout: 'bits or rows',
    why: 'over bits from scratch unless it is tiny or its bits lie too sparse; updates go over rows',
  };
}

/** In words: what a relation that the planner has added is for. */
function auxiliaryText(printer: PlanPrinter, unit: Unit): string | undefined {
  const relation = unit.relations[0] ?? 0;
  const name = printer.plan.relations[relation]?.name ?? '';
  const owner = printer.plan.relations[relation]?.table ?? '';
  const [first] = unit.rules ?? [];
  const body = first === undefined ? '' : printer.body(first.rule);
  switch (/^\$(\w+)/.exec(name)?.[1]) {
    case 'some':
      return `where rules only ask for a row: the values for which there is one in \`${body}\`, each once, counted`;
    case 'part':
      return `a part of rules that only asks: the values for which \`${body}\` holds, each once, counted`;
    case 'in':
      return `the distinct solutions that an aggregate of \`${owner}\` ranges over`;
    case 'agg':
      return `the aggregates of \`${owner}\` by group, kept as counts, sums and best rows`;
    case 'fail':
      return `groups of \`${owner}\` whose aggregate has no value`;
    case 'facts':
      return `facts of \`${owner}\`, in pieces`;
    default:
      return undefined;
  }
}

class PlanPrinter {
  readonly plan: Plan;
  readonly #lines: RuleLines;
  readonly #names: readonly string[];
  readonly #readers = new Map<number, Set<number>>();

  constructor(plan: Plan, texts: PolicyTexts) {
    this.plan = plan;
    for (const { rules = [], aggregate } of plan.units) {
      if (aggregate !== undefined) this.#noteReader(aggregate.input, aggregate.output);
      for (const { rule } of rules) {
        for (const literal of rule.body) {
          if (literal.kind === 'atom') this.#noteReader(literal.relation, rule.head);
        }
      }
    }
    this.#lines = new RuleLines(texts);
    const counts = new Map<string, number>();
    // Their own names hold the sums of their definitions.
    this.#names = plan.relations.map(({ name }) => {
      const kind = /^\$(some|part|in|agg|fail|facts):/.exec(name)?.[1];
      if (kind === undefined) return name;
      const count = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, count);
      return `$${kind}${count}`;
    });
  }

  #noteReader(relation: number, reader: number): void {
    const known = this.#readers.get(relation);
    if (known === undefined) this.#readers.set(relation, new Set([reader]));
    else known.add(reader);
  }

  readersOf(relation: number): readonly string[] {
    return [...(this.#readers.get(relation) ?? [])].map((one) => this.name(one));
  }

  name(relation: number): string {
    return this.#names[relation] ?? `$${relation}`;
  }

  rule({ rule, versions }: UnitRule): RulePlanDocument {
    const { source } = rule;
    const line = source === undefined ? undefined : this.#lines.lineOf(source);
    const own = { text: `${this.#head(rule)} :- ${this.body(rule)}.` };
    const told =
      source === undefined || source.head < 0
        ? own
        : { policy: source.policy, ordinal: BigInt(source.ordinal), text: source.text };
    return {
      ...told,
      ...(line === undefined ? {} : { line: BigInt(line) }),
      versions: versions.map((version) => this.#version(rule, version)),
    };
  }

  /** The literals as the planner has them. */
  body({ body, source }: CoreRule): string {
    return body.map((literal) => this.#literal(literal, source?.variables ?? [])).join(', ');
  }

  #head({ head, headTerms, source }: CoreRule): string {
    return this.#atom(
      head,
      headTerms.map((term) => termText(term, source?.variables ?? [])),
    );
  }

  #literal(literal: CoreLiteral, names: readonly string[]): string {
    const term = (one: Term): string => termText(one, names);
    switch (literal.kind) {
      case 'atom': {
        const atom = this.#atom(literal.relation, literal.terms.map(term));
        return literal.negated ? `not ${atom}` : atom;
      }
      case 'comparison':
        return `${term(literal.left)} ${literal.operator} ${term(literal.right)}`;
      case 'compute': {
        const { output, left, operator, right } = literal;
        return `${term(output)} = ${term(left)} ${operator} ${term(right)}`;
      }
      case 'differ':
        return `[${literal.left.map(term).join(', ')}] != [${literal.right.map(term).join(', ')}]`;
      case 'call':
        return `${term(literal.output)} = ${literal.function}(${literal.inputs.map(term).join(', ')})`;
      case 'each':
        return `member(${term(literal.list)}, ${term(literal.output)})`;
      case 'callFails':
      case 'fails':
        return 'a call fails';
      case 'format':
        return 'its inputs as text';
    }
  }

  #atom(relation: number, args: readonly string[]): string {
    return args.length === 0 ? this.name(relation) : `${this.name(relation)}(${args.join(', ')})`;
  }

  #version(rule: CoreRule, version: Version): VersionDocument {
    const register = registerNames(rule, version);
    const steps: StepDocument[] = [];
    let drivenBy: string | undefined;
    const groups = intersectedProbes(
      version.steps,
      (relation) => this.plan.relations[relation]?.indexes ?? [],
    );
    for (const [place, step] of version.steps.entries()) {
      if (step.op === 'delta') drivenBy = this.#columns(version.source ?? 0, step, register);
      else if (step.op !== 'head' && step.op !== 'emit') {
        steps.push(this.#step(step, register, version, groups.get(place)));
      }
    }
    return {
      purpose: version.purpose,
      ...(drivenBy === undefined ? {} : { drivenBy }),
      steps,
    };
  }

  #step(
    step: Exclude<Step, { op: 'delta' | 'head' | 'emit' }>,
    register: (number: number) => string,
    { constants }: Version,
    group: readonly number[] | undefined,
  ): StepDocument {
    if (step.op !== 'scan' && step.op !== 'lookup' && step.op !== 'probe') {
      return { text: testText(step, register), how: 'test' };
    }
    if (step.op === 'probe') {
      const atom = this.#atom(step.relation, step.registers.map(register));
      const text = step.isAbsent ? `not ${atom}` : atom;
      return group === undefined
        ? { text, how: 'row' }
        : { text, how: 'group', index: fromOne(group) };
    }
    const isConstant = (number: number): boolean =>
      constants.some((constant) => constant.register === number);
    const keys = step.op === 'lookup' ? step.keys : [];
    const columns =
      step.op === 'lookup'
        ? (this.plan.relations[step.relation]?.indexes[step.index] ?? [])
        : undefined;
    const atom = this.#columns(step.relation, step, register, columns, keys);
    const given = [...keys, ...step.checks.map((check) => check.register)];
    const arity = this.plan.relations[step.relation]?.arity ?? 0;
    const size = this.plan.sizes?.[step.relation] ?? 0;
    const fixed = given.filter(isConstant).length;
    const rows = expectedRows(size, arity, fixed, given.length - fixed);
    return {
      text: step.match === 'absent' ? `not ${atom}` : atom,
      how: columns === undefined ? 'scan' : 'index',
      ...(columns === undefined ? {} : { index: fromOne(columns) }),
      ...(step.match === 'each' ? { rows: BigInt(Math.ceil(rows)) } : { once: true }),
    };
  }

  /** The atom by what its columns are bound to or compared with. */
  #columns(
    relation: number,
    { binds, checks }: Pick<Step & { op: 'scan' }, 'binds' | 'checks'>,
    register: (number: number) => string,
    keyColumns: readonly number[] = [],
    keys: readonly number[] = [],
  ): string {
    const args = Array.from({ length: this.plan.relations[relation]?.arity ?? 0 }, () => '_');
    for (const use of [...binds, ...checks]) args[use.column] = register(use.register);
    keyColumns.forEach((column, place) => (args[column] = register(keys[place] ?? 0)));
    return this.#atom(relation, args);
  }
}

function registerNames(rule: CoreRule, version: Version): (number: number) => string {
  const values = new Map(
    version.constants.map(({ register, value }) => [register, printValue(value)]),
  );
  return (number) => values.get(number) ?? variableText(number, rule.source?.variables ?? []);
}

function testText(
  step: Exclude<Step, { op: 'delta' | 'head' | 'emit' | 'scan' | 'lookup' | 'probe' }>,
  register: (number: number) => string,
): string {
  switch (step.op) {
    case 'compare':
      return `${register(step.left)} ${step.operator} ${register(step.right)}`;
    case 'compute': {
      const { output, left, operator, right } = step;
      return `${register(output)} = ${register(left)} ${operator} ${register(right)}`;
    }
    case 'differ':
      return `[${step.left.map(register).join(', ')}] != [${step.right.map(register).join(', ')}]`;
    case 'fails':
      return `${register(step.left)} ${step.operator} ${register(step.right)} fails`;
    case 'call':
      return `${register(step.output)} = ${step.function}(${step.inputs.map(register).join(', ')})`;
    case 'callFails':
      return `${step.function}(${step.inputs.map(register).join(', ')}) fails`;
    case 'each':
      return `member(${register(step.list)}, ${register(step.output)})`;
    case 'format':
      return `${register(step.output)} = its inputs as text`;
    case 'move':
      return `${register(step.to)} = ${register(step.from)}`;
  }
}

function termText(term: Term | Operand, names: readonly string[]): string {
  if (term.kind === 'wildcard') return '_';
  return term.kind === 'constant' ? printValue(term.value) : variableText(term.index, names);
}

/** Variables of rules that the planner has added have no names. */
function variableText(index: number, names: readonly string[]): string {
  return names[index] ?? `v${index + 1}`;
}

function fromOne(columns: readonly number[]): bigint[] {
  return columns.map((column) => BigInt(column + 1));
}
