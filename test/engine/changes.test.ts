/** A transaction goes through the relations that it changes, not through all that there are. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as abi from '../../engine-as/abi.ts';
import { bindRelations, encodeBinding } from '../../host/engine/relation-binding.ts';
import type { Binding } from '../../host/engine/relation-binding.ts';
import { Core } from '../../host/engine/core.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import { ints, planFor } from './engine-pair.ts';

const CORE = readFileSync('build/core.wasm');
const RULES = 200;
const ARITIES = { all: 1, ...Object.fromEntries(each((index) => [`t${index}`, 1])) };
const TEXT = each(
  (index) =>
    `p${index}(x) :- s:t${index}(x), s:all(x). n${index}(count()) :- p${index}(_). ` +
    `m${index}(max(x)) :- s:t${index}(x).`,
).join('\n');

function each<T>(make: (index: number) => T): T[] {
  return Array.from({ length: RULES }, (_, index) => make(index));
}

/** The core itself, so that the list can be read between the computation and its end. */
class World {
  readonly core: Core;
  readonly binding: Binding;

  constructor(core: Core) {
    this.core = core;
    const { exports } = core;
    assert.equal(exports.begin(), abi.STATUS_DONE);
    this.binding = bindRelations(core, planFor(TEXT, ARITIES), undefined, new Map(), () => 0);
    const bytes = encodeBinding(this.binding);
    assert.equal(exports.setProgram(core.write(bytes), bytes.length), abi.STATUS_DONE);
    this.change('s:t7', 1, 3);
    this.change('s:all', 1, 2, 3);
    this.compute();
    assert.equal(this.changed().length, this.binding.bound.length, 'all are made');
    this.end(true);
  }

  change(table: string, ...values: number[]): void {
    const { bytes, count } = encodeRows(1, ints(...values.map((one) => [one])));
    const { handle } = this.binding.byName.get(table) ?? assert.fail(table);
    const { exports } = this.core;
    const pointer = this.core.write(bytes);
    assert.equal(exports.changeBaseRows(handle, pointer, bytes.length, count, 1), abi.STATUS_DONE);
  }

  compute(): void {
    for (;;) {
      const status = this.core.exports.step(1000);
      if (status === abi.STATUS_DONE) return;
      assert.equal(status, abi.STATUS_MORE);
    }
  }

  /** Tables that were changed. */
  changed(): string[] {
    const { exports } = this.core;
    const names: string[] = [];
    for (let place = 0; exports.changedRelation(place) >= 0; place++) {
      names.push(this.binding.byHandle.get(exports.changedRelation(place))?.relation.name ?? '?');
    }
    return names.map((name) => name.replace(/:.*~/, ':~')).sort();
  }

  end(commits: boolean): void {
    const { exports } = this.core;
    const finish = (): number => (commits ? exports.commit() : exports.rollBack());
    for (let status: number = abi.STATUS_MORE; status === abi.STATUS_MORE;) status = finish();
    assert.equal(this.core.exports.isOpen(), 0);
    assert.deepEqual(this.changed(), []);
  }

  count(table: string): number {
    return this.core.exports.liveRows(this.binding.byName.get(table)?.handle ?? -1);
  }
}

test('a row changes its table, what reads it, and nothing else', async () => {
  const world = new World(await Core.create(CORE, 0));
  const { exports } = world.core;
  for (const commits of [false, true]) {
    exports.begin();
    // Below the largest one: the group changes, the output does not.
    world.change('s:t7', 2);
    world.compute();
    // `p7` is no longer than before for `n7`, which asks whether it has any row.
    assert.deepEqual(world.changed(), ['$agg:~0', '$in:~0', '$some:~0', 'p:p7', 's:t7']);
    world.end(commits);
    assert.equal(world.count('p:p7'), commits ? 3 : 2);
  }
  exports.begin();
  world.compute();
  assert.deepEqual(world.changed(), [], 'nothing');
  world.end(true);
});

test('negative control: a row that all rules read changes what they have of it', async () => {
  const world = new World(await Core.create(CORE, 0));
  const { exports } = world.core;
  exports.begin();
  for (let index = 0; index < RULES; index++) world.change(`s:t${index}`, 9);
  world.change('s:all', 9);
  world.compute();
  assert.ok(world.changed().length > RULES * 5);
  world.end(true);
  assert.equal(world.count('p:p199'), 1);
});
