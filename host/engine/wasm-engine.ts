/**
 * The engine over the WASM core. Transactions run one after another, each in slices with a turn of
 * the event loop between them; queries run between the slices and see the state before the
 * transaction.
 *
 * A query that is under way when a transaction is ready to commit gets a few more turns to end;
 * then the commit goes ahead and the query starts again on the new state. One that was overtaken
 * several times is waited for.
 */
import * as abi from '../../engine-as/abi.ts';
import type { Plan, QueryPlan } from '../compiler/plan.ts';
import type { TableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import type { RowBlock } from '../value/row-block.ts';
import { emptyBlock } from '../value/row-block.ts';
import { bindRelations, encodeBinding } from './relation-binding.ts';
import type { Binding } from './relation-binding.ts';
import { readBlock } from './block-reader.ts';
import { changeRows } from './block-writer.ts';
import { CheckArea } from './check-area.ts';
import { Core, outOfMemory } from './core.ts';
import type { CoreSource } from './core.ts';
import type {
  Engine,
  EngineStats,
  PointCheck,
  QueryOptions,
  QueryResult,
  RowsOptions,
  TableChange,
  Transaction,
  TransactionResult,
} from './engine.ts';
import { readDeltas } from './delta-reader.ts';
import { CorePointCheck } from './point-check.ts';
import { runVersion } from './query-run.ts';
import type { Effort } from './query-run.ts';
import { CoreFailure, coreFailure, transactionFailure } from './failures.ts';
import { encodeQuery, IndexDemand } from './query-encoder.ts';
import type { Intersections, Layout, WasmEngineOptions } from './engine-options.ts';
import { nextSlice, SLICE_STEPS, StepCounts, viewOfUnit, SLICE_MS } from './slices.ts';
import { limitSharedViews, viewLimit } from './view-limits.ts';

const COLLECT_ROWS = 16_384;
/** Turns that a commit gives to queries under way, and overtakings after which it waits for one. */
const COMMIT_TURNS_MAX = 16;
const OVERTAKEN_MAX = 3;
const QUERY_STEPS_MAX = 2_000_000_000;
const PAGE_BYTES = 65_536;
/** By the core's number (engine-as/dense.ts). */
const LAYOUTS: readonly Layout[] = ['auto', 'rows', 'bits'];
/** By the core's number (engine-as/intersection.ts). */
const INTERSECTIONS: readonly Intersections[] = ['auto', 'never', 'always'];

export async function createWasmEngine(
  wasm: CoreSource,
  options: WasmEngineOptions,
): Promise<WasmEngine> {
  const pagesMax = Math.floor((options.memoryBytesMax ?? 0) / PAGE_BYTES);
  const core = await Core.create(wasm, pagesMax);
  core.exports.chooseLayout(LAYOUTS.indexOf(options.layout ?? 'auto'));
  core.exports.chooseIntersections(INTERSECTIONS.indexOf(options.intersections ?? 'auto'));
  return new WasmEngine(core, options);
}

interface UnitTime {
  ms: number;
  rounds: number;
  overBits: boolean;
}

export class WasmEngine implements Engine {
  readonly core: Core;
  readonly #options: WasmEngineOptions;
  readonly #checkArea: CheckArea;
  readonly #demand = new IndexDemand();
  /** How many tables were scrubbed. */
  #scrubbed = 0;
  #binding: Binding | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  /** Jobs of the queue that have not begun. */
  #waiting = 0;
  #unitTimes: UnitTime[] = [];
  /** Values interned when the last care ended: collection keeps up with them. */
  #internedBefore = 0n;
  /** Reads under way: how often each was overtaken by a commit. */
  readonly #reads = new Map<object, number>();

  constructor(core: Core, options: WasmEngineOptions) {
    this.core = core;
    this.#checkArea = new CheckArea(core);
    this.#options = options;
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    return this.#enqueue(() => this.#transact(transaction));
  }

  async query(plan: QueryPlan, options: QueryOptions = {}): Promise<QueryResult> {
    let result: QueryResult;
    try {
      result = await this.#read((pause) => this.#runQuery(plan, options, pause));
    } catch (error) {
      const isFull = error instanceof CaucusError && error.code === 'out_of_memory';
      if (isFull) await this.#enqueue(() => this.#collectAll());
      throw error;
    }
    // A query computes values, too.
    this.core.exports.collectValues(COLLECT_ROWS);
    if (this.#demand.isDue) void this.#enqueue(() => this.#transact({ changes: [] }, true));
    return result;
  }

  async rows(table: TableKey, options: RowsOptions = {}): Promise<RowBlock> {
    const order = options.inAnyOrder === true ? abi.OUTPUT_UNSORTED : 0;
    const kind = (options.base === true ? abi.OUTPUT_BASE : abi.OUTPUT_ROWS) | order;
    return this.#read(async (pause) => {
      const bound = this.#binding?.byName.get(table);
      if (bound === undefined) return emptyBlock(0);
      return readBlock(this.core, { kind, handle: bound.handle }, bound.relation.arity, pause);
    });
  }

  prepareCheck(table: TableKey): PointCheck {
    return new CorePointCheck(table, this.core, this.#checkArea, () => this.#binding);
  }

  count(table: TableKey): number {
    const bound = this.#binding?.byName.get(table);
    return bound === undefined ? 0 : this.core.exports.liveRows(bound.handle) >>> 0;
  }

  digest(): string {
    const lanes = [0n, 0n, 0n, 0n];
    for (const { handle, digest } of this.#binding?.bound ?? []) {
      if (digest === 0) continue;
      for (const lane of lanes.keys()) {
        lanes[lane] = (lanes[lane] as bigint) + this.core.exports.digestLane(handle, lane);
      }
    }
    return lanes.map((lane) => BigInt.asUintN(64, lane).toString(16).padStart(16, '0')).join('');
  }

  scrub(): TableKey | undefined {
    const bound = (this.#binding?.bound ?? []).filter(({ digest }) => digest !== 0);
    const chosen = bound[this.#scrubbed++ % Math.max(1, bound.length)];
    if (chosen === undefined) return undefined;
    const { exports } = this.core;
    const { handle, digest, relation } = chosen;
    const sums = (): bigint[] => [0, 1, 2, 3].map((lane) => exports.digestLane(handle, lane));
    const kept = sums();
    exports.setDigest(handle, digest);
    return sums().every((sum, lane) => sum === kept[lane]) ? undefined : relation.name;
  }

  stats(): EngineStats {
    const { exports } = this.core;
    const tables: Record<TableKey, number> = {};
    for (const key of this.#binding?.plan.tables.keys() ?? []) tables[key] = this.count(key);
    const strata = (this.#binding?.plan.units ?? []).flatMap((unit, index) => {
      const time = this.#unitTimes[index];
      if (time === undefined || unit.versions.length === 0) return [];
      const relations = this.#binding?.plan.relations ?? [];
      return [{ tables: unit.relations.map((one) => relations[one]?.name ?? ''), ...time }];
    });
    return {
      tables,
      memoryBytes: exports.memory.buffer.byteLength,
      usedBytes: Number(exports.memoryInUse()),
      derivations: Number(exports.derivationCount()),
      liveValues: exports.valueCount() >>> 0,
      touchedRows: Number(exports.touchedCount()),
      strata,
    };
  }

  close(): void {
    this.#binding = undefined;
  }

  #enqueue<T>(job: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    const run = this.#queue.then(() => {
      this.#waiting -= 1;
      return job();
    });
    this.#queue = run.catch(() => undefined);
    return run;
  }

  /* Transactions. */

  async #transact(transaction: Transaction, isIndexing = false): Promise<TransactionResult> {
    const { exports } = this.core;
    const former = this.#binding;
    limitSharedViews(this.core, former, this.#options.viewRowsMax);
    let status = exports.begin();
    if (status === abi.STATUS_OUT_OF_MEMORY) {
      // Memory may hold values that nothing refers to any more.
      await this.#collectAll();
      status = exports.begin();
    }
    if (status !== abi.STATUS_DONE) return transactionFailure(status, undefined);
    let binding = former;
    try {
      const plan = transaction.plan ?? (isIndexing ? former?.plan : undefined);
      if (plan !== undefined) {
        // From here on the rollback drops what the binding made.
        binding = this.#bind(plan, former);
        await this.#install(binding, former);
      }
      if (binding === undefined) throw new Error('the first transaction needs a plan');
      for (const change of transaction.changes) await this.#change(binding, change);
      await this.#compute(binding);
      const isSilent = isIndexing || transaction.withoutDeltas === true;
      const deltas = isSilent
        ? []
        : await readDeltas(this.core, binding, former, this.#options.yield);
      if (transaction.dryRun === true) {
        await this.#rollBack(binding);
        return { ok: true, deltas };
      }
      await this.#commit(binding, former);
      return { ok: true, deltas };
    } catch (error) {
      if (exports.isOpen() === 0) throw error;
      await this.#rollBack(binding);
      // The values that it brought are garbage at once.
      await this.#collectAll();
      if (error instanceof CoreFailure) return error.asFailure();
      if (error instanceof CaucusError && error.code === 'out_of_memory') {
        return transactionFailure(abi.STATUS_OUT_OF_MEMORY, undefined);
      }
      throw error;
    } finally {
      exports.shrinkRequestArea();
      await this.#care();
      if (exports.fitTables(0) === abi.STATUS_MORE) void this.#enqueue(() => this.#fit());
    }
  }

  #bind(plan: Plan, former: Binding | undefined): Binding {
    const { rowsPerTableMax, viewRowsMax } = this.#options;
    return bindRelations(this.core, plan, former, this.#demand.take(), ({ name, table }) => {
      const rowsMax =
        typeof rowsPerTableMax === 'function' ? rowsPerTableMax(table) : rowsPerTableMax;
      // 0: as many as a relation of the core can have.
      return viewLimit(name, viewRowsMax) ?? rowsMax ?? 0;
    });
  }

  async #install(binding: Binding, former: Binding | undefined): Promise<void> {
    const bytes = encodeBinding(binding);
    const status = this.core.exports.setProgram(this.core.write(bytes), bytes.length);
    if (status !== abi.STATUS_DONE) throw new CoreFailure(status);
    for (const { relation, handle } of binding.bound) {
      const old = former?.byName.get(relation.name);
      if (old === undefined || old.handle === handle || old.relation.arity !== relation.arity)
        continue;
      await this.#copyBaseRows(old.handle, handle);
    }
  }

  async #copyBaseRows(from: number, to: number): Promise<void> {
    for (let row = 0; ;) {
      const next = this.core.exports.copyBaseRows(from, to, row) >>> 0;
      if (next === 0xffffffff) throw new CoreFailure(abi.STATUS_OUT_OF_MEMORY);
      if (next === row) return;
      row = next;
      await this.#options.yield();
    }
  }

  async #change(binding: Binding, change: TableChange): Promise<void> {
    const bound = binding.byName.get(change.table);
    if (bound === undefined) throw new Error(`no table \`${change.table}\``);
    if (change.replace === true) await this.#clearBaseRows(bound.handle);
    if (change.delete !== undefined)
      await changeRows(this.core, bound, change.delete, false, this.#options.yield);
    if (change.insert !== undefined)
      await changeRows(this.core, bound, change.insert, true, this.#options.yield);
  }

  async #clearBaseRows(handle: number): Promise<void> {
    for (let row = 0; ;) {
      const next = this.core.exports.clearBaseRows(handle, row) >>> 0;
      if (next === 0xffffffff) throw new CoreFailure(abi.STATUS_OUT_OF_MEMORY);
      if (next === row) return;
      row = next;
      if (row % (COLLECT_ROWS * 4) === 0) await this.#options.yield();
    }
  }

  async #compute(binding: Binding): Promise<void> {
    const { exports } = this.core;
    const now = this.#options.now ?? ((): number => 0);
    const start = exports.stepsDone();
    const times: UnitTime[] = [];
    const viewSteps = new StepCounts(this.#options.viewStepsMax);
    let budget = SLICE_STEPS;
    let since = now();
    // Units end slices; a turn of the event loop comes when a slice's time or steps have passed.
    let turn = { ms: since, steps: start };
    for (;;) {
      const bitUnits = exports.denseUnitCount();
      const status = exports.step(budget);
      const unit = exports.unitUnderWay();
      const time = (times[unit] ??= { ms: 0, rounds: 0, overBits: false });
      time.overBits ||= exports.denseUnitCount() > bitUnits;
      const until = now();
      time.ms += until - since;
      time.rounds = Math.max(time.rounds, exports.roundUnderWay() >>> 0);
      budget = nextSlice(budget, until - since);
      since = until;
      if (status === abi.STATUS_DONE) break;
      if (status !== abi.STATUS_MORE) throw coreFailure(this.core, binding, status);
      const view = viewOfUnit(binding.plan, unit);
      if (view !== undefined && viewSteps.exceeds(view, exports.stepsDone())) {
        throw new CoreFailure(abi.STATUS_STEPS_LIMIT, view);
      }
      if (view === undefined) viewSteps.pass(exports.stepsDone());
      const { stepsMax } = this.#options;
      if (stepsMax !== undefined && Number(exports.stepsDone() - start) > stepsMax) {
        throw coreFailure(this.core, binding, abi.STATUS_STEPS_LIMIT);
      }
      const done = exports.stepsDone();
      if (until - turn.ms < SLICE_MS && Number(done - turn.steps) < budget) continue;
      await this.#options.yield();
      since = now();
      turn = { ms: since, steps: done };
    }
    if (binding !== this.#binding) this.#unitTimes = times;
  }

  async #commit(binding: Binding, former: Binding | undefined): Promise<void> {
    await this.#awaitReads();
    const { exports } = this.core;
    // The first call passes the commit point; whoever asks from here on sees the new state.
    let status = exports.commit();
    this.#binding = binding;
    while (status === abi.STATUS_MORE) {
      await this.#options.yield();
      status = exports.commit();
    }
    if (status !== abi.STATUS_DONE) throw new Error(`commit answered ${status}`);
    if (binding === former) return;
    for (const { handle, digest, relation } of binding.bound) {
      const old = former?.byName.get(relation.name);
      if (old?.handle === handle && old.digest !== digest) exports.setDigest(handle, digest);
    }
    const kept = new Set(binding.bound.map((one) => one.handle));
    this.#drop((former?.bound ?? []).map((one) => one.handle).filter((one) => !kept.has(one)));
  }

  /** Reads under way end, or the turns do; those overtaken too often are waited for. */
  async #awaitReads(): Promise<void> {
    const waiting = new Set(this.#reads.keys());
    for (let turn = 0; waiting.size > 0; turn++) {
      for (const read of waiting) {
        const overtaken = this.#reads.get(read);
        const isPatient = overtaken !== undefined && overtaken >= OVERTAKEN_MAX;
        if (overtaken === undefined || (turn >= COMMIT_TURNS_MAX && !isPatient))
          waiting.delete(read);
      }
      if (waiting.size > 0) await this.#options.yield();
    }
  }

  async #rollBack(binding: Binding | undefined): Promise<void> {
    const { exports } = this.core;
    let status = exports.rollBack();
    while (status === abi.STATUS_MORE) {
      await this.#options.yield();
      status = exports.rollBack();
    }
    if (status !== abi.STATUS_DONE) throw new Error(`rollback answered ${status}`);
    if (binding !== undefined && binding !== this.#binding) this.#drop(binding.fresh);
  }

  #drop(handles: Iterable<number>): void {
    for (const handle of handles) this.core.exports.destroyRelation(handle);
  }

  /** Collects until no value is left that nothing refers to, as far as a collection is due. */
  async #collectAll(): Promise<void> {
    while (this.core.exports.collectValues(COLLECT_ROWS) === abi.STATUS_MORE) {
      await this.#options.yield();
    }
  }

  /** Collects values in proportion to what a transaction did. */
  async #care(): Promise<void> {
    const { exports } = this.core;
    // A row may bring many values, and a failed transaction values without a row.
    const interned = exports.internedCount();
    const work = Number(exports.touchedCount() + interned - this.#internedBefore);
    this.#internedBefore = interned;
    const slices = 1 + Math.ceil((work * 4) / COLLECT_ROWS);
    for (let slice = 0; slice < slices; slice++) {
      if (exports.collectValues(COLLECT_ROWS) !== abi.STATUS_MORE) return;
      if (slice % 16 === 15) await this.#options.yield();
    }
  }

  /** Makes tables fit their rows until a transaction waits, which goes on with it. */
  async #fit(): Promise<void> {
    while (this.#waiting === 0 && this.#binding !== undefined) {
      if (this.core.exports.fitTables(COLLECT_ROWS) !== abi.STATUS_MORE) return;
      await this.#options.yield();
    }
  }

  /* Reads. */

  /**
   * Runs a read, again whenever a commit overtakes it (its pause answers false and it is
   * undefined).
   */
  async #read<T>(read: (pause: () => Promise<boolean>) => Promise<T | undefined>): Promise<T> {
    const token = {};
    this.#reads.set(token, 0);
    try {
      for (;;) {
        const commits = this.core.exports.commitCount();
        const result = await read(async () => {
          await this.#options.yield();
          return this.core.exports.commitCount() === commits;
        });
        if (result !== undefined) return result;
        this.#reads.set(token, (this.#reads.get(token) ?? 0) + 1);
      }
    } finally {
      this.#reads.delete(token);
    }
  }

  async #runQuery(
    plan: QueryPlan,
    options: QueryOptions,
    pause: () => Promise<boolean>,
  ): Promise<QueryResult | undefined> {
    const { exports } = this.core;
    const arity = plan.query.outputs.length;
    const rowsMax = options.rowsMax ?? 0;
    const own = new Map<number, number>();
    const stands = new Map<TableKey, number>();
    try {
      const answer = this.#createLocal(arity, rowsMax);
      own.set(0, answer);
      this.#addLocals(plan, own, stands);
      const max = options.stepsMax ?? QUERY_STEPS_MAX;
      const effort: Effort = { left: max, max };
      let truncated = false;
      for (const place of plan.versions.keys()) {
        const rowsOf = (handle: number): number => exports.liveRows(handle);
        const demand = this.#demand;
        const bytes = encodeQuery({ plan, place }, own, this.#binding, stands, demand, rowsOf);
        const outcome = await runVersion(this.core, bytes, {
          effort,
          rankBelow: options.rankBelow,
          pause,
        });
        if (outcome === undefined) return undefined;
        // Nothing that comes behind has room.
        truncated = outcome.truncated;
        if (truncated) break;
      }
      const bodyRank = exports.bodyRankFound() >>> 0;
      const request = { kind: abi.OUTPUT_NEW, handle: answer };
      // The answer has rows of its own: a commit cannot void it any more.
      const keepOn = async (): Promise<boolean> => {
        await this.#options.yield();
        return true;
      };
      const rows = await readBlock(this.core, request, arity, keepOn, options.rowsMax);
      const steps = max - effort.left;
      return { rows: rows ?? emptyBlock(arity), truncated, bodyRank, steps };
    } finally {
      this.#drop([...own.values(), ...stands.values()]);
    }
  }

  #createLocal(arity: number, rowsMax: number): number {
    const handle = this.core.exports.createRelation(arity, abi.RELATION_LOCAL, rowsMax, 0n);
    if (handle < 0) throw outOfMemory();
    return handle;
  }

  /** Relations of the query's own, and empty ones for tables that the running plan has not. */
  #addLocals(plan: QueryPlan, own: Map<number, number>, stands: Map<TableKey, number>): void {
    for (const [number, { table, arity }] of plan.relations.entries()) {
      if (own.has(number)) continue;
      const bound = this.#binding?.byName.get(table);
      if (table === '') own.set(number, this.#createLocal(arity, 0));
      else if (bound?.relation.arity !== arity && !stands.has(table)) {
        stands.set(table, this.#createLocal(arity, 0));
      }
    }
  }
}
