/**
 * One random edge out of a closure and back in, again and again: what a small change costs.
 *
 * After every step the number of rows is that of a hand-written closure of the changed graph, the
 * deltas of the two steps mirror each other, and the digest after the second is the one before the
 * first; every `RECOMPUTE_EVERY` steps a fresh engine computes the changed graph and its digest
 * must be equal.
 */
import type { Plan } from '../host/compiler/plan.ts';
import type { Engine, TableDelta, TransactionSuccess } from '../host/engine/engine.ts';
import { createStream, generate, toBlock, type Cells, type GeneratorName } from './generate.ts';
import { closureWithBits, graphOf } from './kernels.ts';
import { median, percentile, timedAsync } from './measure.ts';
import type { Entry, Figure } from './report.ts';

export interface DeleteCase {
  readonly name: string;
  readonly generator: GeneratorName;
  readonly parameters: readonly number[];
  /** Edges taken out and put back. */
  readonly steps: number;
}

const RECOMPUTE_EVERY = 50;
const EDGES = 'tc:edge';
const CLOSURE = 'tc:tc';

export const DELETE_CASES: readonly DeleteCase[] = [
  deleteCase('btree 9', 400),
  deleteCase('btree 14', 400),
  deleteCase('dag 2000 6000', 400),
  deleteCase('grid 60', 100),
  deleteCase('rand 1000 3000', 100),
  deleteCase('rand 2000 4000', 60),
  deleteCase('chain 2000', 10),
];

export function deleteCase(name: string, steps: number): DeleteCase {
  const [generator = '', ...parameters] = name.split(' ');
  return {
    name,
    generator: generator as GeneratorName,
    parameters: parameters.map(Number),
    steps,
  };
}

interface Step {
  readonly ms: number;
  readonly changed: number;
  readonly touched: number;
}

/** The parts, so that a test can put a faulty engine in. `plan` watches and digests `tc:tc`. */
export interface DeleteBench {
  readonly plan: Plan;
  readonly openEngine: () => Promise<Engine>;
}

export async function measureDeletes(bench: DeleteBench, one: DeleteCase): Promise<Entry> {
  const edges = [...(generate(one.generator, ...one.parameters)['edge'] ?? [])];
  const engine = await closureOf(bench, edges);
  const initial = engine.digest();
  const { below } = createStream(one.steps);
  const out: Step[] = [];
  const back: Step[] = [];
  try {
    for (let step = 0; step < one.steps; step++) {
      const index = below(edges.length);
      const edge = edges[index] as Cells;
      const rest = edges.toSpliced(index, 1);
      const where = `${one.name}, step ${step}, edge ${edge.join(' → ')}`;
      const block = toBlock([edge]);
      const removed = await apply(engine, { table: EDGES, delete: block });
      const expected = closureWithBits(graphOf(rest));
      expect(engine.count(CLOSURE) === expected, where, `${expected} rows after the delete`);
      if (step % RECOMPUTE_EVERY === 0) {
        const fresh = await closureOf(bench, rest);
        const equal = fresh.digest() === engine.digest();
        fresh.close();
        expect(equal, where, 'the digest of a recomputation after the delete');
      }
      const restored = await apply(engine, { table: EDGES, insert: block });
      expect(engine.digest() === initial, where, 'the digest from before after the insert');
      expect(mirrored(removed.delta, restored.delta), where, 'deltas that mirror each other');
      out.push(removed.step);
      back.push(restored.step);
    }
  } finally {
    engine.close();
  }
  return { name: one.name, figures: figuresOf(out, back) };
}

async function closureOf({ plan, openEngine }: DeleteBench, edges: Cells[]): Promise<Engine> {
  const engine = await openEngine();
  expectSuccess(
    await engine.transact({ plan, changes: [{ table: EDGES, insert: toBlock(edges) }] }),
  );
  return engine;
}

async function apply(
  engine: Engine,
  change: Parameters<Engine['transact']>[0]['changes'][number],
): Promise<{ step: Step; delta: TableDelta | undefined }> {
  const { ms, result } = await timedAsync(() => engine.transact({ changes: [change] }));
  const delta = expectSuccess(result).deltas.find(({ table }) => table === CLOSURE);
  const changed = (delta?.insert.count ?? 0) + (delta?.delete.count ?? 0);
  return { step: { ms, changed, touched: engine.stats().touchedRows }, delta };
}

function expectSuccess(result: Awaited<ReturnType<Engine['transact']>>): TransactionSuccess {
  if (!result.ok) throw new Error(`the transaction failed: ${result.message}`);
  return result;
}

function expect(condition: boolean, where: string, what: string): void {
  if (!condition) throw new Error(`${where}: expected ${what}`);
}

/** What went out came back in, and the delete inserted nothing. */
function mirrored(out: TableDelta | undefined, back: TableDelta | undefined): boolean {
  if (out === undefined || back === undefined) return out === back;
  if (out.insert.count > 0 || back.delete.count > 0) return false;
  return Buffer.compare(out.delete.bytes, back.insert.bytes) === 0;
}

function figuresOf(out: readonly Step[], back: readonly Step[]): Entry['figures'] {
  const times = out.map(({ ms }) => ms);
  const sum = (steps: readonly Step[], of: (step: Step) => number): number =>
    steps.reduce((total, step) => total + of(step), 0);
  const changed = sum(out, (step) => step.changed);
  const touchedPerChanged = sum(out, (step) => step.touched) / Math.max(1, changed);
  const figure = (value: number, unit: Figure['unit']): Figure => ({ value, unit });
  return {
    steps: figure(out.length, 'count'),
    'delete p50': figure(percentile(times, 50), 'ms'),
    p99: figure(percentile(times, 99), 'ms'),
    max: figure(Math.max(...times), 'ms'),
    'insert p50': figure(median(back.map(({ ms }) => ms)), 'ms'),
    'changed/step': figure(changed / out.length, 'count'),
    'touched/changed': { value: touchedPerChanged, unit: 'ratio', compared: true },
  };
}
