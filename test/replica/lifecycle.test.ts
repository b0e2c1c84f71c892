import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { Lifecycle, TRANSITIONS } from '../../host/replica/lifecycle.ts';
import type { LifecycleEvent, Phase } from '../../host/replica/lifecycle.ts';
import { code } from '../support/replica-world.ts';

interface SpecRow {
  readonly ready: boolean;
  readonly reads: boolean;
  readonly writes: boolean;
  readonly transitions: Record<string, string>;
}

async function specTable(): Promise<Map<string, SpecRow>> {
  const text = await readFile('host/replica/SPEC.md', 'utf8');
  const table = new Map<string, SpecRow>();
  for (const line of text.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    const phase = /^`([a-z-]+)`$/.exec(cells[1] ?? '')?.[1];
    if (phase === undefined || cells.length < 7) continue;
    const transitions: Record<string, string> = {};
    for (const [, event, next] of (cells[5] ?? '').matchAll(/`([a-z-]+)` → `([a-z-]+)`/g)) {
      transitions[event as string] = next as string;
    }
    table.set(phase, {
      ready: cells[2] === 'yes',
      reads: cells[3] === 'yes',
      writes: cells[4] !== 'no',
      transitions,
    });
  }
  return table;
}

/** The events that lead from the start to each phase. */
const WAYS: Readonly<Record<Phase, readonly Exclude<LifecycleEvent, 'stalled'>[]>> = {
  starting: [],
  restoring: ['genesis-read'],
  'catching-up': ['genesis-read', 'restored'],
  live: ['genesis-read', 'restored', 'caught-up'],
  'read-only': ['genesis-read', 'restored', 'caught-up', 'append-failed'],
  quarantined: ['genesis-read', 'restored', 'caught-up', 'diverged'],
  draining: ['close'],
  stopped: ['close', 'drained'],
};

test('the table of phases in SPEC.md is the one in the code', async () => {
  const table = await specTable();
  assert.deepEqual([...table.keys()], Object.keys(TRANSITIONS));
  for (const [phase, row] of table) {
    assert.deepEqual(row.transitions, TRANSITIONS[phase as Phase], phase);
    const lifecycle = new Lifecycle();
    for (const event of WAYS[phase as Phase]) lifecycle.on(event);
    assert.equal(lifecycle.phase, phase);
    assert.equal(lifecycle.ready, row.ready, `${phase}: ready`);
    const allows = (check: () => void): boolean => {
      try {
        check();
        return true;
      } catch (error) {
        assert.ok(code('not_ready')(error));
        return false;
      }
    };
    assert.equal(
      allows(() => lifecycle.expectReadable()),
      row.reads,
      `${phase}: reads`,
    );
    assert.equal(
      allows(() => lifecycle.expectWritable()),
      row.writes,
      `${phase}: writes`,
    );
  }
});

test('a stalled replica is not healed by an append that works, and says why', () => {
  const phases: Phase[] = [];
  const lifecycle = new Lifecycle();
  lifecycle.onPhase((phase) => phases.push(phase));
  for (const event of WAYS.live) lifecycle.on(event);
  lifecycle.stallWith(new CaucusError('out_of_memory', 'no memory'));
  lifecycle.on('append-worked');
  assert.equal(lifecycle.phase, 'read-only');
  assert.throws(() => lifecycle.expectWritable(), code('out_of_memory'));
  lifecycle.expectReadable();
  lifecycle.on('close');
  lifecycle.on('drained');
  assert.deepEqual(phases, [
    'restoring',
    'catching-up',
    'live',
    'read-only',
    'draining',
    'stopped',
  ]);
});
