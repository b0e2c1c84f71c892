/**
 * Bytes that no encoder of ours writes, straight into the core: status codes, never a trap, and the
 * engine works afterwards. What the decoder lets through is run for a while as well.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as abi from '../../engine-as/abi.ts';
import { encodeQuery, IndexDemand } from '../../host/engine/query-encoder.ts';
import { encodeBinding } from '../../host/engine/relation-binding.ts';
import { randomFrom } from '../support/random.ts';
import { queryFor } from './engine-pair.ts';
import { ARITIES, KNOWN, mutated, PLAN, ROWS, TEXT, World } from './program-world.ts';

const MUTATIONS = Number(process.env['PROGRAM_MUTATIONS'] ?? 6000);
const SEED = Number(process.env['PROGRAM_SEED'] ?? 77);
const CORES = [readFileSync('build/core.wasm'), readFileSync('build/core.debug.wasm')];
/** Runs one try; a trap is told with its seed. */
function attempt(seed: number, what: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new Error(`${what}, PROGRAM_SEED=${seed}`, { cause: error });
  }
}

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
          { plan, place: 0 },
          new Map([[0, answer]]),
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
