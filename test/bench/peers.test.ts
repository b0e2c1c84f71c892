/** The peers bench on little: our engine beside fake peers, right and wrong ones. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { generate } from '../../bench/generate.ts';
import { closureWithSet, graphOf } from '../../bench/kernels.ts';
import { geometricMean, measureBatch } from '../../bench/peers/batch.ts';
import { best, measureContestant, type Contestant } from '../../bench/peers/contestant.ts';
import {
  ASCENT,
  BATCH,
  CLINGO,
  MAINTAINED,
  PEERS_VARIABLE,
  SQLITE,
} from '../../bench/peers/contestants.ts';
import { fgaSteps, measureFga } from '../../bench/peers/fga.ts';
import {
  measureChecks,
  measureDemand,
  measureOneMoreRule,
  measureRowBytes,
} from '../../bench/peers/figures.ts';
import { measureMembers } from '../../bench/peers/members.ts';
import { runProcess } from '../../bench/peers/process.ts';
import type { Effort } from '../../bench/peers/round.ts';
import { eachOutAndBack, fromText, outAndBack, toText } from '../../bench/peers/steps.ts';
import { measureUpdates } from '../../bench/peers/updates.ts';
import { formatSuite } from '../../bench/report.ts';
import { FGA_WORKLOADS, inputOf, JOIN_WORKLOADS, workloadNamed } from '../../bench/workloads.ts';

const EFFORT: Effort = { rounds: 2, runs: 2, limitMs: 60_000, repeatMsMax: 60_000 };
const quiet = (): void => undefined;

const CLOSURE = workloadNamed('tc btree 8');

/** Prints what it is told, whatever the task. */
function fake(name: string, text: string): Contestant {
  const args = ['-e', `process.stdout.write(${JSON.stringify(text)})`];
  return { name, command: () => ({ file: process.execPath, args }) };
}

function answerOf(rows: number, steps?: readonly number[]): string {
  const times = (steps ?? []).map(() => 1000);
  return JSON.stringify({
    sizes: { tc: rows },
    runs: [
      { wallMs: 2000, cpuMs: 1800 },
      { wallMs: 1500, cpuMs: 1200 },
    ],
    ...(steps === undefined ? {} : { steps: { wallMs: times, cpuMs: times, rows: steps } }),
  });
}

test('our engine runs beside a peer, and ratios are of the best times', async () => {
  // In the place of a peer with a target.
  const peer = fake(ASCENT.name, answerOf(3586));
  const [fixpoints, processes] = await measureBatch(
    'closures',
    [CLOSURE],
    [BATCH, MAINTAINED, peer],
    EFFORT,
    quiet,
  );
  const [entry, mean] = fixpoints?.entries ?? [];
  assert.equal(entry?.figures[ASCENT.name]?.value, 1200);
  const batch = entry?.figures['batch']?.value ?? 0;
  assert.ok(batch > 0);
  assert.equal(entry?.figures['Ascent÷batch']?.value, 1200 / batch);
  assert.equal(mean?.name, 'geometric mean');
  assert.ok(Math.abs((mean?.figures['Ascent÷batch']?.value ?? 0) - 1200 / batch) < 1e-9);
  assert.equal(processes?.entries.length, 1);
});

test('control: a wrong size is an error and no result', async () => {
  const peer = fake('peer', answerOf(3585));
  await assert.rejects(
    measureBatch('closures', [CLOSURE], [BATCH, peer], EFFORT, quiet),
    /peer, tc btree 8: `tc` has 3585 rows, not 3586/,
  );
  const sizes = { tc: 1 };
  await assert.rejects(
    measureBatch('closures', [{ ...CLOSURE, sizes }], [BATCH], EFFORT, quiet),
    /batch, tc btree 8: `tc` has 3586 rows, not 1/,
  );
});

test('a peer that is not there is a line, not an error', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'no-peers-'));
  const before = process.env[PEERS_VARIABLE];
  process.env[PEERS_VARIABLE] = folder;
  try {
    const [suite] = await measureBatch('closures', [CLOSURE], [BATCH, ASCENT], EFFORT, quiet);
    assert.ok(suite !== undefined);
    const text = formatSuite(suite, undefined);
    assert.match(text, /^tc btree 8 .* not run/m);
    assert.match(text, /^not run: Ascent: no \S+ascent \(tc btree 8\)$/m);
  } finally {
    if (before === undefined) delete process.env[PEERS_VARIABLE];
    else process.env[PEERS_VARIABLE] = before;
    rmSync(folder, { recursive: true });
  }
});

test('a process that takes too long is ended, with all that it started', async () => {
  const args = ['-e', 'setInterval(() => undefined, 1000)'];
  const ended = await runProcess({ file: process.execPath, args }, 200);
  assert.deepEqual(ended, { notRun: 'over 0.2 s' });
  const failed = await runProcess({ file: process.execPath, args: ['-e', 'throw 1'] }, 60_000);
  assert.match('notRun' in failed ? failed.notRun : '', /^ended with 1: /);
});

test('a contestant without an answer for a table is wrong', async () => {
  const task = { workload: CLOSURE, folder: '.', runs: 1 };
  const nothing = fake('peer', JSON.stringify({ sizes: {}, runs: [] }));
  await assert.rejects(measureContestant(nothing, task, 60_000), /`tc` has undefined rows/);
});

const UPDATES = {
  workload: CLOSURE,
  table: 'edge',
  size: 1,
  pairs: 3,
  deleteP50: { atMost: 1000 },
} as const;
const GONE: Contestant = { name: 'peer', command: () => ({ notRun: 'not here' }) };
/** Rows of the closure after each step, computed by hand. */
const ROWS = outAndBack(inputOf(CLOSURE), 'edge', 1, UPDATES.pairs).map((step) => {
  const gone = new Set(step.filter(({ sign }) => sign === '-').map(({ row }) => row.join()));
  const edges = inputOf(CLOSURE)['edge']?.filter((row) => !gone.has(row.join())) ?? [];
  return closureWithSet(graphOf(edges));
});

test('updates are held against those of a peer, step by step', async () => {
  const peer = fake('peer', answerOf(3586, ROWS));
  const [entry] = await measureUpdates([UPDATES], MAINTAINED, peer, EFFORT, quiet);
  assert.equal(entry?.figures['peer p50']?.value, 1000);
  assert.ok((entry?.figures['peer÷ours p99']?.value ?? 0) > 0);
  assert.ok((entry?.figures['worst÷scratch']?.value ?? 0) > 0);
});

test('control: a peer with one row less after a delete is wrong', async () => {
  const rows = ROWS.with(2, (ROWS[2] ?? 0) - 1);
  await assert.rejects(
    measureUpdates([UPDATES], MAINTAINED, fake('peer', answerOf(3586, rows)), EFFORT, quiet),
    new RegExp(`${ROWS[2]} and ${rows[2]} rows after step 2`),
  );
});

test('control: tables that do not come back to their size are wrong', async () => {
  const own = fake('own', answerOf(3586, [3000, 3585, 3000, 3586, 3000, 3586]));
  await assert.rejects(
    measureUpdates([UPDATES], own, GONE, EFFORT, quiet),
    /3585 rows after step 1, not 3586/,
  );
});

test('without the peer, updates have our figures alone', async () => {
  const [entry, worst] = await measureUpdates([UPDATES], MAINTAINED, GONE, EFFORT, quiet);
  assert.deepEqual(entry?.notRun, { peer: 'not here' });
  assert.ok((entry?.figures['delete p50']?.value ?? 0) > 0);
  assert.equal(worst?.figures['worst÷scratch']?.value, entry?.figures['worst÷scratch']?.value);
});

test('an engine that takes too long over updates is a line, too', async () => {
  const one = { ...UPDATES, workload: CLOSURE };
  const late: Contestant = { name: 'own', command: () => ({ notRun: 'over 1 s' }) };
  const [entry] = await measureUpdates([one], late, GONE, EFFORT, quiet);
  assert.deepEqual(entry?.notRun, { own: 'over 1 s', peer: 'not here' });
});

test('steps go out and come back, as text and from it', () => {
  const tables = generate('rand', 20, 40);
  const steps = outAndBack(tables, 'edge', 3, 4);
  assert.deepEqual(fromText(toText(steps)), steps);
  assert.deepEqual(
    steps.map((step) => step.length),
    Array.from({ length: 8 }, () => 3),
  );
  for (let pair = 0; pair < 8; pair += 2) {
    assert.deepEqual(
      steps[pair]?.map(({ row }) => row),
      steps[pair + 1]?.map(({ row }) => row),
    );
    assert.ok(steps[pair]?.every(({ sign }) => sign === '-'));
  }
  assert.equal(eachOutAndBack(tables, 'edge').length, 80);
  assert.throws(() => fromText('edge\t1\t2\n=\n'), /no sign/);
});

test('means and bests', () => {
  assert.ok(Math.abs(geometricMean([1, 4]) - 2) < 1e-12);
  assert.deepEqual(
    best([
      { wallMs: 1, cpuMs: 3 },
      { wallMs: 5, cpuMs: 2 },
    ]),
    { wallMs: 5, cpuMs: 2 },
  );
});

test('the figures of our engine alone, on little', async () => {
  const bytes = await measureRowBytes(2000);
  assert.ok((bytes.figures['bytes/row']?.value ?? 0) > 0);
  const rule = await measureOneMoreRule(5, 4);
  assert.ok((rule.figures['p50']?.value ?? 0) > 0);
  for (const isText of [false, true]) {
    const [check] = await measureChecks([{ rows: 500, isText, atMostNs: 1000 }]);
    assert.ok((check?.figures['p50']?.value ?? 0) > 0);
    assert.ok((check?.figures['query']?.value ?? 0) > 0);
  }
  const demand = await measureDemand(workloadNamed('rbac rbac 100'));
  assert.ok((demand.figures['allow kept']?.value ?? 0) > 0);
  assert.ok((demand.figures['rows']?.value ?? 0) > 0);
});

const [FGA_SMALL] = FGA_WORKLOADS;

test('files move and users change groups', async () => {
  assert.ok(FGA_SMALL !== undefined);
  const one = { workload: FGA_SMALL, size: 50, steps: 4 };
  const [entry] = await measureFga([one], MAINTAINED, GONE, { ...EFFORT, rounds: 1 }, quiet);
  assert.ok((entry?.figures['changes/s']?.value ?? 0) > 0);
  assert.ok((entry?.figures['rows of can_read/change']?.value ?? 0) > 0);
});

test('steps of the object graph delete what is there, and insert what is not', () => {
  assert.ok(FGA_SMALL !== undefined);
  const tables = inputOf(FGA_SMALL);
  const rows = new Set(
    Object.entries(tables).flatMap(([table, all]) => all.map((row) => `${table} ${row.join()}`)),
  );
  const steps = fgaSteps(tables, 200, 3);
  for (const { sign, table, row } of steps.flat()) {
    const key = `${table} ${row.join()}`;
    assert.equal(rows.has(key), sign === '-', `${sign} ${key}`);
    if (sign === '-') rows.delete(key);
    else rows.add(key);
  }
  assert.ok(steps.flat().some(({ table }) => table === 'member'));
});

test('memberships go out and come back', async () => {
  const workload = workloadNamed('rbac rbac 100');
  const entry = await measureMembers(workload, MAINTAINED, GONE, { ...EFFORT, rounds: 1 }, quiet);
  assert.ok((entry.figures['rows of allow/step']?.value ?? 0) > 0);
  assert.ok((entry.figures['p99 of allowed']?.value ?? 0) > 0);
});

test('a row comes into a join and goes, and brings its rows of the answer', async () => {
  const [workload] = JOIN_WORKLOADS;
  assert.ok(workload !== undefined);
  const one = { workload, table: 'left', size: 1, pairs: 2 };
  const peer = fake(
    'peer',
    JSON.stringify({
      sizes: { joined: 5000 },
      runs: [{ wallMs: 1, cpuMs: 1 }],
      steps: { wallMs: [1, 1, 1, 1], cpuMs: [1, 1, 1, 1], rows: [4995, 5000, 4995, 5000] },
    }),
  );
  const [entry] = await measureUpdates([one], MAINTAINED, peer, EFFORT, quiet);
  assert.equal(entry?.figures['peer p50']?.value, 1);
});

test('SQLite, a peer that is always here, has our sizes', async () => {
  const workloads = ['unreach rand 2000 4000', 'tc btree 8'].map(workloadNamed);
  const [suite] = await measureBatch('small', workloads, [BATCH, SQLITE], EFFORT, quiet);
  for (const name of ['unreach rand 2000 4000', 'tc btree 8']) {
    const entry = suite?.entries.find((one) => one.name === name);
    assert.ok((entry?.figures['SQLite÷batch']?.value ?? 0) > 0, name);
  }
});

test('clingo is read from its own words', () => {
  const output = JSON.stringify({
    Call: [{ Witnesses: [{ Value: ['rows(tc,6)', 'rows(sg,2)'] }] }],
    Time: { Total: 0.5, CPU: 0.25 },
  });
  assert.deepEqual(CLINGO.read?.(output), {
    sizes: { tc: 6, sg: 2 },
    runs: [{ wallMs: 500, cpuMs: 250 }],
  });
});
