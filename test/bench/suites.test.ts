import assert from 'node:assert/strict';
import test from 'node:test';
import { measureCheckpoint } from '../../bench/checkpoint.ts';
import { deleteCase, measureDeletes } from '../../bench/deletes.ts';
import { measureEngine } from '../../bench/engine.ts';
import { compile } from '../../host/compiler/compile.ts';
import type { Plan, PlanOptions } from '../../host/compiler/plan.ts';
import type { Engine, Transaction } from '../../host/engine/engine.ts';
import { inputOf, programText, WORKLOADS } from '../../bench/workloads.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';

function planOf(name: string, baseTables: readonly string[], options: PlanOptions): Plan {
  const externalTables = new Set(baseTables.map((table) => `${name}:${table}`));
  const catalog = { policies: [{ name, text: programText(name) }], sources: [] };
  const { program, diagnostics } = compile(catalog, { externalTables });
  assert.ok(program !== undefined, diagnostics[0]?.message);
  // The naive engine takes no more of a plan.
  return { program, options } as Plan;
}

const closurePlan = () => {
  const tables = new Set(['tc:tc']);
  return planOf('tc', ['edge'], { watched: tables, digest: tables });
};

for (const name of new Set(WORKLOADS.map(({ program }) => program))) {
  test(`${name}.dl compiles, and every table with a known size is one of its tables`, () => {
    for (const workload of WORKLOADS.filter(({ program }) => program === name)) {
      if (workload.scale !== 'small') continue;
      const { program } = planOf(name, Object.keys(inputOf(workload)), {});
      const tables = program.tables.map((table) => table.name);
      for (const table of Object.keys(workload.sizes)) assert.ok(tables.includes(table), table);
    }
  });
}

const small = WORKLOADS.find(({ name }) => name === 'tc chain 100');
const bench = {
  planOf: (name: string, baseTables: readonly string[]) => planOf(name, baseTables, {}),
  openEngine: async (): Promise<Engine> => new NaiveEngine(),
};

test('a workload is measured only where the sizes are right', async () => {
  assert.ok(small !== undefined);
  const tiny = { ...small, parameters: [8], sizes: { tc: 28 } };
  const entry = await measureEngine(bench, tiny, 'maintained');
  assert.equal(entry.name, 'tc chain 100 maintained');
  assert.equal(entry.figures['rows']?.value, 28);
  await assert.rejects(
    measureEngine(bench, { ...tiny, sizes: { tc: 29 } }, 'batch'),
    /`tc` has 28 rows, not 29/,
  );
});

test('a right engine passes the delete suite', async () => {
  const plan = closurePlan();
  const entry = await measureDeletes(
    { plan, openEngine: bench.openEngine },
    deleteCase('rand 8 16', 5),
  );
  assert.equal(entry.figures['steps']?.value, 5);
});

/** Forgets every delete after its first transaction. */
class KeepingEngine extends NaiveEngine {
  override async transact(transaction: Transaction): ReturnType<Engine['transact']> {
    const changes = transaction.changes.map(({ table, insert }) =>
      insert === undefined ? { table } : { table, insert },
    );
    return super.transact({ ...transaction, changes });
  }
}

test('control: an engine that keeps what was deleted does not pass', async () => {
  const plan = closurePlan();
  const openEngine = async (): Promise<Engine> => new KeepingEngine();
  await assert.rejects(
    measureDeletes({ plan, openEngine }, deleteCase('btree 3', 5)),
    /step 0, .* rows after the delete/,
  );
});

/** Its first delete comes without its delta. */
class QuietEngine extends NaiveEngine {
  #quiet = true;

  override async transact(transaction: Transaction): ReturnType<Engine['transact']> {
    const result = await super.transact(transaction);
    const isDelete = transaction.changes.some((change) => change.delete !== undefined);
    if (!result.ok || !isDelete || !this.#quiet) return result;
    this.#quiet = false;
    return { ...result, deltas: [] };
  }
}

test('control: an engine that tells of the insert but not of the delete does not pass', async () => {
  const openEngine = async (): Promise<Engine> => new QuietEngine();
  await assert.rejects(
    measureDeletes({ plan: closurePlan(), openEngine }, deleteCase('btree 3', 1)),
    /deltas that mirror each other/,
  );
});

test('a checkpoint is loaded whole, beside JSON of the same rows', async () => {
  const size = { rows: 3_000, rounds: 2 };
  const { figures } = await measureCheckpoint(bench.openEngine, size);
  for (const name of ['first', 'time', 'JSON.parse', 'ratio']) {
    assert.ok((figures[name]?.value ?? 0) > 0, name);
  }
  // Control: an engine that loses a row is no result.
  class Losing extends NaiveEngine {
    override count(table: string): number {
      return super.count(table) - 1;
    }
  }
  const losing = async (): Promise<Engine> => new Losing();
  await assert.rejects(measureCheckpoint(losing, size), /has 2999 rows, not 3000/);
});
