/**
 * The checks of the program decoder, one by one: mutated programs run into each of them, and with
 * them switched off the same programs do harm. So the fuzz of program bytes can fail.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import * as abi from '../../engine-as/abi.ts';
import { encodeQuery, IndexDemand } from '../../host/engine/query-encoder.ts';
import { encodeProgram } from '../../host/engine/program-encoder.ts';
import { encodeBinding } from '../../host/engine/relation-binding.ts';
import { randomFrom } from '../support/random.ts';
import { compileSwitchableCore, refusals, switchOff } from '../support/switchable-core.ts';
import type { SwitchableCore } from '../support/switchable-core.ts';
import { queryFor } from './engine-pair.ts';
import { ARITIES, KNOWN, mutated, PLAN, TEXT, World } from './program-world.ts';

const SEED = 77;
/** From each so many; the second finds what of the first 20 000 only two do. */
const SEEDS = [
  [SEED, 2_500],
  [14_150, 250],
] as const;

/** Never the first to refuse these programs. */
const IDLE = [
  // What they say follows from the bound of each code word, which is checked besides.
  'if (!check(amount <= codeWords)) return offset;',
  'if (!check(words > 0 && step + words <= codeWords)) break;',
  // No relation of the program has indexes of two widths to be mistaken for each other.
  'if (!check(plan.index.columnCount == plan.groupCount)) return;',
];

let compiled: Promise<SwitchableCore> | undefined;
const switchable = (): Promise<SwitchableCore> => (compiled ??= compileSwitchableCore());

test('mutated programs and queries run into the checks of the decoder', async () => {
  const { wasm, checks } = await switchable();
  const refused = new Set<number>();
  let world = await World.create(wasm, PLAN);
  const valid = encodeBinding(world.binding);
  const words = new DataView(valid.buffer).getUint32(8, true);
  for (const seed of SEEDS.flatMap(([from, count]) =>
    [...Array(count).keys()].map((n) => from + n),
  )) {
    tryQuery(world, seed);
    assert.equal(world.core.exports.begin(), abi.STATUS_DONE);
    const isTaken = world.setProgram(mutated(randomFrom(seed), valid, words)) === abi.STATUS_DONE;
    world.finish(false);
    if (!isTaken) continue;
    // A strange program may leave strange rows.
    for (const number of refusals(world.core)) refused.add(number);
    world = await World.create(wasm, PLAN);
  }
  tryPurposes(world);
  for (const number of refusals(world.core)) refused.add(number);
  for (const number of await tryPlans(wasm, valid)) refused.add(number);
  const idle = checks.filter((_, number) => !refused.has(number));
  const unknown = idle.filter((check) => !IDLE.some((one) => check.endsWith(one)));
  assert.deepEqual(unknown, [], `${refused.size} of ${checks.length} checks refused something`);
});

/**
 * Puts another purpose of a version, and other kinds of units, into each word of a query: one of
 * them is where it stands.
 */
function tryPurposes(world: World): void {
  withQuery(world, (bytes, words) => {
    for (let word = 0; word < words; word++) {
      for (const other of [abi.VERSION_SUPPORT, abi.UNIT_AGGREGATE, abi.UNIT_BEST]) {
        const changed = bytes.slice();
        new DataView(changed.buffer).setUint32(word * 4, other, true);
        open(world, changed);
      }
    }
  });
}

/**
 * Words of a unit's last part, its aggregates or best values, that are tried one by one. Of an
 * aggregate with rules of its own all are.
 */
const PLAN_WORDS = 16;
/** Word of the header: how many constants there are. */
const CONSTANTS_WORD = 4;

/**
 * Puts the number of each relation, and one too large, into the last words of such units; answers
 * what refused them.
 */
async function tryPlans(wasm: Uint8Array, valid: Uint8Array): Promise<Set<number>> {
  const world = await World.create(wasm, PLAN);
  const { bound, indexes, plan } = world.binding;
  const relations = bound.map(({ handle }) => ({ handle, indexes: indexes.get(handle) ?? [] }));
  // What is taken is not run: it may be strange.
  const tryWord = (word: number, value: number): void => {
    const changed = valid.slice();
    new DataView(changed.buffer).setUint32(word * 4, value, true);
    assert.equal(world.core.exports.begin(), abi.STATUS_DONE);
    world.setProgram(changed);
    assert.equal(world.core.exports.rollBack(), abi.STATUS_DONE);
  };
  for (const [place, { aggregate, best, versions }] of plan.units.entries()) {
    if (aggregate === undefined && best === undefined) continue;
    const units = plan.units.slice(0, place + 1).map((unit) => ({ unit, isFresh: true }));
    const endOf = (count: number): number =>
      new DataView(encodeProgram(relations, units.slice(0, count)).buffer).getUint32(8, true);
    const end = endOf(place + 1);
    const isStream = aggregate !== undefined && versions.length > 0;
    for (let word = isStream ? endOf(place) : end - PLAN_WORDS; word < end; word++) {
      for (let value = 0; value <= relations.length; value++) tryWord(word, value);
    }
  }
  // The first of the constants, which stand behind the words.
  const header = new DataView(valid.buffer);
  tryWord(header.getUint32(8, true), 0xffffffff);
  // One constant fewer than there are bytes of.
  tryWord(CONSTANTS_WORD, header.getUint32(CONSTANTS_WORD * 4, true) - 1);
  return new Set(refusals(world.core));
}

function tryQuery(world: World, seed: number): void {
  withQuery(world, (bytes) => {
    // A whole program is no query either.
    const from = seed % 3 === 0 ? encodeBinding(world.binding) : bytes;
    const words = new DataView(from.buffer).getUint32(8, true);
    open(world, mutated(randomFrom(seed), from, words));
  });
}

function open({ core }: World, bytes: Uint8Array): void {
  const query = core.exports.openQuery(core.write(bytes), bytes.length) >>> 0;
  if (query !== 0) core.exports.closeQuery(query);
}

function withQuery(world: World, use: (bytes: Uint8Array, words: number) => void): void {
  const { exports } = world.core;
  const plan = queryFor(TEXT, ARITIES, PLAN, 's:v(x, y), path(x, z), z > y');
  const width = plan.query.outputs.length;
  const answer = exports.createRelation(width, abi.RELATION_LOCAL, 1000, 0n);
  const demand = new IndexDemand();
  const own = new Map([[0, answer]]);
  const bytes = encodeQuery({ plan, place: 0 }, own, world.binding, new Map(), demand, () => 0);
  use(bytes, new DataView(bytes.buffer).getUint32(8, true));
  exports.destroyRelation(answer);
}

test('with its checks switched off, mutated programs do harm', async () => {
  const { wasm, checks } = await switchable();
  const harm = async (isOff: boolean): Promise<string | undefined> => {
    for (let seed = SEED; seed < SEED + 300; seed++) {
      const world = await World.create(wasm, PLAN);
      if (isOff) switchOff(world.core, [...checks.keys()]);
      const valid = encodeBinding(world.binding);
      const words = new DataView(valid.buffer).getUint32(8, true);
      try {
        assert.equal(world.core.exports.begin(), abi.STATUS_DONE);
        const status = world.setProgram(mutated(randomFrom(seed), valid, words));
        assert.ok(KNOWN.has(status), `status ${status}`);
        world.finish(false);
      } catch (error) {
        return String(error);
      }
    }
    return undefined;
  };
  assert.equal(await harm(false), undefined);
  assert.notEqual(await harm(true), undefined);
});
