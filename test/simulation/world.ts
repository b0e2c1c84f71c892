/** What the simulated clients write and ask: small, so that rows meet, vanish and come back. */
import type { TableChange } from '../../host/engine/engine.ts';
import type { PolicyWrite } from '../../host/replica/replica.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { rowKey } from '../oracle/row-set.ts';
import type { BatchCall } from '../support/history.ts';
import type { Random } from '../support/random.ts';

/** Pushed by clients. */
export const PUSH_SOURCES = ['app', 'net'] as const;
/** Written by drivers, one at a time. */
export const DRIVEN_SOURCE = 'drv';

const VALUES: readonly Value[] = [0n, 1n, 2n, 3n, 4n, 'a', 'b'];
const BAD_TEXTS = ['p(x) :- not app:left(x)\n', 'p(x :- app:left(x)\n', 'p(x) :- app:edge(x)\n'];

/** By policy, several texts each: recursion, negation, aggregates, actions, across policies. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  graph: [
    'reach(x, y) :- app:edge(x, y)\nreach(x, z) :- reach(x, y), app:edge(y, z)\n',
    'reach(x, y) :- app:edge(x, y)\nreach(x, z) :- reach(x, y), reach(y, z)\n' +
      'round(x) :- reach(x, x)\n',
    'reach(x, y) :- app:edge(x, y), not net:deny(x)\nreach(x, z) :- reach(x, y), net:link(y, z)\n',
  ],
  pairs: [
    'torn(x) :- app:left(x), not app:right(x)\ntorn(x) :- app:right(x), not app:left(x)\n',
    'torn(x) :- app:left(x), not app:right(x)\nboth(x) :- app:left(x), app:right(x)\n',
  ],
  acts: [
    'execute[svc:alert(x)] :- graph:reach(x, x)\n' +
      'execute[svc:deny(x, y)] :- net:link(x, y), net:deny(x)\n',
    'execute[svc:alert(x)] :- app:left(x), not net:deny(x)\n',
    'execute[svc:deny(x, y)] :- net:link(x, y), not app:left(x)\n' +
      'loose(x) :- net:deny(x), not graph:reach(x, _)\n',
  ],
  sizes: [
    'degree(x, count()) :- app:edge(x, _)\nlargest(max(n)) :- degree(_, n)\n',
    'degree(x, count()) :- app:edge(x, _), not net:deny(x)\nops(c, count()) :- app:op(c, _)\n',
    'ops(c, count()) :- app:op(c, _)\nitems(g, count()) :- drv:item(_, g, _)\n',
  ],
};

export const POLICY_NAMES: readonly string[] = Object.keys(TEXTS);

export const QUERIES: readonly string[] = [
  'app:left(x)',
  'app:right(x)',
  'app:left(x), not app:right(x)',
  'app:op(c, n)',
  'app:edge(x, y), not net:deny(y)',
  'net:link(x, y), app:edge(y, z)',
  'graph:reach(x, y)',
  'pairs:torn(x)',
  'sizes:degree(x, n)',
  'sizes:ops(c, n)',
  'drv:item(k, g, n)',
  'drv:item(k, g, n), not drv:twin(k, g, n)',
];

/** Rows of one table as values. */
export interface Rows {
  readonly table: string;
  readonly arity: number;
  readonly replace: boolean;
  readonly insert: readonly Row[];
  readonly delete: readonly Row[];
}

/** One row of every table: fixes how many columns each has. */
export function firstRows(source: (typeof PUSH_SOURCES)[number]): Rows[] {
  const arities = source === 'app' ? APP_TABLES : NET_TABLES;
  return Object.entries(arities).map(([table, arity]) =>
    rows(table, [Array.from({ length: arity }, () => 0n)], []),
  );
}

const APP_TABLES = { left: 1, right: 1, edge: 2, op: 2 };
const NET_TABLES = { link: 2, deny: 1 };

/**
 * A batch for `app`: the same rows into `left` and `right`, edges, and a row that names the
 * operation.
 */
export function appBatch(random: Random, client: string, op: number): Rows[] {
  const marked = Array.from({ length: 1 + random.int(2) }, () => [random.pick(VALUES)]);
  const isGone = random.chance(0.4);
  const markers = (table: string): Rows =>
    isGone ? rows(table, [], marked) : rows(table, marked, []);
  const changes = [markers('left'), rows('op', [[client, BigInt(op)]], [])];
  if (random.chance(0.7)) changes.push(edges(random, 'edge'));
  // Far from its twin, so that a cut between two records would show.
  changes.push(markers('right'));
  return changes;
}

export function netBatch(random: Random): { changes: Rows[]; snapshot: boolean } {
  const deny = Array.from({ length: 1 + random.int(2) }, () => [random.pick(VALUES)]);
  const isGone = random.chance(0.4);
  const changes = [isGone ? rows('deny', [], deny) : rows('deny', deny, [])];
  if (random.chance(0.7)) changes.push(edges(random, 'link'));
  return { changes, snapshot: random.chance(0.1) };
}

function edges(random: Random, table: string): Rows {
  const list = (count: number): Row[] =>
    Array.from({ length: count }, () => [random.pick(VALUES), random.pick(VALUES)]);
  return rows(table, list(random.int(4)), list(random.int(4)));
}

export function policyWrites(random: Random): PolicyWrite[] {
  const first = policyWrite(random);
  if (random.chance(0.8)) return [first];
  const second = policyWrite(random);
  return second.name === first.name ? [first] : [first, second];
}

function policyWrite(random: Random): PolicyWrite {
  const name = random.pick(POLICY_NAMES);
  if (random.chance(0.15)) return { name, text: null };
  if (random.chance(0.05)) return { name, text: random.pick(BAD_TEXTS) };
  const text = random.pick(TEXTS[name] ?? []);
  // Texts differ, so that most writes change something.
  return { name, text: `${text}// ${random.int(1000)}\n` };
}

function rows(table: string, insert: readonly Row[], removed: readonly Row[]): Rows {
  const arity = (insert[0] ?? removed[0])?.length ?? 2;
  // A change names a row once.
  const keys = new Set(insert.map(rowKey));
  const gone = removed.filter((row) => !keys.has(rowKey(row)));
  return { table, arity, replace: false, insert, delete: gone };
}

export function tableChanges(changes: readonly Rows[]): TableChange[] {
  return changes.map(({ table, arity, replace, insert, delete: removed }) => ({
    table,
    ...(replace ? { replace } : {}),
    insert: encodeRows(arity, insert),
    delete: encodeRows(arity, removed),
  }));
}

export function rowChangeTexts(changes: readonly Rows[]): BatchCall['changes'] {
  return changes.map(({ table, replace, insert, delete: removed }) => ({
    table,
    replace,
    insert: insert.map(rowKey),
    delete: removed.map(rowKey),
  }));
}
