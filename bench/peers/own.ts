/**
 * Our engine as a contestant: a process that takes an order, evaluates, and prints one line of
 * JSON.
 *
 * As with the peers, the base tables are there before the clock starts: a first transaction brings
 * them without a rule, a second brings the rules. With steps the tables of known size are
 * subscribed, so that every transaction also hands over what changed in them.
 */
import { readFileSync } from 'node:fs';
import { lower } from '../../host/compiler/lower.ts';
import type { Plan } from '../../host/compiler/plan.ts';
import type { Engine, TableChange, TransactionSuccess } from '../../host/engine/engine.ts';
import { compileProgram, openEngine, tablesPlanOf } from '../core.ts';
import type { Mode } from '../engine.ts';
import { toBlock } from '../generate.ts';
import { clockedAsync } from '../measure.ts';
import { inputOf } from '../workloads.ts';
import type { Answer, Spent, Task } from './contestant.ts';
import { fromText, type Step } from './steps.ts';

/** The workload, in one mode; the tables come from its generator. */
export type Order = Omit<Task, 'folder'> & { readonly mode: Mode };

export async function answer(order: Order): Promise<Answer> {
  const { workload, mode } = order;
  const { program } = workload;
  const tables = inputOf(workload);
  const keyOf = (table: string): string => `${program}:${table}`;
  const watched = new Set(
    order.steps === undefined
      ? []
      : (order.watched ?? Object.keys(workload.sizes)).map((table) => keyOf(table)),
  );
  const batchOnly = mode === 'batch';
  const before = tablesPlanOf(program, tables, batchOnly);
  const plan = lower(compileProgram(program, Object.keys(tables)), { watched, batchOnly });
  const changes = Object.entries(tables).map(([table, rows]) => {
    return { table: keyOf(table), insert: toBlock(rows) };
  });
  const sizesOf = (engine: Engine): Record<string, number> => {
    const sizes = Object.keys(workload.sizes).map((table) => [table, engine.count(keyOf(table))]);
    return Object.fromEntries(sizes) as Record<string, number>;
  };

  const runs: Spent[] = [];
  for (let run = 1; ; run++) {
    const engine = await openEngine();
    expectSuccess(await engine.transact({ plan: before, changes }));
    const { wallMs, cpuMs, result } = await clockedAsync(() => evaluate(engine, plan));
    expectSuccess(result);
    runs.push({ wallMs, cpuMs });
    const sizes = sizesOf(engine);
    if (run === order.runs) {
      if (order.steps === undefined) return { sizes, runs };
      const steps = fromText(readFileSync(order.steps, 'utf8'));
      return { sizes, runs, steps: await measureSteps(engine, program, steps, sizesOf) };
    }
    engine.close();
  }
}

function evaluate(engine: Engine, plan: Plan): ReturnType<Engine['transact']> {
  return engine.transact({ plan, changes: [], withoutDeltas: true });
}

async function measureSteps(
  engine: Engine,
  program: string,
  steps: readonly Step[],
  sizesOf: (engine: Engine) => Record<string, number>,
): Promise<NonNullable<Answer['steps']>> {
  // Bytes are made before the clock runs, as the peers have their rows.
  const transactions = steps.map((step) => changesOf(program, step));
  const spent: Spent[] = [];
  const rows: number[] = [];
  const changed: number[] = [];
  const touched: number[] = [];
  for (const changes of transactions) {
    const { wallMs, cpuMs, result } = await clockedAsync(() => engine.transact({ changes }));
    const { deltas } = expectSuccess(result);
    spent.push({ wallMs, cpuMs });
    changed.push(sum(deltas.map((delta) => delta.insert.count + delta.delete.count)));
    rows.push(sum(Object.values(sizesOf(engine))));
    touched.push(engine.stats().touchedRows);
  }
  const wallMs = spent.map((one) => one.wallMs);
  const cpuMs = spent.map((one) => one.cpuMs);
  return { wallMs, cpuMs, rows, changed, touched };
}

function changesOf(program: string, step: Step): TableChange[] {
  const tables = [...new Set(step.map(({ table }) => table))];
  return tables.map((table) => {
    const block = (sign: '+' | '-') =>
      toBlock(step.filter((one) => one.table === table && one.sign === sign).map(({ row }) => row));
    const [gone, come] = [block('-'), block('+')];
    return {
      table: `${program}:${table}`,
      ...(gone.count > 0 ? { delete: gone } : {}),
      ...(come.count > 0 ? { insert: come } : {}),
    };
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function expectSuccess(result: Awaited<ReturnType<Engine['transact']>>): TransactionSuccess {
  if (!result.ok) throw new Error(`the transaction failed: ${result.message}`);
  return result;
}
