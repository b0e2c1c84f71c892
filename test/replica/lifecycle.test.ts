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

/** What SPEC.md says holds, line by line. */
async function specPromises(): Promise<string[]> {
  const text = await readFile('host/replica/SPEC.md', 'utf8');
  const [, promises = ''] = text.split('## What holds');
  return (promises.split('\n## ')[0] ?? '').split('\n- ').slice(1);
}

/** Why the tests that a line names do not show it; empty: they may. */
async function problemsOfPromise(promise: string): Promise<string[]> {
  const names = [...promise.matchAll(/`([\w/-]+\.test\.ts)`/g)].map(([, name]) => name as string);
  if (names.length === 0) return ['names no test'];
  const texts = await Promise.all(
    names.map((name) => readFile(name.includes('/') ? name : `test/replica/${name}`, 'utf8')),
  );
  if (!/with a\s+control|with controls/.test(promise)) return ['has no control'];
  if (!texts.some((text) => /control\b/.test(text))) return ['no test that it names has a control'];
  return promise.startsWith('[x] ') ? [] : ['is not ticked'];
}

test('each line of what holds in SPEC.md names its tests, and one of them has a control', async () => {
  const promises = await specPromises();
  assert.ok(promises.length > 20);
  for (const promise of promises) assert.deepEqual(await problemsOfPromise(promise), [], promise);
  // This check can fail.
  assert.equal((await problemsOfPromise('[x] It holds.')).length, 1);
  assert.equal((await problemsOfPromise('[x] It; `parts.test.ts`, with a control.')).length, 1);
  assert.deepEqual(await problemsOfPromise('[x] It; `crash.test.ts`.'), ['has no control']);
  await assert.rejects(problemsOfPromise('[x] It; `gone.test.ts`, with a control.'), /ENOENT/);
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
