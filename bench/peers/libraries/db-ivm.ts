/** TanStack's incremental join: rows of two tables by their first column. */
import { readFileSync } from 'node:fs';
import type { Cells, Tables } from '../../generate.ts';
import { clockedAsync } from '../../measure.ts';
import type { Answer, Spent } from '../contestant.ts';
import { fromText, type RowChange } from '../steps.ts';
import { requireFrom } from './library.ts';

type Weighted = [row: [key: number, row: Cells], weight: number];
interface Stream {
  pipe(...operators: unknown[]): Stream;
  sendData(rows: Weighted[]): void;
}
interface Rows {
  getInner(): readonly [unknown, weight: number][];
}
/** The part of the package that is used. */
interface DbIvm {
  readonly D2: new () => { newInput(): Stream; finalize(): void; run(): void };
  readonly join: (other: Stream, kind: string) => unknown;
  readonly output: (take: (rows: Rows) => void) => unknown;
}

/** `joined(k, a, b) :- left(k, a), right(k, b).`, loaded and then changed step by step. */
export async function joinWithDbIvm(
  builds: string,
  tables: Tables,
  stepsFile: string,
): Promise<Answer> {
  const { D2, join, output } = requireFrom(builds, '@tanstack/db-ivm') as DbIvm;
  const steps = fromText(readFileSync(stepsFile, 'utf8'));
  const graph = new D2();
  const inputs: Readonly<Record<string, Stream>> = {
    left: graph.newInput(),
    right: graph.newInput(),
  };
  let joined = 0;
  const count = (rows: Rows): void => {
    for (const [, weight] of rows.getInner()) joined += weight;
  };
  inputs['left']?.pipe(join(inputs['right'] as Stream, 'inner'), output(count));
  graph.finalize();
  const send = (changes: readonly RowChange[]): Promise<Spent> => {
    const rows = new Map<string, Weighted[]>();
    for (const { sign, table, row } of changes) {
      const of = rows.get(table) ?? [];
      rows.set(table, of);
      of.push([[row[0] as number, row], sign === '+' ? 1 : -1]);
    }
    return clockedAsync(async () => {
      for (const [table, weighted] of rows) inputs[table]?.sendData(weighted);
      graph.run();
    });
  };

  const load = Object.entries(tables).flatMap(([table, rows]) => {
    return rows.map((row): RowChange => ({ sign: '+', table, row }));
  });
  const { wallMs, cpuMs } = await send(load);
  const sizes = { joined };
  const spent: Spent[] = [];
  const rows: number[] = [];
  for (const step of steps) {
    spent.push(await send(step));
    rows.push(joined);
  }
  return {
    sizes,
    runs: [{ wallMs, cpuMs }],
    steps: {
      wallMs: spent.map((one) => one.wallMs),
      cpuMs: spent.map((one) => one.cpuMs),
      rows,
    },
  };
}
