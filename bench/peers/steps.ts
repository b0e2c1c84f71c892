/**
 * Streams of transactions: the same rows out and in again for our engine and for peers, as a file
 * that both read. A line is `+` or `-`, a table and its cells with tabs between; `=` commits.
 */
import { createStream, type Cell, type Cells, type Tables } from '../generate.ts';

export interface RowChange {
  readonly sign: '+' | '-';
  readonly table: string;
  readonly row: Cells;
}
/** One transaction. */
export type Step = readonly RowChange[];

/**
 * `count` times: `size` different rows of a table out in one transaction, then back in one. Each
 * first step of a pair deletes, each second inserts.
 */
export function outAndBack(tables: Tables, table: string, size: number, count: number): Step[] {
  const rows = tables[table] ?? [];
  const { below } = createStream();
  const steps: Step[] = [];
  for (let pair = 0; pair < count; pair++) {
    const chosen = new Set<number>();
    while (chosen.size < Math.min(size, rows.length)) chosen.add(below(rows.length));
    steps.push(
      ...outAndIn(
        table,
        [...chosen].map((index) => rows[index] as Cells),
      ),
    );
  }
  return steps;
}

/** Every row of a table, one at a time, in order. */
export function eachOutAndBack(tables: Tables, table: string): Step[] {
  return (tables[table] ?? []).flatMap((row) => outAndIn(table, [row]));
}

function outAndIn(table: string, rows: readonly Cells[]): [Step, Step] {
  const step = (sign: '+' | '-'): Step => rows.map((row) => ({ sign, table, row }));
  return [step('-'), step('+')];
}

export function toText(steps: readonly Step[]): string {
  const lines: string[] = [];
  for (const step of steps) {
    for (const { sign, table, row } of step) lines.push([sign, table, ...row].join('\t'));
    lines.push('=');
  }
  return lines.map((line) => `${line}\n`).join('');
}

export function fromText(text: string): Step[] {
  const steps: Step[] = [];
  let step: RowChange[] = [];
  for (const line of text.split('\n')) {
    if (line === '=') {
      steps.push(step);
      step = [];
    } else if (line !== '') {
      const [sign, table = '', ...cells] = line.split('\t');
      if (sign !== '+' && sign !== '-') throw new Error(`no sign in \`${line}\``);
      step.push({ sign, table, row: cells.map(toCell) });
    }
  }
  return steps;
}

function toCell(text: string): Cell {
  return /^\d+$/.test(text) ? Number(text) : text;
}
