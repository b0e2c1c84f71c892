/**
 * What the tests of the engine share: engines over the release core, programs from a text, and a
 * pair of engines (the core and the reference) that must agree on every delta and every table.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import type { Plan, PlanOptions, QueryPlan } from '../../host/compiler/plan.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import type { StratifiedProgram, TableKey } from '../../host/compiler/stratified.ts';
import type { TableChange, TransactionResult } from '../../host/engine/engine.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { programOf } from '../compiler/compile-text.ts';
import { aritiesOf, NaiveEngine } from '../oracle/naive-engine.ts';

const release = readFileSync('build/core.wasm');
const debug = readFileSync('build/core.debug.wasm');

type WasmEngineOptions = Parameters<typeof createWasmEngine>[1];

/** Turns of the event loop are promises unless a test says otherwise: nothing waits for a timer. */
export function createEngine(options: Partial<WasmEngineOptions> = {}): Promise<WasmEngine> {
  return createWasmEngine(release, { yield: async () => undefined, ...options });
}

/** The core with its assertions. */
export function createDebugEngine(options: Partial<WasmEngineOptions> = {}): Promise<WasmEngine> {
  return createWasmEngine(debug, { yield: async () => undefined, ...options });
}

/** The tables of source `s`, by name. */
export type Arities = Readonly<Record<string, number>>;

function sourcesOf(arities: Arities) {
  const tables = Object.entries(arities).map(([name, arity]) => ({ name, arity }));
  return [{ name: 's', declared: true, tables }];
}

/** Policy `p` over the tables of source `s`. */
export function programFor(text: string, arities: Arities): StratifiedProgram {
  return programOf(text, sourcesOf(arities));
}

export function planFor(text: string, arities: Arities, options: PlanOptions = {}): Plan {
  return lower(programFor(text, arities), { watched: 'all', ...options });
}

export function queryFor(text: string, arities: Arities, plan: Plan, query: string): QueryPlan {
  const catalog = { policies: [{ name: 'p', text }], sources: sourcesOf(arities) };
  const compiled = compileQuery(plan.program, catalog, query);
  assert.ok(compiled.query !== undefined, JSON.stringify(compiled.diagnostics));
  return lowerQuery(plan, compiled.query);
}

export function ints(...rows: readonly (readonly number[])[]): Value[][] {
  return intRows(rows);
}

/** For more rows than a call takes arguments. */
export function intRows(rows: readonly (readonly number[])[]): Value[][] {
  return rows.map((row) => row.map(BigInt));
}

export function inserts(table: TableKey, arity: number, rows: readonly Row[]): TableChange {
  return { table, insert: encodeRows(arity, rows) };
}

export function deletes(table: TableKey, arity: number, rows: readonly Row[]): TableChange {
  return { table, delete: encodeRows(arity, rows) };
}

export function succeeded(result: TransactionResult): asserts result is TransactionResult & {
  ok: true;
} {
  assert.ok(result.ok, result.ok ? '' : `${result.code} ${result.table ?? ''}: ${result.message}`);
}

export function show(block: RowBlock): string {
  return decodeRows(block)
    .map((row) => `(${row.map(formatValue).join(', ')})`)
    .join(' ');
}

export function sameBlock(actual: RowBlock, expected: RowBlock, what: string): void {
  const isSame =
    actual.count === expected.count &&
    actual.arity === expected.arity &&
    Buffer.compare(actual.bytes, expected.bytes) === 0;
  if (!isSame) assert.fail(`${what}: got ${show(actual)}, expected ${show(expected)}`);
}

/** Deltas are sorted by table on both sides. */
export function sameDeltas(
  actual: TransactionResult,
  expected: TransactionResult,
  what: string,
): void {
  succeeded(actual);
  succeeded(expected);
  const tables = (result: { deltas: readonly { table: string }[] }): string =>
    result.deltas.map((delta) => delta.table).join();
  assert.equal(tables(actual), tables(expected), `${what}: tables that changed`);
  for (const [index, delta] of actual.deltas.entries()) {
    const other = expected.deltas[index];
    assert.ok(other !== undefined);
    sameBlock(delta.insert, other.insert, `${what}: inserts of ${delta.table}`);
    sameBlock(delta.delete, other.delete, `${what}: deletes of ${delta.table}`);
  }
}

/** The core and the reference side by side. */
export class EnginePair {
  readonly engine: WasmEngine;
  readonly reference = new NaiveEngine();
  #plan: Plan | undefined;

  constructor(engine: WasmEngine) {
    this.engine = engine;
  }

  /** Runs a transaction on both; compares deltas and then every table. */
  async transact(changes: readonly TableChange[], what: string, plan?: Plan): Promise<void> {
    const transaction = { changes, ...(plan === undefined ? {} : { plan }) };
    const expected = await this.reference.transact(transaction);
    const actual = await this.engine.transact(transaction);
    this.#plan = plan ?? this.#plan;
    sameDeltas(actual, expected, what);
    await this.compare(what);
  }

  /** For what succeeds in the reference, which has no limits, and must fail in the engine. */
  async fails(
    changes: readonly TableChange[],
    code: string,
    plan?: Plan,
  ): Promise<TransactionResult & { ok: false }> {
    const transaction = { changes, ...(plan === undefined ? {} : { plan }) };
    const result = await this.engine.transact(transaction);
    assert.ok(!result.ok, 'the transaction must fail');
    assert.equal(result.code, code);
    await this.compare(`after ${code}`);
    return result;
  }

  async compare(what: string): Promise<void> {
    if (this.#plan === undefined) return;
    for (const [table] of aritiesOf(this.#plan.program, this.#plan.options)) {
      const expected = await this.reference.rows(table);
      sameBlock(await this.engine.rows(table), expected, `${what}: rows of ${table}`);
      assert.equal(this.engine.count(table), expected.count, `${what}: count of ${table}`);
      const base = await this.reference.rows(table, { base: true });
      const engineBase = await this.engine.rows(table, { base: true });
      if (base.count > 0 || engineBase.count > 0) {
        sameBlock(engineBase, base, `${what}: base rows of ${table}`);
      }
    }
  }
}
