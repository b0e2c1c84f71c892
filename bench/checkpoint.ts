/**
 * A checkpoint of one large table is loaded from a disk into an engine that indexes it twice,
 * beside `JSON.parse` of the same rows from a file: in turns, in one process, the best CPU time of
 * each side. JSON gives arrays only: no types, no table, no index, no digest.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compile } from '../host/compiler/compile.ts';
import { lower } from '../host/compiler/lower.ts';
import type { Plan } from '../host/compiler/plan.ts';
import type { Engine } from '../host/engine/engine.ts';
import { CheckpointStore } from '../host/log/checkpoint-store.ts';
import { nodeDisk } from '../host/log/node-disk.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../host/replica/checkpoint.ts';
import { initialState } from '../host/replica/replicated-state.ts';
import { encodeRows } from '../host/value/row-block.ts';
import { itemRows } from './cluster/load-rows.ts';
import type { Entry, Figure } from './report.ts';

/** Sizes are parameters, so that a test can run the whole of it on little. */
export interface CheckpointSize {
  readonly rows: number;
  readonly rounds: number;
}

const FULL: CheckpointSize = { rows: 1_000_000, rounds: 7 };
const TABLE = 'p:item';
const INDEXES = 2;
/** Two rules that ask by one column each: the plan has an index for each of them. */
const POLICY = `by_name(x, n) :- item(x, g, n), name(x).\nby_group(x, n) :- item(x, g, n), group(g).`;
const REVISION = 1;

export async function measureCheckpoint(
  openEngine: () => Promise<Engine>,
  size: CheckpointSize = FULL,
): Promise<Entry> {
  const directory = mkdtempSync(path.join(tmpdir(), 'caucus-bench-checkpoint-'));
  try {
    const store = new CheckpointStore(nodeDisk, directory);
    const text = path.join(directory, 'rows.json');
    await save(store, text, size.rows);
    const plan = planWithIndexes();
    const loads: number[] = [];
    const parses: number[] = [];
    for (let round = 0; round < size.rounds; round++) {
      const engine = await openEngine();
      loads.push(await cpuMsOf(() => load(store, engine, plan)));
      if (engine.count(TABLE) !== size.rows) {
        throw new Error(`\`${TABLE}\` has ${engine.count(TABLE)} rows, not ${size.rows}`);
      }
      engine.close();
      parses.push(await cpuMsOf(() => parse(text, size.rows)));
    }
    const ms = (value: number): Figure => ({ value, unit: 'ms' });
    const [best, bestParse] = [Math.min(...loads), Math.min(...parses)];
    return {
      name: `${size.rows} rows, ${INDEXES} indexes`,
      figures: {
        first: ms(loads[0] ?? 0),
        time: ms(best),
        'JSON.parse': ms(bestParse),
        ratio: { value: best / bestParse, unit: 'ratio', compared: true, target: { atMost: 1 } },
      },
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As a checkpoint, and as JSON beside it. */
async function save(store: CheckpointStore, text: string, count: number): Promise<void> {
  const rows = itemRows(0, count);
  const state = { ...initialState('0'.repeat(32), 1), revision: REVISION };
  const base = new Map([[TABLE, encodeRows(3, rows)]]);
  await store.save(REVISION, encodeCheckpoint({ state, base, digest: '' }));
  await writeFile(text, JSON.stringify(rows.map(([name, group, n]) => [name, group, Number(n)])));
}

function planWithIndexes(): Plan {
  const tables = [TABLE, 'p:name', 'p:group'];
  const catalog = { policies: [{ name: 'p', text: POLICY }], sources: [] };
  const { program, diagnostics } = compile(catalog, { externalTables: new Set(tables) });
  if (program === undefined) throw new Error(diagnostics[0]?.message ?? 'no program');
  const plan = lower(program, { watched: new Set(), digest: new Set() });
  const found = plan.relations.find(({ name }) => name === TABLE)?.indexes.length;
  if (found !== INDEXES) throw new Error(`\`${TABLE}\` has ${found} indexes, not ${INDEXES}`);
  return plan;
}

async function load(store: CheckpointStore, engine: Engine, plan: Plan): Promise<void> {
  const pieces: Uint8Array[] = [];
  const { checkpoint } = await store.loadNewest();
  for await (const piece of checkpoint?.chunks ?? []) pieces.push(piece);
  const [bytes, ...more] = pieces;
  if (bytes === undefined || more.length > 0) throw new Error('the checkpoint is one piece here');
  const { base } = decodeCheckpoint(bytes);
  const changes = [...base].map(([table, insert]) => ({ table, replace: true, insert }));
  const result = await engine.transact({ plan, changes, withoutDeltas: true });
  if (!result.ok) throw new Error(result.message);
}

async function parse(file: string, count: number): Promise<void> {
  const rows = JSON.parse(await readFile(file, 'utf8')) as unknown[];
  if (rows.length !== count) throw new Error(`${rows.length} rows of JSON, not ${count}`);
}

/** User and system time of the process: what else the machine does is not in it. */
async function cpuMsOf(job: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await job();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
