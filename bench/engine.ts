/**
 * From rows to a fixpoint: every workload in maintained mode (ready for updates) and batch-only
 * mode.
 *
 * A workload and mode is a process of its own (`main.ts` starts it), a repetition a fresh engine.
 * `first` is the first repetition of the process, with cold code; `time` the median of the others.
 * A time covers one transaction: program in, rows in, everything derived; no start-up, no files.
 */
import type { Plan } from '../host/compiler/plan.ts';
import type { Engine } from '../host/engine/engine.ts';
import { generate, toBlock } from './generate.ts';
import { closureWithBits, closureWithSet, graphOf, type Graph } from './kernels.ts';
import { median, timed, timedAsync } from './measure.ts';
import type { Entry, Figure } from './report.ts';
import { inputOf, type Workload } from './workloads.ts';

export type Mode = 'maintained' | 'batch';
export const MODES: readonly Mode[] = ['maintained', 'batch'];

/** At least this many repetitions after the first, and more while they are short. */
const REPETITIONS_MIN = 3;
const REPETITIONS_MAX = 15;
const REPETITIONS_MS = 3000;
const BYTES_ROWS_MIN = 100_000;

export interface Repetition {
  readonly ms: number;
  readonly derivations: number;
  readonly memoryBytes: number;
  readonly usedBytes: number;
  readonly rows: number;
}

/** The parts, so that a test can put another engine in. */
export interface EngineBench {
  readonly planOf: (program: string, baseTables: readonly string[], batchOnly: boolean) => Plan;
  readonly openEngine: () => Promise<Engine>;
}

/** One evaluation in a fresh engine; throws where a table has another size than it must. */
export type Evaluation = () => Promise<Repetition>;

export function evaluationOf(
  { planOf, openEngine }: EngineBench,
  workload: Workload,
  mode: Mode,
): Evaluation {
  const input = inputOf(workload);
  const plan = planOf(workload.program, Object.keys(input), mode === 'batch');
  const changes = Object.entries(input).map(([table, rows]) => ({
    table: `${workload.program}:${table}`,
    insert: toBlock(rows),
  }));
  return async () => {
    const engine = await openEngine();
    try {
      const { ms, result } = await timedAsync(() => engine.transact({ plan, changes }));
      if (!result.ok) throw new Error(`${workload.name}: ${result.message}`);
      for (const [table, expected] of Object.entries(workload.sizes)) {
        const count = engine.count(`${workload.program}:${table}`);
        if (count !== expected) {
          throw new Error(`${workload.name}: \`${table}\` has ${count} rows, not ${expected}`);
        }
      }
      const stats = engine.stats();
      const rows = Object.values(stats.tables).reduce((sum, count) => sum + count, 0);
      const { derivations, memoryBytes, usedBytes } = stats;
      return { ms, derivations, memoryBytes, usedBytes, rows };
    } finally {
      engine.close();
    }
  };
}

export async function measureEngine(
  bench: EngineBench,
  workload: Workload,
  mode: Mode,
): Promise<Entry> {
  const repeat = evaluationOf(bench, workload, mode);
  const first = await repeat();
  const repetitions: Repetition[] = [];
  for (let spent = 0; ;) {
    const repetition = await repeat();
    repetitions.push(repetition);
    spent += repetition.ms;
    const enough = repetitions.length >= REPETITIONS_MIN && spent > REPETITIONS_MS;
    if (enough || repetitions.length >= REPETITIONS_MAX) break;
  }
  const times = repetitions.map((repetition) => repetition.ms);
  return { name: `${workload.name} ${mode}`, figures: figuresOf(workload, first, times) };
}

function figuresOf(
  workload: Workload,
  first: Repetition,
  times: readonly number[],
): Entry['figures'] {
  const ms = median(times);
  // Ratios are of the best times: whatever else the machine does only adds.
  const best = Math.min(...times);
  const derived = Object.values(workload.sizes).reduce((sum, count) => sum + count, 0);
  const figures: Record<string, Figure> = {
    rows: { value: derived, unit: 'count' },
    first: { value: first.ms, unit: 'ms' },
    time: { value: ms, unit: 'ms' },
    'derivations/s': { value: first.derivations / (ms / 1000), unit: 'perSecond' },
    memory: { value: first.memoryBytes, unit: 'bytes' },
    yardsticks: { value: best / yardstick(), unit: 'ratio', compared: true },
  };
  // Below, what an empty engine takes says more than the rows.
  if (first.rows >= BYTES_ROWS_MIN) {
    const bytes = first.usedBytes / first.rows;
    figures['bytes/row'] = { value: bytes, unit: 'bytes', compared: true };
  }
  if (workload.program === 'tc') {
    const graph = graphOf(inputOf(workload)['edge'] ?? []);
    // A `Set` holds 2^24 entries at most.
    if (derived < 2 ** 24) {
      figures['set loop'] = { value: kernelTime(closureWithSet, graph) / best, unit: 'ratio' };
    }
    figures['bit search'] = { value: kernelTime(closureWithBits, graph) / best, unit: 'ratio' };
  }
  return figures;
}

/**
 * The hand-written closure of one fixed graph, measured in the same process: a time divided by it
 * compares between machines and between quiet and busy hours.
 */
function yardstick(): number {
  return kernelTime(closureWithSet, graphOf(generate('rand', 300, 900)['edge'] ?? []));
}

/** The best of some, after one to warm up. */
function kernelTime(kernel: (graph: Graph) => number, graph: Graph): number {
  kernel(graph);
  const times: number[] = [];
  for (let spent = 0; times.length < 3 || (spent < 300 && times.length < 20);) {
    const { ms } = timed(() => kernel(graph));
    times.push(ms);
    spent += ms;
  }
  return Math.min(...times);
}
