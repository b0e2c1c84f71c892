import assert from 'node:assert/strict';
import test from 'node:test';
import { formatCount, formatMs, median, percentile } from '../../bench/measure.ts';
import { formatSuite, merge, type Entry, type Results } from '../../bench/report.ts';

test('percentiles are times that were measured', () => {
  const times = [5, 1, 4, 2, 3];
  assert.equal(median(times), 3);
  assert.equal(percentile(times, 99), 5);
  assert.equal(percentile(times, 1), 1);
  assert.equal(percentile([7], 50), 7);
  assert.throws(() => percentile([], 50));
});

test('numbers are short', () => {
  assert.deepEqual([12, 1.5, 12_345, 3_572_160, 2e9].map(formatCount), [
    '12',
    '1.50',
    '12.3 k',
    '3.57 M',
    '2.00 G',
  ]);
  assert.deepEqual([0.0123, 1.26, 1250, 61_000].map(formatMs), [
    '12.3 µs',
    '1.3 ms',
    '1250 ms',
    '61.0 s',
  ]);
});

const entry = (name: string, ms: number): Entry => ({
  name,
  figures: {
    time: { value: ms, unit: 'ms' },
    yardsticks: { value: ms / 10, unit: 'ratio', compared: true },
  },
});

test('a table shows the change against what was accepted, of ratios only', () => {
  const now = { suite: 'engine', entries: [entry('tc', 12), entry('sg', 5)] };
  const before = { suite: 'engine', entries: [entry('tc', 10)] };
  const lines = formatSuite(now, before).split('\n');
  assert.deepEqual(lines, [
    'engine     time      yardsticks',
    'tc      12.0 ms  1.20 x (+20 %)',
    'sg       5.0 ms          0.50 x',
    '',
  ]);
});

test('accepting some entries keeps the others', () => {
  const machine = { kind: 'k', processor: 'p', cores: 2, memoryGiB: 4, node: '20.0.0' };
  const results = (...entries: Entry[]): Results => ({
    machine,
    suites: [{ suite: 'engine', entries }],
  });
  const merged = merge(results(entry('tc', 1), entry('sg', 2)), results(entry('tc', 3)));
  assert.deepEqual(merged, results(entry('tc', 3), entry('sg', 2)));
  assert.deepEqual(merge(undefined, results(entry('tc', 3))), results(entry('tc', 3)));
});
