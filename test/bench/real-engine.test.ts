/** The small workloads on the real engine: their sizes are known, and the benches must not rot. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { closurePlan, openEngine, planOf } from '../../bench/core.ts';
import { deleteCase, measureDeletes } from '../../bench/deletes.ts';
import { evaluationOf, MODES } from '../../bench/engine.ts';
import { WORKLOADS } from '../../bench/workloads.ts';

for (const workload of WORKLOADS.filter(({ scale }) => scale === 'small')) {
  for (const mode of MODES) {
    test(`${workload.name}, ${mode}`, async () => {
      const evaluate = evaluationOf({ planOf, openEngine }, workload, mode);
      const { rows } = await evaluate();
      assert.ok(rows > 0);
    });
  }
}

const GRAPHS = [
  'btree 6',
  'dag 40 100',
  'grid 8',
  'rand 40 80',
  'rand 60 300',
  'cycle 20',
  'chain 30',
];
for (const graph of GRAPHS) {
  test(`deletes on ${graph} equal recomputation`, async () => {
    const entry = await measureDeletes({ plan: closurePlan(), openEngine }, deleteCase(graph, 30));
    assert.equal(entry.figures['steps']?.value, 30);
  });
}
