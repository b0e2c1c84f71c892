/**
 * What every driver must do, whatever it reads: run it with a harness that can change the outside.
 *
 * A model stands in for the replica: it applies each batch as one step and refuses nothing. Whether
 * a batch is exact is decided by a naive difference over sets of row texts, never by the driver's
 * own code.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DriverRunner } from '../../drivers/runner.ts';
import type { ReadHeldRows, SourceHealth } from '../../drivers/runner.ts';
import type { Driver, DriverBatch, PublishedAt, RowChange } from '../../drivers/driver.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

/** Table → rows, all of one arity. */
export type Outside = ReadonlyMap<string, readonly Row[]>;

export interface DriverHarness {
  readonly driver: Driver;
  /** Tables that the outside can hold, and the arity of each. */
  readonly tables: ReadonlyMap<string, number>;
  /**
   * Makes the outside hold exactly these rows. A pushing harness resolves once they are published;
   * any other may resolve before.
   */
  hold(outside: Outside): Promise<void>;
  /** Makes the outside unreadable; what the stale report must then name. Absent: it cannot be. */
  readonly damage?: () => Promise<RegExp>;
  close(): Promise<void>;
}

/** A model replica that takes what a driver publishes. */
export class ModelReplica {
  readonly batches: DriverBatch[] = [];
  readonly tables = new Map<string, Set<string>>();
  failNext = 0;
  /** Each row that ever came, by its text. */
  readonly #rows = new Map<string, Row>();
  #changed: () => void = () => undefined;

  readonly writeBatch = async (batch: DriverBatch): Promise<PublishedAt> => {
    await Promise.resolve();
    if (this.failNext > 0) {
      this.failNext--;
      throw new Error('the log is not there');
    }
    this.batches.push(batch);
    for (const change of batch.changes) this.#apply(change);
    this.#changed();
    return { revision: this.batches.length, token: String(this.batches.length) };
  };

  readonly heldRows = async (_source: string, table: string): Promise<RowBlock> => {
    const rows = [...(this.tables.get(table) ?? [])].map((text) => this.#rows.get(text) as Row);
    return encodeRows(rows[0]?.length ?? 0, rows);
  };

  /** Wakes `until` also when something else changed. */
  touch(): void {
    this.#changed();
  }

  /** Resolves once the condition holds; looks after each batch and each report. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  #apply(change: RowChange): void {
    const rows = change.replace === true ? new Set<string>() : this.tables.get(change.table);
    const next = rows ?? new Set<string>();
    for (const row of rowTexts(change.delete)) next.delete(row);
    for (const row of change.insert === undefined ? [] : decodeRows(change.insert)) {
      this.#rows.set(rowText(row), row);
      next.add(rowText(row));
    }
    this.tables.set(change.table, next);
  }
}

/**
 * Registers the tests of the contract. `create` gives a new outside and a driver over it each time.
 */
export function driverSuite(
  name: string,
  create: () => Promise<DriverHarness>,
  options: { readonly damageable: boolean; readonly seed?: number },
): void {
  const seed = options.seed ?? 20_261;
  const check = (what: string, body: (harness: DriverHarness) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const harness = await create();
      try {
        await body(harness);
      } finally {
        await harness.close();
      }
    });
  };

  check('whole batches and exact differences over random edits', (harness) =>
    followsRandomEdits(harness, seed),
  );
  check('a publish that failed is followed by the whole state', survivesFailedPublish);
  check('nothing is published after a stop; a new start converges', stopsAndStarts);
  check('a start beside rows that are known publishes what changed', startsFromHeldRows);
  check('a failing neighbour disturbs nothing', ignoresFailingNeighbour);
  if (options.damageable)
    check('an unreadable outside is stale, keeps its rows and recovers', staleAndBack);
}

/** Also used by the negative controls, which hand in a driver that breaks the contract. */
export async function followsRandomEdits(harness: DriverHarness, seed: number): Promise<void> {
  const random = randomFrom(seed);
  await withRunner(harness, [], async (model) => {
    let outside = randomOutside(harness, random, undefined);
    await holdAndFollow(harness, model, outside, undefined, `seed ${seed}, first state`);
    for (let edit = 1; edit <= 12; edit++) {
      const next = randomOutside(harness, random, outside);
      await holdAndFollow(harness, model, next, outside, `seed ${seed}, edit ${edit}`);
      outside = next;
    }
  });
}

/** One edit of the outside must come as one batch that is exactly the difference. */
async function holdAndFollow(
  harness: DriverHarness,
  model: ModelReplica,
  next: Outside,
  previous: Outside | undefined,
  context: string,
): Promise<void> {
  const before = model.batches.length;
  await harness.hold(next);
  await model.until(() => model.batches.length > before);
  assert.equal(model.batches.length, before + 1, `${context}: one edit is one batch`);
  assertHolds(model, next, context);
  if (previous === undefined || harness.driver.mode === 'push') return;
  for (const change of (model.batches[before] as DriverBatch).changes) {
    assert.notEqual(change.replace, true, `${context}: a known table travels as a difference`);
    const old: ReadonlySet<string> = new Set((previous.get(change.table) ?? []).map(rowText));
    const now: ReadonlySet<string> = new Set((next.get(change.table) ?? []).map(rowText));
    const inserted: string[] = [...now].filter((row) => !old.has(row)).toSorted();
    const deleted: string[] = [...old].filter((row) => !now.has(row)).toSorted();
    assert.deepEqual(rowTexts(change.insert).toSorted(), inserted, `${context}: inserts`);
    assert.deepEqual(rowTexts(change.delete).toSorted(), deleted, `${context}: deletes`);
  }
}

async function survivesFailedPublish(harness: DriverHarness): Promise<void> {
  const random = randomFrom(7);
  await withRunner(harness, [], async (model) => {
    const first = randomOutside(harness, random, undefined);
    await holdAndFollow(harness, model, first, undefined, 'first state');
    model.failNext = 1;
    const second = randomOutside(harness, random, first);
    if (harness.driver.mode === 'push') {
      // The writer learns of it and decides; the source stays as it was.
      await assert.rejects(harness.hold(second), /the log is not there/);
      assertHolds(model, first, 'after the failed push');
      return;
    }
    const before = model.batches.length;
    await harness.hold(second);
    await model.until(() => model.batches.length > before);
    assertHolds(model, second, 'after the failed publish');
    for (const change of (model.batches[before] as DriverBatch).changes) {
      assert.equal(change.replace, true, 'what is not known is published whole');
    }
  });
}

async function stopsAndStarts(harness: DriverHarness): Promise<void> {
  const random = randomFrom(11);
  const model = new ModelReplica();
  const first = randomOutside(harness, random, undefined);
  const runner = startRunner(harness, [], model);
  await runner.settled();
  await holdAndFollow(harness, model, first, undefined, 'first state');
  await runner.stop();
  assert.equal(runner.health()[0]?.state, 'stopped');
  const published = model.batches.length;
  const second = randomOutside(harness, random, first);
  if (harness.driver.mode === 'push') {
    await assert.rejects(harness.hold(second), /is not running/);
  } else {
    await harness.hold(second);
  }
  assert.equal(model.batches.length, published, 'a stopped driver publishes nothing');

  const again = startRunner(harness, [], model);
  await again.settled();
  if (harness.driver.mode === 'push') await harness.hold(second);
  await model.until(() => holds(model, second));
  assertHolds(model, second, 'after the second start');
  await again.stop();
}

/** Also used by the negative control. */
export async function startsFromHeldRows(harness: DriverHarness): Promise<void> {
  if (harness.driver.mode === 'push') return;
  const random = randomFrom(19);
  const model = new ModelReplica();
  const first = randomOutside(harness, random, undefined);
  await harness.hold(first);
  await withRunner(harness, [], () => model.until(() => holds(model, first)), model);
  const before = model.batches.length;
  const second = randomOutside(harness, random, first);
  const change = async (): Promise<void> => {
    await harness.hold(second);
    await model.until(() => holds(model, second));
  };
  await withRunner(harness, [], change, model, model.heldRows);
  assert.equal(model.batches.length, before + 1, 'what has not changed is not published again');
  for (const { table, replace } of (model.batches[before] as DriverBatch).changes) {
    assert.notEqual(replace, true, `\`${table}\`, whose rows are known, travels as a difference`);
  }
}

async function ignoresFailingNeighbour(harness: DriverHarness): Promise<void> {
  const neighbour: Driver = {
    name: 'broken',
    source: 'neighbour',
    mode: 'stream',
    tables: () => [],
    start: () => Promise.reject(new Error('the cloud is gone')),
  };
  await withRunner(harness, [neighbour], async (model, runner) => {
    const outside = randomOutside(harness, randomFrom(13), undefined);
    await holdAndFollow(harness, model, outside, undefined, 'beside a failing neighbour');
    const health = new Map(runner.health().map((entry) => [entry.source, entry]));
    assert.equal(health.get('neighbour')?.state, 'stale');
    assert.equal(health.get('neighbour')?.problems[0]?.message, 'the cloud is gone');
    await model.until(() => stateOf(runner, harness) === 'fresh');
  });
}

async function staleAndBack(harness: DriverHarness): Promise<void> {
  const { damage } = harness;
  assert.ok(damage, 'the harness can damage its outside');
  await withRunner(harness, [], async (model, runner) => {
    const random = randomFrom(17);
    const outside = randomOutside(harness, random, undefined);
    await holdAndFollow(harness, model, outside, undefined, 'first state');
    const expected = await damage();
    await model.until(() => stateOf(runner, harness) === 'stale');
    const [problem] = healthOf(runner, harness)?.problems ?? [];
    assert.match(JSON.stringify(problem), expected);
    assert.ok(problem?.remedy, 'a problem says what to do');
    assertHolds(model, outside, 'the last good rows stay');
    const next = randomOutside(harness, random, outside);
    await harness.hold(next);
    await model.until(() => stateOf(runner, harness) === 'fresh' && holds(model, next));
  });
}

/**
 * Random rows with repetitions, negative numbers, text that needs quoting, and now and then none at
 * all.
 */
export function randomOutside(
  harness: DriverHarness,
  random: Random,
  previous: Outside | undefined,
): Outside {
  const next = new Map<string, readonly Row[]>();
  let touched = false;
  for (const [table, arity] of harness.tables) {
    const old = previous?.get(table);
    const last = next.size === harness.tables.size - 1;
    if (old !== undefined && random.int(3) === 0 && (touched || !last)) {
      next.set(table, old);
      continue;
    }
    const rows = (old ?? []).filter(() => random.int(4) > 0);
    for (let more = 1 + random.int(6); more > 0; more--) rows.push(randomRow(arity, random));
    // A row that was never there makes sure that the edit is one.
    rows.push(Array.from({ length: arity }, () => `only-${random.int(2 ** 30)}`));
    next.set(table, random.int(8) === 0 && (old?.length ?? 0) > 0 ? [] : rows);
    touched = true;
  }
  return next;
}

function randomRow(arity: number, random: Random): Row {
  const texts = ['a', 'b c', 'é"', 'x,y', 'tab\there', '-', '007', 'Ω𝄞', ' '];
  return Array.from({ length: arity }, () =>
    random.int(2) === 0 ? BigInt(random.int(40) - 20) : (texts[random.int(texts.length)] as string),
  );
}

async function withRunner(
  harness: DriverHarness,
  neighbours: readonly Driver[],
  body: (model: ModelReplica, runner: DriverRunner) => Promise<void>,
  model = new ModelReplica(),
  heldRows?: ReadHeldRows,
): Promise<void> {
  const runner = startRunner(harness, neighbours, model, heldRows);
  await runner.settled();
  try {
    await body(model, runner);
  } finally {
    await runner.stop();
  }
}

function startRunner(
  harness: DriverHarness,
  neighbours: readonly Driver[],
  model: ModelReplica,
  heldRows?: ReadHeldRows,
): DriverRunner {
  const runner = new DriverRunner({
    drivers: [...neighbours, harness.driver],
    writeBatch: model.writeBatch,
    ...(heldRows === undefined ? {} : { heldRows }),
    onHealth: () => model.touch(),
  });
  runner.start();
  return runner;
}

function healthOf(runner: DriverRunner, harness: DriverHarness): SourceHealth | undefined {
  return runner.health().find((entry) => entry.source === harness.driver.source);
}

function stateOf(runner: DriverRunner, harness: DriverHarness): string | undefined {
  return healthOf(runner, harness)?.state;
}

function holds(model: ModelReplica, outside: Outside): boolean {
  return [...outside].every(([table, rows]) => {
    const wanted = new Set(rows.map(rowText));
    const found = model.tables.get(table) ?? new Set();
    return wanted.size === found.size && [...wanted].every((row) => found.has(row));
  });
}

function assertHolds(model: ModelReplica, outside: Outside, context: string): void {
  for (const [table, rows] of outside) {
    const found = [...(model.tables.get(table) ?? [])].toSorted();
    assert.deepEqual(found, [...new Set(rows.map(rowText))].toSorted(), `${context}: \`${table}\``);
  }
}

function rowTexts(block: RowBlock | undefined): string[] {
  return block === undefined ? [] : decodeRows(block).map(rowText);
}

function rowText(row: Row): string {
  return row.map(formatValue).join(', ');
}
