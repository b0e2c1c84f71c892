/** Figures of our engine that no peer has: each has a bound of its own. */
import { CompileMemory } from '../../host/compiler/compile-memory.ts';
import { compile } from '../../host/compiler/compile.ts';
import { lower } from '../../host/compiler/lower.ts';
import { PlanMemory } from '../../host/compiler/plan-memory.ts';
import type { Plan } from '../../host/compiler/plan.ts';
import type { Engine, TableChange } from '../../host/engine/engine.ts';
import { compileText, openEngine, planOf, queryPlanOf, tablesPlanOf } from '../core.ts';
import { createStream, toBlock, type Cells, type Tables } from '../generate.ts';
import { clockedAsync, percentile, timed } from '../measure.ts';
import type { Entry } from '../report.ts';
import { inputOf, programText, type Workload } from '../workloads.ts';
import { runProcess } from './process.ts';
import { writeTables } from './round.ts';

async function apply(
  engine: Engine,
  plan: Plan | undefined,
  changes: readonly TableChange[],
): Promise<number> {
  const { wallMs, result } = await clockedAsync(() =>
    engine.transact({ ...(plan && { plan }), changes }),
  );
  if (!result.ok) throw new Error(`the transaction failed: ${result.message}`);
  return wallMs;
}

function changesOf(program: string, tables: Tables): TableChange[] {
  return Object.entries(tables).map(([table, rows]) => {
    return { table: `${program}:${table}`, insert: toBlock(rows) };
  });
}

/** Pairs that no other is equal to. */
export function randomPairs(count: number): Cells[] {
  const { below } = createStream();
  const seen = new Set<number>();
  const rows: Cells[] = [];
  while (rows.length < count) {
    const row = [below(2 ** 20), below(2 ** 20)] as const;
    const key = row[0] * 2 ** 20 + row[1];
    if (seen.has(key)) continue;
    seen.add(key);
    rows.push(row);
  }
  return rows;
}

/** Turns of the event loop without a change. */
const SETTLED_TURNS = 20;

/** The recursive rule finds nothing, and looks for it in an index on the second column. */
const RANKED = `
t(x, y) :- pair(x, y).
t(x, z) :- t(x, y), link(y, z).
`;

/** Bytes in use once the engine has nothing left to do between transactions. */
async function settledBytes(engine: Engine): Promise<number> {
  let bytes = engine.stats().usedBytes;
  for (let turns = 0; turns < SETTLED_TURNS; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = engine.stats().usedBytes;
    if (now !== bytes) turns = 0;
    bytes = now;
  }
  return bytes;
}

/** What a derived relation takes, with rank and weight of each row and one more index. */
export async function measureRowBytes(count: number): Promise<Entry> {
  const tables: Tables = { pair: randomPairs(count), link: [[-1, -1]] };
  const engine = await openEngine();
  try {
    await apply(engine, tablesPlanOf('bytes', tables), changesOf('bytes', tables));
    const before = await settledBytes(engine);
    const program = compileText('bytes', RANKED, Object.keys(tables));
    await apply(engine, lower(program, { watched: new Set() }), []);
    const rows = engine.count('bytes:t');
    if (rows !== count) throw new Error(`\`t\` has ${rows} rows, not ${count}`);
    const value = ((await settledBytes(engine)) - before) / count;
    const target = { atMost: 28 };
    return {
      name: `${count} random pairs, derived`,
      figures: { 'bytes/row': { value, unit: 'bytes', compared: true, target } },
    };
  } finally {
    engine.close();
  }
}

function ruleText(rules: number): string {
  const lines = Array.from({ length: rules }, (_, rule) => {
    return `limit${rule}(x, y) :- size(x, y), owner(x, z), y > ${rule}, not done(z).\n`;
  });
  return lines.join('');
}

/** One more rule beside `present` others: from its text to its rows. */
export async function measureOneMoreRule(present: number, inserts: number): Promise<Entry> {
  const { below } = createStream();
  const tables: Tables = {
    size: Array.from({ length: 200 }, (_, row) => [row, below(1000)]),
    owner: Array.from({ length: 200 }, (_, row) => [row, below(50)]),
    done: Array.from({ length: 10 }, (_, row) => [row]),
  };
  const memory = new CompileMemory();
  const planMemory = new PlanMemory();
  const externalTables = new Set(Object.keys(tables).map((table) => `rules:${table}`));
  const planWith = (rules: number): Plan => {
    const catalog = { policies: [{ name: 'rules', text: ruleText(rules) }], sources: [] };
    const { program, diagnostics } = compile(catalog, { externalTables, memory });
    if (program === undefined) throw new Error(diagnostics[0]?.message ?? 'no program');
    return lower(program, { watched: new Set() }, planMemory);
  };
  const engine = await openEngine();
  try {
    await apply(engine, planWith(present), changesOf('rules', tables));
    const times: number[] = [];
    for (let rules = present + 1; rules <= present + inserts; rules++) {
      const { wallMs } = await clockedAsync(() => apply(engine, planWith(rules), []));
      times.push(wallMs);
      const rows = engine.count(`rules:limit${rules - 1}`);
      const expected = expectedRows(tables, rules - 1);
      if (rows !== expected) throw new Error(`rule ${rules} gave ${rows} rows, not ${expected}`);
    }
    const target = { atMost: 5 };
    return {
      name: `a rule beside ${present} others`,
      figures: {
        p50: { value: percentile(times, 50), unit: 'ms', target },
        p99: { value: percentile(times, 99), unit: 'ms' },
      },
    };
  } finally {
    engine.close();
  }
}

function expectedRows(tables: Tables, bound: number): number {
  const done = new Set((tables['done'] ?? []).map(([owner]) => owner));
  const owners = new Map((tables['owner'] ?? []).map(([one, owner]) => [one, owner]));
  return (tables['size'] ?? []).filter(([one, size]) => {
    return Number(size) > bound && !done.has(owners.get(one));
  }).length;
}

export interface CheckCase {
  readonly rows: number;
  /** Its first column is a text, asked for with a string of its own each time. */
  readonly isText: boolean;
  readonly atMostNs: number;
}

export const CHECK_CASES: readonly CheckCase[] = [
  { rows: 10_000, isText: false, atMostNs: 20 },
  { rows: 1_000_000, isText: false, atMostNs: 90 },
  { rows: 1_000_000, isText: true, atMostNs: 300 },
];

/** Checks between two looks at the clock; so short that most are not interrupted. */
const CHECKS_AT_A_TIME = 4096;
const CHECK_BATCHES = 250;

/**
 * Rows that are there, asked for at random: the median of many short loops, the best of them, and
 * the same loop over a JavaScript `Map` of as many keys, which tells what the machine's memory
 * gives at that moment. And what the same question takes as a query made beforehand.
 */
export async function measureChecks(cases: readonly CheckCase[]): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const { rows: count, isText, atMostNs } of cases) {
    const pairs = randomPairs(count);
    const rows = isText ? pairs.map(([x, y]) => [nameOf(x as number, y as number), y]) : pairs;
    const tables: Tables = { pair: rows as readonly Cells[], link: [[-1, -1]] };
    const engine = await openEngine();
    try {
      const plan = lower(compileText('checks', RANKED, Object.keys(tables)), {
        watched: new Set(),
      });
      await apply(engine, plan, changesOf('checks', tables));
      const { below } = createStream();
      const known = new Map(pairs.map(([x, y]) => [(x as number) * 2 ** 20 + (y as number), true]));
      const check = engine.prepareCheck('checks:t');
      const times: number[] = [];
      const mapTimes: number[] = [];
      for (let batch = 0; batch < CHECK_BATCHES; batch++) {
        const asked = Array.from({ length: CHECKS_AT_A_TIME }, () => {
          const [x, y] = pairs[below(count)] as readonly [number, number];
          return [isText ? nameOf(x, y) : BigInt(x), BigInt(y), x * 2 ** 20 + y] as const;
        });
        times.push(each(asked, ([first, second]) => check.has(first, second)));
        mapTimes.push(each(asked, ([, , key]) => known.get(key) === true));
      }
      const target = { atMost: atMostNs / 1e6 };
      entries.push({
        name: `a check in ${count} rows${isText ? ', fresh strings' : ''}`,
        figures: {
          p50: { value: percentile(times, 50), unit: 'ms', target },
          best: { value: Math.min(...times), unit: 'ms' },
          'a Map': { value: percentile(mapTimes, 50), unit: 'ms' },
          query: { value: await queryMs(engine, plan, rows[0] as Cells), unit: 'ms' },
        },
      });
    } finally {
      engine.close();
    }
  }
  return entries;
}

/** Longer than what the value table has in place, as most names are. */
function nameOf(x: number, y: number): string {
  return `user-${x * 2 ** 20 + y}`;
}

/** Milliseconds of one; each is expected to be there. */
function each<T>(asked: readonly T[], has: (one: T) => boolean): number {
  const { ms, result } = timed(() => {
    let there = 0;
    for (let index = 0; index < asked.length; index++) if (has(asked[index] as T)) there++;
    return there;
  });
  if (result !== asked.length) throw new Error(`${result} of ${asked.length} rows are there`);
  return ms / asked.length;
}

async function queryMs(engine: Engine, plan: Plan, [x, y]: Cells): Promise<number> {
  const text = `checks:t(${JSON.stringify(x)}, ${JSON.stringify(y)})`;
  const query = queryPlanOf(plan, 'checks', text, RANKED);
  const times: number[] = [];
  for (let time = 0; time < 500; time++) {
    const { wallMs, result } = await clockedAsync(() => engine.query(query));
    if (result.rows.count !== 1) throw new Error(`${result.rows.count} rows for one there`);
    times.push(wallMs);
  }
  return percentile(times, 50);
}

const DEMAND_TARGET = { atMost: 1 };
const DEMAND_QUERY = 'rbac:allow("u1", "read", f)';

/** The rules of rbac with `allow` on demand; what reads it would keep it, and is left out. */
function demandText(): string {
  const rules = programText('rbac').split('\n');
  const kept = rules.filter((line) => !line.startsWith('nfiles('));
  return ['table allow(u, a, f) on demand.', ...kept].join('\n');
}

/** `allow("u1", "read", f)` from the rows of `allow`, and without them from its rule. */
export async function measureDemand(workload: Workload): Promise<Entry> {
  const tables = inputOf(workload);
  const base = Object.keys(tables);
  const text = demandText();
  const lean = lower(compileText('rbac', text, base), { watched: new Set(), leavesOut: true });
  const kept = await queryTimes(tables, planOf('rbac', base), programText('rbac'));
  const asked = await queryTimes(tables, lean, text);
  if (kept.rows !== asked.rows) {
    throw new Error(`${asked.rows} rows on demand, ${kept.rows} where \`allow\` is kept`);
  }
  return {
    name: `${workload.name}, allow("u1", "read", f)`,
    figures: {
      'allow kept': { value: percentile(kept.times, 50), unit: 'ms' },
      'allow not kept': { value: percentile(asked.times, 50), unit: 'ms', target: DEMAND_TARGET },
      best: { value: Math.min(...asked.times), unit: 'ms' },
      rows: { value: asked.rows, unit: 'count' },
    },
  };
}

async function queryTimes(
  tables: Tables,
  plan: Plan,
  text: string,
): Promise<{ times: number[]; rows: number }> {
  const engine = await openEngine();
  try {
    await apply(engine, plan, changesOf('rbac', tables));
    const query = queryPlanOf(plan, 'rbac', DEMAND_QUERY, text);
    const times: number[] = [];
    let rows = 0;
    for (let time = 0; time < 50; time++) {
      const { wallMs, result } = await clockedAsync(() => engine.query(query));
      times.push(wallMs);
      rows = result.rows.count;
    }
    return { times, rows };
  } finally {
    engine.close();
  }
}

const TEXT_TARGET = { atMost: 3000 };

/** `caucus run`: from the start of the process, over text and files, to the end of it. */
export async function measureText(workload: Workload, rounds: number): Promise<Entry> {
  const folder = writeTables(workload, inputOf(workload));
  const text = `bench/programs/${workload.program}.dl`;
  const words = ['dist/cli.js', 'run', text, '--facts', folder, '--stats', '--json'];
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const command = { file: process.execPath, args: [...words, '--batch-only'] };
    const { wallMs, result } = await clockedAsync(() => runProcess(command, 300_000));
    if ('notRun' in result) throw new Error(`caucus run: ${result.notRun}`);
    const { tables } = JSON.parse(result.output) as { tables: Record<string, number> };
    for (const [table, expected] of Object.entries(workload.sizes)) {
      const rows = tables[table];
      if (rows !== expected) throw new Error(`\`${table}\` has ${rows} rows, not ${expected}`);
    }
    times.push(wallMs);
  }
  const value = Math.min(...times);
  return {
    name: `${workload.name}, from text to the fixpoint`,
    figures: { time: { value, unit: 'ms', target: TEXT_TARGET } },
  };
}
