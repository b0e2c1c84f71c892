import assert from 'node:assert/strict';
import test from 'node:test';
import { generate, toFacts } from '../../bench/generate.ts';
import { closureWithBits, closureWithSet, graphOf } from '../../bench/kernels.ts';
import { inputOf, WORKLOADS } from '../../bench/workloads.ts';

const closures = WORKLOADS.filter(({ program, scale }) => program === 'tc' && scale === 'small');

for (const workload of closures) {
  test(`both baselines find the closure of ${workload.name}`, () => {
    const graph = graphOf(inputOf(workload)['edge'] ?? []);
    assert.equal(closureWithSet(graph), workload.sizes['tc']);
    assert.equal(closureWithBits(graph), workload.sizes['tc']);
  });
}

test('inputs have the published sizes', () => {
  const rowCount = (name: string): number => {
    const workload = WORKLOADS.find((one) => one.name === name);
    assert.ok(workload !== undefined, name);
    return Object.values(inputOf(workload)).reduce((sum, rows) => sum + rows.length, 0);
  };
  assert.equal(rowCount('tc grid 60'), 7320);
  assert.equal(rowCount('tc btree 14'), 32_766);
  assert.equal(rowCount('triangle ba 5000 20'), 87_504);
  assert.equal(rowCount('triangle ba 20000 8'), 154_576);
  assert.equal(rowCount('andersen andersen 1000 300 700 120 120'), 1240);
  assert.equal(rowCount('cspa cspa 2000 1100 500'), 1600);
  assert.equal(rowCount('rbac rbac 100'), 1437);
  assert.equal(rowCount('ovn ovn 50 10'), 1730);
});

test('the same parameters give the same rows', () => {
  assert.deepEqual(generate('rand', 50, 100), generate('rand', 50, 100));
  assert.notDeepEqual(generate('rand', 50, 100), generate('rand', 50, 101));
});

test('facts are tab separated lines', () => {
  assert.equal(
    toFacts([
      ['u1', 2],
      ['u2', 3],
    ]),
    'u1\t2\nu2\t3\n',
  );
  assert.equal(toFacts([]), '');
});

test('names of workloads are unique', () => {
  const names = WORKLOADS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});
