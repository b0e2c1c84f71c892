/**
 * Maintenance of recursive tables by ranks in its plainest form, with the rank's definition left
 * open. Rank = 1 + the largest rank in the deriving body agrees with the reference. The number of
 * the round in which a row was found, the choice that suggests itself, must not: a row found in an
 * early round of a late transaction may rest on rows of higher rank, whose loss it then does not
 * notice.
 */
import { tableKey } from '../../host/compiler/stratified.ts';
import type {
  Literal,
  Rule,
  StratifiedProgram,
  Stratum,
  TableKey,
  Term,
} from '../../host/compiler/stratified.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';
import type { EvaluateTables } from '../oracle/naive-engine.ts';
import {
  ERRORS_TABLE,
  Evaluation,
  KEY_VIOLATIONS_TABLE,
  keyViolations,
} from '../oracle/naive-evaluator.ts';
import type { Binding, Tables } from '../oracle/naive-evaluator.ts';
import { rowKey, RowSet } from '../oracle/row-set.ts';
import { NAIVE } from './engine-kind.ts';
import type { EngineKind } from './engine-kind.ts';

/**
 * `bodyRank`: 1 + the largest rank in the body, 0 without component rows in it; `round`: from 0.
 */
export type RankOf = (derivation: { readonly bodyRank: number; readonly round: number }) => number;

export function rankEngineKind(name: string, rankOf: RankOf): EngineKind {
  return { ...NAIVE, name, create: async () => new NaiveEngine(rankEvaluator(rankOf)) };
}

/** A row of the component as one string, and an instance of a rule: what derives what. */
type Fact = string;
interface Instance {
  readonly head: Fact;
  readonly table: TableKey;
  readonly row: Row;
  readonly body: readonly Fact[];
}
interface State {
  readonly program: StratifiedProgram;
  readonly base: Tables;
  readonly ranks: ReadonlyMap<Fact, number>;
}

function rankEvaluator(rankOf: RankOf): EvaluateTables {
  const states = new WeakMap<Tables, State>();
  return (program, base, before) => {
    const known = states.get(before);
    const old = known?.program === program ? known : undefined;
    const tables = new Map<TableKey, RowSet>([
      [ERRORS_TABLE, new RowSet()],
      [KEY_VIOLATIONS_TABLE, new RowSet()],
    ]);
    for (const table of program.tables) {
      tables.set(tableKey(table), new RowSet(base.get(tableKey(table)) ?? []));
    }
    const evaluation = new Evaluation(program, tables);
    const ranks = new Map<Fact, number>();
    for (const stratum of program.strata) {
      if (!stratum.recursive || stratum.best !== undefined) {
        evaluation.complete(stratum);
        continue;
      }
      const component = new Component(program, stratum, base);
      if (old !== undefined) component.keepSupported(before, old, tables, ranks);
      component.derive(tables, ranks, rankOf);
    }
    const failures = program.rules.flatMap((rule) => evaluation.failures(rule));
    tables.set(ERRORS_TABLE, new RowSet(failures));
    const violations = program.tables.flatMap((table) => keyViolations(table, tables));
    tables.set(KEY_VIOLATIONS_TABLE, new RowSet(violations));
    states.set(tables, { program, base, ranks });
    return tables;
  };
}

class Component {
  readonly #program: StratifiedProgram;
  readonly #rules: readonly Rule[];
  readonly #keys: readonly TableKey[];
  readonly #base: Tables;

  constructor(program: StratifiedProgram, stratum: Stratum, base: Tables) {
    this.#program = program;
    this.#base = base;
    this.#keys = stratum.tables.map((index) => keyOf(program, index));
    this.#rules = stratum.rules.map((index) => {
      return nameWildcards(program.rules[index] as Rule, new Set(stratum.tables));
    });
  }

  /** Puts the old rows that are still supported into `tables`, with their ranks. */
  keepSupported(before: Tables, old: State, tables: Tables, ranks: Map<Fact, number>): void {
    const rankOf = (fact: Fact): number => ranks.get(fact) as number;
    for (const key of this.#keys) {
      for (const row of before.get(key) ?? []) {
        tables.get(key)?.add(row);
        ranks.set(factOf(key, row), old.ranks.get(factOf(key, row)) as number);
      }
    }
    const instances = this.#instances(tables, this.#base);
    const remaining = new Set(instances.map(instanceKey));
    const supports = ({ head, body }: Instance): boolean => bodyRank(body, ranks) <= rankOf(head);
    const queue = this.#instances(before, old.base)
      .filter((instance) => !remaining.has(instanceKey(instance)) && supports(instance))
      .map(({ head }) => head);
    const dead = new Set<Fact>();
    while (queue.length > 0) {
      queue.sort((a, b) => rankOf(b) - rankOf(a));
      const fact = queue.pop() as Fact;
      const isAlive = (one: Instance): boolean => one.body.every((other) => !dead.has(other));
      if (dead.has(fact)) continue;
      if (instances.some((one) => one.head === fact && isAlive(one) && supports(one))) continue;
      dead.add(fact);
      for (const one of instances) {
        if (one.body.includes(fact) && !dead.has(one.head) && supports(one)) queue.push(one.head);
      }
    }
    for (const key of this.#keys) {
      const rows = tables.get(key) as RowSet;
      for (const row of [...rows]) if (dead.has(factOf(key, row))) rows.delete(row);
    }
    for (const fact of dead) ranks.delete(fact);
  }

  /** Adds what is derivable, round by round. */
  derive(tables: Tables, ranks: Map<Fact, number>, rankOf: RankOf): void {
    for (const key of this.#keys) {
      for (const row of this.#base.get(key) ?? []) {
        if (ranks.has(factOf(key, row))) continue;
        tables.get(key)?.add(row);
        ranks.set(factOf(key, row), rankOf({ bodyRank: 0, round: 0 }));
      }
    }
    for (let round = 0, isChanged = true; isChanged; round++) {
      isChanged = false;
      const found = this.#instances(tables, this.#base).filter(({ head }) => !ranks.has(head));
      const newRanks = found.map(({ body }) => rankOf({ bodyRank: bodyRank(body, ranks), round }));
      found.forEach(({ table, row, head }, index) => {
        if (!(tables.get(table) as RowSet).add(row)) return;
        ranks.set(head, newRanks[index] as number);
        isChanged = true;
      });
    }
  }

  /** All ways in which rules and base rows give rows of the component. */
  #instances(tables: Tables, base: Tables): Instance[] {
    const instances = new Map<string, Instance>();
    const add = (table: TableKey, row: Row, body: readonly Fact[]): void => {
      const instance = { head: factOf(table, row), table, row, body };
      instances.set(instanceKey(instance), instance);
    };
    for (const key of this.#keys) for (const row of base.get(key) ?? []) add(key, row, []);
    const evaluation = new Evaluation(this.#program, tables);
    for (const rule of this.#rules) {
      const head = keyOf(this.#program, rule.head);
      if (rule.headTerms.some((term) => term.kind === 'aggregate')) {
        for (const row of evaluation.derive(rule)) add(head, row, []);
        continue;
      }
      evaluation.solve(rule.body, (binding) => {
        const row = rule.headTerms.map((term) => valueOf(term as Term, binding));
        add(head, row, this.#bodyFacts(rule.body, binding));
      });
    }
    return [...instances.values()];
  }

  #bodyFacts(body: readonly Literal[], binding: Binding): Fact[] {
    return body.flatMap((literal) => {
      if (literal.kind !== 'atom' || literal.negated) return [];
      const key = keyOf(this.#program, literal.table);
      if (!this.#keys.includes(key)) return [];
      return [
        factOf(
          key,
          literal.terms.map((term) => valueOf(term, binding)),
        ),
      ];
    });
  }
}

function bodyRank(body: readonly Fact[], ranks: ReadonlyMap<Fact, number>): number {
  return body.reduce((rank, fact) => Math.max(rank, 1 + (ranks.get(fact) as number)), 0);
}

function instanceKey({ head, body }: Instance): string {
  return [head, ...body].join('\n');
}

function factOf(table: TableKey, row: Row): Fact {
  return `${table} ${rowKey(row)}`;
}

function keyOf(program: StratifiedProgram, index: number): TableKey {
  const table = program.tables[index];
  if (table === undefined) throw new Error(`no table ${index}`);
  return tableKey(table);
}

/** A binding then tells the rows of the component's positive atoms. */
function nameWildcards(rule: Rule, component: ReadonlySet<number>): Rule {
  if (rule.headTerms.some((term) => term.kind === 'aggregate')) return rule;
  const variables = [...rule.variables];
  const body = rule.body.map((literal): Literal => {
    if (literal.kind !== 'atom' || literal.negated || !component.has(literal.table)) return literal;
    const terms = literal.terms.map((term): Term => {
      if (term.kind !== 'wildcard') return term;
      return { kind: 'variable', index: variables.push(`_${variables.length}`) - 1 };
    });
    return { ...literal, terms };
  });
  return { ...rule, body, variables };
}

function valueOf(term: Term, binding: Binding): Value {
  if (term.kind === 'constant') return term.value;
  if (term.kind === 'wildcard') throw new Error('wildcards have names here');
  return binding[term.index] as Value;
}
