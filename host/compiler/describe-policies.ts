/** What a program's policies are made of, for people and programs that ask. */
import type { PolicyInfo, RuleMetadata } from './policy-info.ts';
import { tableKey } from './stratified.ts';
import type { Column, StratifiedProgram, Table } from './stratified.ts';

export interface TableDescription {
  /** Bare in `tables`, with its owner in `reads`. */
  readonly name: string;
  readonly arity: number;
  /** Of declared tables. */
  readonly columns?: readonly Column[];
  readonly description?: string;
}

export interface RuleDescription extends RuleMetadata {
  /** Position in its policy, from 1: the `rule` of `system:errors`. */
  readonly ordinal: number;
  readonly text: string;
}

export interface PolicyDescription extends PolicyInfo {
  /** Its own, by name. */
  readonly tables: readonly TableDescription[];
  /** Of others, by name. */
  readonly reads: readonly TableDescription[];
  /** Those with a body or metadata. */
  readonly rules: readonly RuleDescription[];
  /** The number of facts. */
  readonly facts: number;
}

export function describePolicies(program: StratifiedProgram): PolicyDescription[] {
  return (program.policies ?? []).map((info) => describePolicy(program, info));
}

export function describePolicy(program: StratifiedProgram, info: PolicyInfo): PolicyDescription {
  const rules = program.rules.filter((rule) => rule.policy === info.name);
  const read = new Set<number>();
  for (const { body } of rules) {
    for (const literal of body) if (literal.kind === 'atom') read.add(literal.table);
  }
  const tables = program.tables.filter((table) => table.owner === info.name);
  const others = program.tables.filter(
    (table, index) => read.has(index) && table.owner !== info.name,
  );
  return {
    ...info,
    tables: tables.map((table) => describeTable(table, table.name)).sort(byName),
    reads: others.map((table) => describeTable(table, tableKey(table))).sort(byName),
    rules: rules
      .filter(({ body, metadata }) => body.length > 0 || metadata !== undefined)
      .map(({ ordinal, text, metadata }) => ({ ordinal, text, ...metadata })),
    facts: rules.filter(({ body }) => body.length === 0).length,
  };
}

function describeTable({ arity, columns, description }: Table, name: string): TableDescription {
  return {
    name,
    arity,
    ...(columns === undefined ? {} : { columns }),
    ...(description === undefined ? {} : { description }),
  };
}

function byName(a: TableDescription, b: TableDescription): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
