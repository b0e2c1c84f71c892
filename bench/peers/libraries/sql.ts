/** Recursive queries of SQL, as DuckDB and SQLite have them: linear recursion, `union` for sets. */
import { clockedAsync } from '../../measure.ts';
import type { Cells, Tables } from '../../generate.ts';
import type { Evaluated } from './library.ts';

/** Runs statements; the rows of a query as arrays. */
export interface Database {
  readonly run: (sql: string) => Promise<void>;
  readonly rows: (sql: string) => Promise<readonly (readonly unknown[])[]>;
}

const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  edge: ['x', 'y'],
  member: ['u', 'g'],
  subgroup: ['g', 'p'],
  role_inherits: ['r', 'p'],
  grant_role: ['g', 'r'],
  parent: ['c', 'f'],
  role_perm: ['r', 'a', 'f'],
  banned: ['u'],
  deny: ['u', 'f'],
};

const closureOf = (table: string, columns: string, start: string, next: string): string =>
  `create table ${table} as with recursive found(${columns}) as (${start} union ${next})
   select * from found`;

const RBAC: readonly string[] = [
  closureOf(
    'in_group',
    'u, g',
    'select u, g from member',
    'select found.u, subgroup.p from found join subgroup on subgroup.g = found.g',
  ),
  closureOf(
    'has_role',
    'u, r',
    'select u, r from in_group join grant_role on grant_role.g = in_group.g',
    'select found.u, role_inherits.p from found join role_inherits on role_inherits.r = found.r',
  ),
  'create table files as select f from parent union select c from parent',
  // A permission moves to the files below, and from an action to those that it implies.
  `create table moves as
   select a, f, a as a2, c as f2 from parent, (select 'read' as a union select 'write' union
     select 'admin') as actions
   union select 'admin', f, 'write', f from files
   union select 'write', f, 'read', f from files`,
  'create index moves_from on moves(a, f)',
  closureOf(
    'perm',
    'r, a, f',
    'select r, a, f from role_perm',
    'select found.r, a2, f2 from found join moves on moves.a = found.a and moves.f = found.f',
  ),
  closureOf(
    'denied',
    'u, f',
    'select u, f from deny',
    'select found.u, parent.c from found join parent on parent.f = found.f',
  ),
  'create index perm_r on perm(r)',
  'create index denied_uf on denied(u, f)',
  `create table allow as
   select distinct has_role.u, perm.a, perm.f from has_role join perm on perm.r = has_role.r
   where not exists (select 1 from banned where banned.u = has_role.u)
   and not exists (select 1 from denied where denied.u = has_role.u and denied.f = perm.f)`,
  'create index allow_ua on allow(u, a)',
  `create table nfiles as
   select users.u, (select count(*) from allow where allow.u = users.u and allow.a = 'read') as n
   from (select distinct u from has_role) as users`,
];

const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  tc: [
    closureOf(
      'tc',
      'x, y',
      'select x, y from edge',
      'select found.x, edge.y from found join edge on edge.x = found.y',
    ),
  ],
  sg: [
    closureOf(
      'sg',
      'x, y',
      'select a.y, b.y from edge as a join edge as b on a.x = b.x where a.y <> b.y',
      `select a.y, b.y from found join edge as a on a.x = found.x join edge as b on b.x = found.y`,
    ),
  ],
  unreach: [
    'create table node as select x from edge union select y from edge',
    closureOf('reach', 'x', 'select 0', 'select y from found join edge on edge.x = found.x'),
    `create table unreach as
     select x from node where not exists (select 1 from reach where reach.x = node.x)`,
    `create table outdeg as
     select reach.x, count(edge.y) as c from reach left join edge on edge.x = reach.x
     group by reach.x`,
  ],
  rbac: RBAC,
};
export const SQL_PROGRAMS = Object.keys(PROGRAMS);

const INDEXES: Readonly<Record<string, string>> = {
  edge: 'x',
  subgroup: 'g',
  role_inherits: 'r',
  grant_role: 'g',
  parent: 'f',
};
/** Of one statement. */
const INSERT_ROWS_MAX = 1000;

export async function evaluateSql(
  database: Database,
  program: string,
  tables: Tables,
): Promise<Evaluated> {
  for (const [table, rows] of Object.entries(tables)) await load(database, table, rows);
  const { wallMs, cpuMs } = await clockedAsync(async () => {
    for (const statement of PROGRAMS[program] ?? []) await database.run(statement);
  });
  const sizes: Record<string, number> = {};
  for (const table of tablesOf(program)) {
    const [row] = await database.rows(`select count(*) from ${table}`);
    sizes[table] = Number(row?.[0]);
  }
  return { sizes, spent: { wallMs, cpuMs } };
}

function tablesOf(program: string): string[] {
  return (PROGRAMS[program] ?? []).flatMap((sql) => /^create table (\w+)/.exec(sql)?.[1] ?? []);
}

async function load(database: Database, table: string, rows: readonly Cells[]): Promise<void> {
  const type = typeof rows[0]?.[0] === 'number' ? 'integer' : 'text';
  const columns = COLUMNS[table] ?? [];
  await database.run(`create table ${table} (${columns.map((one) => `${one} ${type}`).join()})`);
  for (let start = 0; start < rows.length; start += INSERT_ROWS_MAX) {
    const values = rows.slice(start, start + INSERT_ROWS_MAX).map((row) => {
      return `(${row.map((cell) => (typeof cell === 'number' ? cell : `'${cell}'`)).join()})`;
    });
    await database.run(`insert into ${table} values ${values.join()}`);
  }
  const indexed = INDEXES[table];
  if (indexed !== undefined) {
    await database.run(`create index ${table}_${indexed} on ${table}(${indexed})`);
  }
}
