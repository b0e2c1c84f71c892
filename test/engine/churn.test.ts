/**
 * Fresh values come and go in a window: memory stays bounded, and what is there is right.
 *
 * `CHURN_VALUES` says how many; `npm run churn` runs 100 million of them.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { RowBlockWriter } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import type { Value } from '../../host/value/value.ts';
import { createEngine, planFor, sameBlock, succeeded } from './engine-pair.ts';

const VALUES = Number(process.env['CHURN_VALUES'] ?? 2_000_000);
const MIB = 1 << 20;

/** Every third one is longer than what fits an entry, and some are ints and floats. */
function valueOf(number: number): Value {
  switch (number % 6) {
    case 0:
      return `a string of some length, number ${number}`;
    case 1:
      return `v${number}`;
    case 2:
      return BigInt(number) * 10_000_000_000n;
    case 3:
      return number + 0.5;
    default:
      return `value ${number}`;
  }
}

interface Shape {
  readonly arity: number;
  readonly rowsPerBatch: number;
  /** Batches that stay. */
  readonly window: number;
}

function batch({ arity, rowsPerBatch }: Shape, number: number): RowBlock {
  const writer = new RowBlockWriter(arity);
  let value = number * rowsPerBatch * arity;
  for (let row = 0; row < rowsPerBatch; row++) {
    writer.appendRow(Array.from({ length: arity }, () => valueOf(value++)));
  }
  return writer.finish();
}

interface Peak {
  memoryBytes: number;
  inUse: number;
  liveValues: number;
}

/** Runs `values` values through a table and one that follows it; the peak of its second half. */
async function churn(engine: WasmEngine, shape: Shape, values: number): Promise<[Peak, Peak]> {
  const variables = Array.from({ length: shape.arity }, (_, index) => `x${index}`).join(', ');
  const text = `copy(${variables}) :- s:t(${variables}), not s:gone(x0).`;
  const plan = planFor(text, { t: shape.arity, gone: 1 }, { watched: new Set() });
  succeeded(await engine.transact({ plan, changes: [] }));
  const batches = Math.ceil(values / (shape.rowsPerBatch * shape.arity));
  const peaks = [0, 1].map((): Peak => ({ memoryBytes: 0, inUse: 0, liveValues: 0 }));
  for (let number = 0; number < batches; number++) {
    const insert = batch(shape, number);
    const old = number - shape.window;
    const change = { table: 's:t', insert };
    const gone = old < 0 ? {} : { delete: batch(shape, old) };
    succeeded(await engine.transact({ changes: [{ ...change, ...gone }] }));
    const peak = peaks[number * 2 < batches ? 0 : 1] as Peak;
    const stats = engine.stats();
    peak.memoryBytes = Math.max(peak.memoryBytes, stats.memoryBytes);
    peak.inUse = Math.max(peak.inUse, Number(engine.core.exports.memoryInUse()));
    peak.liveValues = Math.max(peak.liveValues, stats.liveValues);
  }
  // What remains is the last window, in both tables.
  const expected = await createEngine();
  const last = Array.from({ length: shape.window }, (_, index) => batches - shape.window + index);
  const inserts = last.map((number) => ({ table: 's:t', insert: batch(shape, number) }));
  succeeded(await expected.transact({ plan, changes: inserts }));
  for (const table of ['s:t', 'p:copy']) {
    sameBlock(await engine.rows(table), await expected.rows(table), table);
    assert.equal(engine.count(table), shape.window * shape.rowsPerBatch);
  }
  return [peaks[0] as Peak, peaks[1] as Peak];
}

const NARROW: Shape = { arity: 2, rowsPerBatch: 2500, window: 8 };

test(`memory and values stay bounded over ${VALUES} fresh values`, async () => {
  const engine = await createEngine();
  const [early, late] = await churn(engine, NARROW, VALUES);
  assert.ok(engine.core.exports.collectionCount() > 2, 'values were collected');
  const live = NARROW.window * NARROW.rowsPerBatch * NARROW.arity;
  assert.ok(late.liveValues < live * 12, `${late.liveValues} values, ${live} alive`);
  assert.ok(late.memoryBytes <= early.memoryBytes, 'memory does not grow any more');
  assert.ok(late.inUse <= early.inUse + MIB, `${late.inUse} bytes in use`);
});

test('wide rows bring many values each: collection keeps up', async () => {
  const shape: Shape = { arity: 60, rowsPerBatch: 1000, window: 1 };
  const engine = await createEngine();
  const [early, late] = await churn(engine, shape, Math.min(VALUES, 2_000_000));
  const live = shape.window * shape.rowsPerBatch * shape.arity;
  assert.ok(late.liveValues < live * 8, `${late.liveValues} values, ${live} alive`);
  assert.ok(late.inUse <= early.inUse + MIB, `${late.inUse} bytes in use`);
});

test('small transactions: collection keeps up', async () => {
  const shape: Shape = { arity: 1, rowsPerBatch: 20, window: 3 };
  const engine = await createEngine();
  const [, late] = await churn(engine, shape, Math.min(VALUES, 400_000));
  assert.ok(late.liveValues < 200_000, `${late.liveValues} values`);
});

test('negative control: without collection memory grows with every value', async () => {
  const engine = await createEngine();
  engine.core.exports.sabotage(3);
  const values = Math.min(VALUES, 800_000);
  const [early, late] = await churn(engine, NARROW, values);
  assert.equal(engine.core.exports.collectionCount(), 0);
  assert.ok(late.liveValues > values * 0.9);
  assert.ok(late.inUse > early.inUse + 4 * MIB);
});
