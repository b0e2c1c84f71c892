import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { compile } from '../../host/compiler/compile.ts';
import { declaredShapes } from '../../host/replica/program.ts';
import { checkRows } from '../../host/replica/row-check.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row } from '../../host/value/value.ts';
import { clausesOf } from '../../drivers/packages/debian-index.ts';
import { packageTables } from '../../drivers/packages/package-tables.ts';
import type { PackageRecord } from '../../drivers/packages/package-tables.ts';
import { evaluate } from '../oracle/naive-evaluator.ts';
import { RowSet } from '../oracle/row-set.ts';
import { packagesFile } from '../support/packages-file.ts';

const POLICY = 'examples/packages/packages.policy';

/** The stanzas of a synthetic index, read without the driver. */
function recordsOf(seed: number): PackageRecord[] {
  const { text } = packagesFile({
    seed,
    packages: 60,
    dependencies: 120,
    installed: 40,
    danglingEvery: 50,
  });
  return text
    .split('\n\n')
    .filter((stanza) => stanza.includes('Package: '))
    .map((stanza) => {
      const field = (name: string): string | undefined =>
        new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1];
      const installed = field('Status') === undefined ? undefined : field('Version');
      return {
        name: field('Package') ?? '',
        section: field('Section') ?? '',
        sizeKb: 1n,
        available:
          installed !== undefined && stanza.length % 7 === 0 ? undefined : field('Version'),
        installed,
        essential: field('Essential') === 'yes',
        deprecated: stanza.length % 11 === 0 ? 'old' : undefined,
        licence: undefined,
        clauses: clausesOf(field('Depends')),
        provides: clausesOf(field('Provides')).flat(),
      };
    });
}

/** What the policy should derive, computed with loops over objects. */
function expected(
  records: readonly PackageRecord[],
  forbidden: ReadonlySet<string>,
): Record<string, string[]> {
  const answers = (name: string): string[] =>
    records.filter((r) => r.name === name || r.provides.includes(name)).map((r) => r.name);
  const installed = records.filter((r) => r.installed !== undefined);
  const has = new Set(installed.map((r) => r.name));
  const needs = new Map(
    installed.map((r) => [
      r.name,
      new Set(
        r.clauses
          .flat()
          .flatMap(answers)
          .filter((q) => has.has(q) && q !== r.name),
      ),
    ]),
  );
  const closure = (start: string, step: (name: string) => Iterable<string>): Set<string> => {
    const found = new Set<string>();
    const open = [...step(start)];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      open.push(...step(next));
    }
    return found;
  };
  const reach = new Map([...has].map((p) => [p, closure(p, (name) => needs.get(name) ?? [])]));
  const risky = installed.flatMap((r) => [
    ...(forbidden.has(r.name) ? [[r.name, 'forbidden']] : []),
    ...(r.deprecated === undefined ? [] : [[r.name, 'deprecated']]),
    ...(r.available === undefined ? [[r.name, 'removed']] : []),
  ]) as [string, string][];
  const exposed = risky.flatMap(([q, why]) =>
    [...has]
      .filter((p) => p !== q && reach.get(p)?.has(q) === true)
      .map((p) => [p, q, why] as const),
  );
  const essential = new Set(records.filter((r) => r.essential).map((r) => r.name));
  const pairs = (clause: readonly string[]): Set<string> =>
    new Set(clause.flatMap((target) => answers(target).map((q) => `${target} ${q}`)));
  const only = (p: string): string[] =>
    records
      .filter((r) => r.name === p)
      .flatMap((r) => r.clauses.map((clause) => pairs(clause)))
      .filter((choices) => choices.size === 1)
      .flatMap((choices) => [...choices].map((choice) => choice.split(' ')[1] as string));
  const broken = records.filter((r) => r.clauses.some((clause) => pairs(clause).size === 0));
  const losing = (roots: ReadonlySet<string>): string[] =>
    records
      .map((r) => r.name)
      .filter((p) => roots.has(p) || [...closure(p, only)].some((q) => roots.has(q)));
  const count = (names: readonly string[]): string[] => {
    const counts = new Map<string, number>();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    return [...counts].map(([name, n]) => `${name}, ${n}`);
  };
  const known = new Set(records.map((r) => r.name));
  const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');
  return {
    reach: [...reach].flatMap(([p, names]) => [...names].map((q) => quoted([p, q]))),
    direct_users: count([...needs.values()].flatMap((names) => [...names].map((q) => quoted([q])))),
    all_users: count(
      [...reach].flatMap(([p, names]) => [...names].filter((q) => p !== q).map((q) => quoted([q]))),
    ),
    leaf: [...has]
      .filter((p) => !essential.has(p) && ![...needs.values()].some((names) => names.has(p)))
      .map((p) => quoted([p])),
    exposure: count(exposed.map(([, q, why]) => quoted([q, why]))),
    alarm: [
      ...exposed.filter(([p]) => essential.has(p)),
      ...risky.filter(([q]) => essential.has(q)).map(([q, why]) => [q, q, why] as const),
    ].map((row) => quoted(row)),
    never: losing(new Set(broken.map((r) => r.name))).map((p) => quoted([p])),
    loss: count(
      [...forbidden]
        .filter((f) => known.has(f))
        .flatMap((f) => losing(new Set([f])).map(() => quoted([f]))),
    ),
  };
}

async function derive(
  records: readonly PackageRecord[],
  forbidden: ReadonlySet<string>,
): Promise<ReadonlyMap<string, RowSet>> {
  const text = await readFile(POLICY, 'utf8');
  const { program, diagnostics } = compile({ policies: [{ name: 'packages', text }], sources: [] });
  assert.deepEqual(diagnostics, []);
  assert.ok(program);
  const base = new Map([['watchlist:forbidden', new RowSet([...forbidden].map((name) => [name]))]]);
  for (const [table, block] of packageTables(records)) {
    base.set(`pkg:${table}`, new RowSet(decodeRows(block)));
  }
  return evaluate(program, base);
}

function rowText(row: Row): string {
  return row.map(formatValue).join(', ');
}

test('the demo policy derives what loops over the same packages find', async () => {
  const derived = new Map<string, number>();
  for (let seed = 1; seed <= 6; seed++) {
    const records = recordsOf(seed);
    const forbidden = new Set(['p2', 'p0', 'nothing']);
    const tables = await derive(records, forbidden);
    for (const [table, rows] of Object.entries(expected(records, forbidden))) {
      const found = [...(tables.get(`packages:${table}`) ?? [])].map(rowText).toSorted();
      assert.deepEqual(found, rows.toSorted(), `seed ${seed}, ${table}`);
      derived.set(table, (derived.get(table) ?? 0) + found.length);
    }
  }
  for (const [table, rows] of derived)
    assert.ok(rows > 5, `only ${rows} rows of ${table} were compared`);
});

test('the policy declares the tables of the driver as the driver does', async () => {
  const text = (await readFile(POLICY, 'utf8')).replaceAll(' nullable', '');
  const { PACKAGE_TABLES } = await import('../../drivers/packages/package-tables.ts');
  for (const { name, columns } of PACKAGE_TABLES) {
    const declared = columns?.map((column) => `${column.name}: ${column.type}`).join(', ');
    assert.ok(text.includes(`table pkg:${name}(${declared})\n`), `${name}(${declared})`);
  }
});

/** Puts records through what a server checks of rows, as declared by a policy's text. */
function checkAgainst(text: string, records: readonly PackageRecord[]): void {
  const shapes = declaredShapes([{ name: 'packages', text }], ['pkg', 'watchlist']);
  for (const [name, block] of packageTables(records)) {
    const shape = shapes.get(`pkg:${name}`);
    assert.ok(shape?.columns !== undefined, `${name} is declared`);
    checkRows(`pkg:${name}`, shape, block);
  }
}

test('rows of every package fit the declarations, those without a size too', async () => {
  const text = await readFile(POLICY, 'utf8');
  const whole = recordsOf(1);
  const records = [
    ...whole,
    // As an index or a lock file that says little.
    ...whole.map((record) => ({
      ...record,
      name: `${record.name}-bare`,
      section: '',
      sizeKb: null,
      licence: 'MIT',
      deprecated: 'old',
    })),
  ];
  checkAgainst(text, records);
  const strict = text.replace('size_kb: int nullable', 'size_kb: int');
  assert.notEqual(strict, text);
  assert.throws(() => checkAgainst(strict, records), { code: 'invalid_row' });
});
