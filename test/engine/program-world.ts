/** A core with a running program, and bytes that are nearly one: what the decoder is tried with. */
import assert from 'node:assert/strict';
import * as abi from '../../engine-as/abi.ts';
import type { Plan } from '../../host/compiler/plan.ts';
import { Core } from '../../host/engine/core.ts';
import { bindRelations, encodeBinding } from '../../host/engine/relation-binding.ts';
import type { Binding } from '../../host/engine/relation-binding.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { Random } from '../support/random.ts';
import { ints, planFor } from './engine-pair.ts';

export const ARITIES = { e: 2, n: 1, v: 2 };
export const TEXT = `
  path(x, y) :- s:e(x, y).
  path(x, z) :- path(x, y), path(y, z), x != z.
  best(x, max(y), count()) :- s:v(x, y), not s:n(x).
  total(sum(y)) :- s:v(_, y).
  pairs(x, count(), sum(z)) :- s:e(x, y), s:v(y, z).
  next(x, z) :- s:n(x), z = x * 2 + 1, not path(x, _).
  mid(x, avg(y), argmin(y, z)) :- s:v(x, y), s:v(_, z).
  leg(x, y, min(d)) :- s:e(x, y), d = 1.
  leg(x, z, min(d + 1)) :- leg(x, y, d), s:e(y, z).
  least(min(d)) :- least(e), s:n(d), e <= d.
  least(min(y)) :- s:v(_, y).
  both() :- s:e(x, _), s:v(y, _).
  table kept(k: any key, v: any)
  kept(x, y) :- s:v(x, y).
  called(x, upper(y), collect([x, z])) :- s:v(x, y), s:v(x, z).
`;
const PAGES_MAX = 256;

export const ROWS = {
  's:e': encodeRows(2, ints([1, 2], [2, 3], [3, 1], [3, 4], [4, 5])),
  's:n': encodeRows(1, [[1n], [9n], ['text'], [2.5], [null]]),
  's:v': encodeRows(2, [...ints([1, 2], [9, 3]), [7n, 'a longer string'], [7n, 0.5]]),
} as const;

/** A core with a running program, and what its bytes look like. */
export class World {
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
export function mutated(random: Random, bytes: Uint8Array, words: number): Uint8Array {
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

export const KNOWN = new Set([
  abi.STATUS_DONE,
  abi.STATUS_OUT_OF_MEMORY,
  abi.STATUS_BAD_PROGRAM,
  abi.STATUS_BAD_ROWS,
]);

export const PLAN = planFor(TEXT, ARITIES);
