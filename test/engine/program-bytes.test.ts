/**
 * Bytes that no encoder of ours writes, straight into the core: status codes, never a trap, and the
 * engine works afterwards. What the decoder lets through is run for a while as well.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as abi from '../../engine-as/abi.ts';
import type { Plan } from '../../host/compiler/plan.ts';
import { Core } from '../../host/engine/core.ts';
import { encodeQuery, IndexDemand } from '../../host/engine/query-encoder.ts';
import { bindRelations, encodeBinding } from '../../host/engine/relation-binding.ts';
import type { Binding } from '../../host/engine/relation-binding.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { ints, planFor, queryFor } from './engine-pair.ts';

const MUTATIONS = Number(process.env['PROGRAM_MUTATIONS'] ?? 6000);
const SEED = Number(process.env['PROGRAM_SEED'] ?? 77);
const ARITIES = { e: 2, n: 1, v: 2 };
const TEXT = `
  path(x, y) :- s:e(x, y).
  path(x, z) :- path(x, y), path(y, z), x != z.
  best(x, max(y), count()) :- s:v(x, y), not s:n(x).
  total(sum(y)) :- s:v(_, y).
  next(x, z) :- s:n(x), z = x * 2 + 1, not path(x, _).
  both() :- s:e(x, _), s:v(y, _).
`;
const CORES = [readFileSync('build/core.wasm'), readFileSync('build/core.debug.wasm')];
const PAGES_MAX = 256;

const ROWS = {
  's:e': encodeRows(2, ints([1, 2], [2, 3], [3, 1], [3, 4], [4, 5])),
  's:n': encodeRows(1, [[1n], [9n], ['text'], [2.5], [null]]),
  's:v': encodeRows(2, [...ints([1, 2], [9, 3]), [7n, 'a longer string'], [7n, 0.5]]),
} as const;

/** A core with a running program, and what its bytes look like. */
class World {
  readonly core: Core;
  readonly binding: Binding;

  private constructor(core: Core, binding: Binding) {
    this.core = core;
    this.binding = binding;
  }

  static async create(wasm: Uint8Array, plan: Plan): Promise<World> {
    const core = await Core.create(wasm, PAGES_MAX);
    const { exports } = core;
    assert.equal(exports.begin(), abi.STATUS_DONE);
    const binding = bindRelations(core, plan, undefined, new Map(), () => 5000);
    const world = new World(core, binding);
    assert.equal(world.setProgram(encodeBinding(binding)), abi.STATUS_DONE);
    for (const [table, block] of Object.entries(ROWS)) {
      assert.equal(world.changeRows(table, block.bytes, block.count), abi.STATUS_DONE);
    }
    world.finish(true);
    return world;
  }

  setProgram(bytes: Uint8Array): number {
    return this.core.exports.setProgram(this.core.write(bytes), bytes.length);
  }

  changeRows(table: string, bytes: Uint8Array, count: number, insert = 1): number {
    const handle = this.binding.byName.get(table)?.handle ?? assert.fail(table);
    const pointer = this.core.write(bytes);
    return this.core.exports.changeBaseRows(handle, pointer, bytes.length, count, insert);
  }

  /** Computes and commits, or rolls back. */
  finish(commits: boolean): void {
    const { exports } = this.core;
    let status = abi.STATUS_MORE;
    for (let slice = 0; slice < 50 && status === abi.STATUS_MORE; slice++) {
      status = exports.step(2000);
    }
    const isCommit = commits && status === abi.STATUS_DONE;
    for (let slice = 0; slice < 1000; slice++) {
      status = isCommit ? exports.commit() : exports.rollBack();
      if (status !== abi.STATUS_MORE) break;
    }
    assert.equal(status, abi.STATUS_DONE);
    assert.equal(exports.isOpen(), 0);
  }

  counts(): string {
    return this.binding.bound
      .map(({ relation, handle }) => `${relation.name} ${this.core.exports.liveRows(handle)}`)
      .join();
  }

  /** A transaction that changes much, and back. */
  proveWorking(expected: string): void {
    const { exports } = this.core;
    for (const insert of [0, 1]) {
      assert.equal(exports.begin(), abi.STATUS_DONE);
      for (const [table, block] of Object.entries(ROWS)) {
        assert.equal(this.changeRows(table, block.bytes, block.count, insert), abi.STATUS_DONE);
      }
      this.finish(true);
      const state = this.counts();
      if (insert === 1) assert.equal(state, expected);
      else assert.notEqual(state, expected);
    }
  }
}

const HUGE = [0, 1, 2, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Bit flips, other words, swapped words, huge numbers, truncation, repetition. */
function mutated(random: Random, bytes: Uint8Array, words: number): Uint8Array {
  let result = bytes.slice();
  for (let count = 1 + random.int(3); count > 0; count--) {
    const view = new DataView(result.buffer, result.byteOffset, result.length);
    const wordCount = Math.max(1, Math.min(words, result.length >> 2));
    const at = random.int(wordCount) * 4;
    if (result.length < 8 || at + 4 > result.length) return result;
    switch (random.int(7)) {
      case 0:
        result[random.int(result.length)] = random.int(256);
        break;
      case 1: {
        const byte = random.int(result.length);
        result[byte] = (result[byte] ?? 0) ^ (1 << random.int(8));
        break;
      }
      case 2:
        view.setUint32(at, random.pick(HUGE), true);
        break;
      case 3:
        view.setUint32(at, random.int(12), true);
        break;
      case 4: {
        const other = random.int(wordCount) * 4;
        const word = view.getUint32(at, true);
        view.setUint32(at, view.getUint32(other, true), true);
        view.setUint32(other, word, true);
        break;
      }
      case 5:
        view.setUint32(at, (view.getUint32(at, true) + random.pick([-1, 1, 4])) >>> 0, true);
        break;
      default:
        if (random.chance(0.3)) result = result.slice(0, random.int(result.length));
    }
  }
  return result;
}

const KNOWN = new Set([
  abi.STATUS_DONE,
  abi.STATUS_OUT_OF_MEMORY,
  abi.STATUS_BAD_PROGRAM,
  abi.STATUS_BAD_ROWS,
]);

/** Runs one try; a trap is told with its seed. */
function attempt(seed: number, what: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new Error(`${what}, PROGRAM_SEED=${seed}`, { cause: error });
  }
}

const PLAN = planFor(TEXT, ARITIES);

for (const [index, wasm] of CORES.entries()) {
  const name = index === 0 ? 'release' : 'debug';
  const count = Math.ceil(index === 0 ? MUTATIONS : MUTATIONS / 6);

  test(`mutated programs, and random bytes as programs (${name})`, async () => {
    let world = await World.create(wasm, PLAN);
    const healthy = world.counts();
    const valid = encodeBinding(world.binding);
    const words = new DataView(valid.buffer).getUint32(8, true);
    let [accepted, refused] = [0, 0];
    for (let seed = SEED; seed < SEED + count; seed++) {
      const random = randomFrom(seed);
      const bytes = random.chance(0.05)
        ? random.bytes(random.int(400))
        : mutated(random, valid, words);
      await attemptProgram(seed, bytes);
    }
    assert.ok(accepted > count / 100, `${accepted} accepted`);
    assert.ok(refused > count / 3, `${refused} refused`);

    async function attemptProgram(seed: number, bytes: Uint8Array): Promise<void> {
      let isTaken = false;
      attempt(seed, 'program', () => {
        assert.equal(world.core.exports.begin(), abi.STATUS_DONE);
        const status = world.setProgram(bytes);
        assert.ok(KNOWN.has(status), `status ${status}`);
        isTaken = status === abi.STATUS_DONE;
        if (isTaken) accepted += 1;
        else refused += 1;
        const { bytes: rows, count: rowCount } = ROWS['s:e'];
        if (isTaken) world.changeRows('s:e', rows, rowCount - 1, 0);
        world.finish(false);
        if (!isTaken && seed % 50 === 0) world.proveWorking(healthy);
      });
      // A strange program may leave strange rows; what counts then is only that nothing traps.
      if (isTaken) world = await World.create(wasm, PLAN);
    }
  });

  test(`mutated queries (${name})`, async () => {
    const world = await World.create(wasm, PLAN);
    const { exports } = world.core;
    const healthy = world.counts();
    const texts = [
      'path(x, y), not s:n(y)',
      's:v(x, y), path(x, z), z > y',
      's:n(x), s:e(_, y), x = y + 1',
    ];
    let [accepted, refused] = [0, 0];
    for (let seed = SEED; seed < SEED + count; seed++) {
      const random = randomFrom(seed);
      const text = random.pick(texts);
      const plan = queryFor(TEXT, ARITIES, PLAN, text);
      const answer = exports.createRelation(
        plan.query.outputs.length,
        abi.RELATION_LOCAL,
        1000,
        0n,
      );
      attempt(seed, `query \`${text}\``, () => {
        const bytes = encodeQuery(
          plan,
          answer,
          world.binding,
          new Map(),
          new IndexDemand(),
          () => 0,
        );
        const words = new DataView(bytes.buffer).getUint32(8, true);
        const other = mutated(random, bytes, words);
        const query = exports.openQuery(world.core.write(other), other.length) >>> 0;
        if (query === 0) {
          refused += 1;
          assert.equal(exports.queryFailure(), abi.STATUS_BAD_PROGRAM);
        } else {
          accepted += 1;
          for (let slice = 0; slice < 20; slice++) {
            if (exports.runQuery(query, 1000) !== abi.STATUS_MORE) break;
          }
          exports.closeQuery(query);
        }
        exports.destroyRelation(answer);
        assert.equal(world.counts(), healthy, 'a query changes nothing');
        if (seed % 50 === 0) world.proveWorking(healthy);
      });
    }
    assert.ok(accepted > count / 100, `${accepted} accepted`);
    assert.ok(refused > count / 3, `${refused} refused`);
  });

  test(`mutated row blocks (${name})`, async () => {
    const world = await World.create(wasm, PLAN);
    const { exports } = world.core;
    const healthy = world.counts();
    let refused = 0;
    for (let seed = SEED; seed < SEED + count; seed++) {
      const random = randomFrom(seed);
      const table = random.pick(Object.keys(ROWS) as (keyof typeof ROWS)[]);
      const block = ROWS[table];
      const isRandom = random.chance(0.1);
      const bytes = isRandom
        ? random.bytes(random.int(100))
        : mutated(random, block.bytes, block.bytes.length >> 2);
      const rows = random.chance(0.8) ? block.count : random.pick([0, 1, 1000, 0xffffffff]);
      attempt(seed, `rows of ${table}`, () => {
        assert.equal(exports.begin(), abi.STATUS_DONE);
        const status = world.changeRows(table, bytes, rows, random.int(2));
        assert.ok(KNOWN.has(status), `status ${status}`);
        if (status !== abi.STATUS_DONE) refused += 1;
        world.finish(false);
        assert.equal(world.counts(), healthy);
        if (seed % 50 === 0) world.proveWorking(healthy);
      });
    }
    assert.ok(refused > count / 4, `${refused} refused`);
  });
}

test('calls out of order are refused', async () => {
  const { core } = await World.create(CORES[0] ?? assert.fail(), PLAN);
  const { exports } = core;
  const { bytes, count } = ROWS['s:n'];
  assert.equal(exports.commit(), abi.STATUS_BAD_CALL);
  assert.equal(exports.rollBack(), abi.STATUS_BAD_CALL);
  assert.equal(exports.step(10), abi.STATUS_BAD_CALL);
  assert.equal(exports.setProgram(core.write(bytes), bytes.length), abi.STATUS_BAD_CALL);
  const change = (handle: number): number =>
    exports.changeBaseRows(handle, core.write(bytes), bytes.length, count, 1);
  assert.equal(change(0), abi.STATUS_BAD_CALL);
  assert.equal(exports.begin(), abi.STATUS_DONE);
  assert.equal(exports.begin(), abi.STATUS_BAD_CALL);
  assert.equal(exports.commit(), abi.STATUS_BAD_CALL);
  assert.equal(change(999_999), abi.STATUS_BAD_CALL);
  assert.equal(exports.openOutput(0, 999_999, 0), 0);
  assert.equal(exports.liveRows(999_999), 0);
  while (exports.step(1000) === abi.STATUS_MORE);
  assert.equal(exports.step(10), abi.STATUS_BAD_CALL);
  assert.equal(exports.rollBack(), abi.STATUS_DONE);
  assert.ok(exports.createRelation(abi.ARITY_MAX + 1, 0, 0, 0n) < 0);
});
