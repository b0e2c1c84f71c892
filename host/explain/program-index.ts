/**
 * What explanations look up in a program, made once for it: the rules of a table, its facts, the
 * tables that are computed together with it.
 */
import { SourceText } from '../compiler/source-text.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { BestTables, Rule, StratifiedProgram, TableKey } from '../compiler/stratified.ts';
import { EXPLAIN_FACTS_PER_TURN } from '../limits.ts';
import { valueKey } from '../value/value.ts';
import type { Row, Value } from '../value/value.ts';

/** Texts of policies, for the lines of rules. */
export interface PolicyTexts {
  readonly policies: readonly { readonly name: string; readonly text: string }[];
}

/** Tables of one stratum that depend on each other. */
export interface Component {
  readonly keys: ReadonlySet<TableKey>;
  readonly best?: BestTables;
}

const indexes = new WeakMap<StratifiedProgram, ProgramIndex>();

export function programIndex(program: StratifiedProgram): ProgramIndex {
  let index = indexes.get(program);
  if (index === undefined) indexes.set(program, (index = new ProgramIndex(program)));
  return index;
}

export class ProgramIndex {
  readonly numbers: ReadonlyMap<TableKey, number>;
  readonly #rules = new Map<number, Rule[]>();
  readonly #facts = new Map<number, Rule[]>();
  readonly #factsByRow = new Map<number, Promise<ReadonlyMap<string, Rule>>>();
  readonly #components = new Map<number, Component>();

  constructor({ tables, rules, strata }: StratifiedProgram) {
    const keys = tables.map(tableKey);
    this.numbers = new Map(keys.map((key, table) => [key, table]));
    for (const rule of rules) {
      const kind = isFact(rule) ? this.#facts : this.#rules;
      const own = kind.get(rule.head);
      if (own === undefined) kind.set(rule.head, [rule]);
      else own.push(rule);
    }
    for (const { tables: members, recursive, best } of strata) {
      if (!recursive) continue;
      const component = {
        keys: new Set(members.map((table) => keys[table] as TableKey)),
        ...(best === undefined ? {} : { best }),
      };
      for (const table of members) this.#components.set(table, component);
    }
  }

  /** Those with a body, in the order of the text. */
  rulesOf(table: number): readonly Rule[] {
    return this.#rules.get(table) ?? [];
  }

  factCount(table: number): number {
    return this.#facts.get(table)?.length ?? 0;
  }

  /** The fact of the text that is this row. A policy may have very many: `pause` lets others on. */
  async findFact(table: number, row: Row, pause: () => Promise<void>): Promise<Rule | undefined> {
    const facts = this.#facts.get(table);
    if (facts === undefined) return undefined;
    let byRow = this.#factsByRow.get(table);
    if (byRow === undefined) {
      byRow = factsByRow(facts, pause);
      this.#factsByRow.set(table, byRow);
      byRow.catch(() => this.#factsByRow.delete(table));
    }
    return (await byRow).get(keyOf(row));
  }

  componentOf(table: number): Component | undefined {
    return this.#components.get(table);
  }
}

async function factsByRow(
  facts: readonly Rule[],
  pause: () => Promise<void>,
): Promise<ReadonlyMap<string, Rule>> {
  const byRow = new Map<string, Rule>();
  for (const [at, fact] of facts.entries()) {
    if (at % EXPLAIN_FACTS_PER_TURN === EXPLAIN_FACTS_PER_TURN - 1) await pause();
    const key = keyOf(fact.headTerms.map((term) => (term.kind === 'constant' ? term.value : null)));
    if (!byRow.has(key)) byRow.set(key, fact);
  }
  return byRow;
}

function keyOf(row: readonly Value[]): string {
  return JSON.stringify(row.map(valueKey));
}

function isFact({ body, headTerms }: Rule): boolean {
  return body.length === 0 && headTerms.every(({ kind }) => kind === 'constant');
}

/** Lines of rules in the texts of their policies, from 1. */
export class RuleLines {
  readonly #texts: PolicyTexts;
  readonly #sources = new Map<string, SourceText | undefined>();

  constructor(texts: PolicyTexts) {
    this.#texts = texts;
  }

  lineOf({ policy, span }: Rule): number | undefined {
    if (!this.#sources.has(policy)) {
      const text = this.#texts.policies.find(({ name }) => name === policy)?.text;
      this.#sources.set(policy, text === undefined ? undefined : new SourceText(text));
    }
    return this.#sources.get(policy)?.position(span.start).line;
  }
}
