/** The state machine of a source with one writer, against a model that looks at the whole log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE_SILENT_MS } from '../../host/limits.ts';
import type {
  DeltaRecord,
  FencedRecord,
  RefusedRecord,
  SnapshotRecord,
} from '../../host/log/records.ts';
import { UNOPENED, fencedOnRecord, staleReason } from '../../host/replica/fenced-source.ts';
import type { FencedState } from '../../host/replica/fenced-source.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

const SEEDS = 3000;

/** What writers write. */
type WrittenRecord = Exclude<FencedRecord, RefusedRecord>;

const row = (text: string) => ({ table: 't', insert: encodeRows(1, [[text]]) });

/** What is left of a log: the rows, as the last batches told them. */
interface Outcome {
  /** Marks of the batches that count since the last snapshot, in order. */
  readonly rows: readonly string[];
  readonly generation: number;
  readonly isBroken: boolean;
}

type Step = (state: FencedState, record: FencedRecord, offset: number) => FencedState;

const marks = (record: SnapshotRecord | DeltaRecord): string[] =>
  record.changes.map(({ insert }) => new TextDecoder().decode(insert?.bytes));

function folded(log: readonly WrittenRecord[], rewrite = asItIs): Outcome {
  let state = UNOPENED;
  let rows: string[] = [];
  log.forEach((record, offset) => {
    const step = fencedOnRecord(state, rewrite(record, state), { offset, appendTimeMs: 1 });
    state = step.state;
    if (step.batch === undefined) return;
    const own = step.batch.changes.map(({ insert }) => new TextDecoder().decode(insert?.bytes));
    rows = step.batch.kind === 'snapshot' ? own : [...rows, ...own];
  });
  return { rows, generation: state.generation, isBroken: state.broken !== undefined };
}

const asItIs = (record: WrittenRecord, _state: FencedState): WrittenRecord => record;

/** Whoever writes counts: what the protocol is there to prevent. */
function unfenced(record: WrittenRecord, state: FencedState): WrittenRecord {
  if (record.kind === 'open') return { ...record, generation: state.generation + 1 };
  const { generation, owner, sequence } = state;
  const head = { generation, owner, sequence: sequence + 1 };
  if (record.kind === 'heartbeat' || record.kind === 'stale') return { ...record, ...head };
  return { ...record, ...head, batch: state.unfinished ? state.batch : state.batch + 1 };
}

/** By looking back over everything that was written, for each record anew. */
function modelled(log: readonly WrittenRecord[]): Outcome {
  const winnerAt = (end: number): number => {
    let winner = -1;
    for (let at = 0; at < end; at++) {
      const one = log[at] as WrittenRecord;
      if (one.kind !== 'open') continue;
      if (winner < 0 || one.generation > (log[winner] as WrittenRecord).generation) winner = at;
    }
    return winner;
  };
  let rows: string[] = [];
  let broken = -1;
  const last = winnerAt(log.length);
  log.forEach((winning, at) => {
    if (winning.kind !== 'open' || winnerAt(at + 1) !== at || winnerAt(at) === at) return;
    let end = at + 1;
    while (end < log.length && winnerAt(end + 1) === at) end++;
    const own = log
      .slice(at + 1, end)
      .filter((one) => one.generation === winning.generation && one.owner === winning.owner);
    // Each sequence number once, from 1, until one is missing.
    const counted: WrittenRecord[] = [];
    let gap = false;
    for (const one of own) {
      if (one.kind === 'open' || gap || one.sequence <= counted.length) continue;
      if (one.sequence === counted.length + 1) counted.push(one);
      else gap = true;
    }
    let parts: string[] = [];
    for (const one of counted) {
      if (one.kind === 'heartbeat') broken = -1;
      if (one.kind !== 'snapshot' && one.kind !== 'delta') continue;
      parts.push(...marks(one));
      if (!one.lastOfBatch) continue;
      if (one.kind === 'snapshot') broken = -1;
      rows = one.kind === 'snapshot' ? parts : [...rows, ...parts];
      parts = [];
    }
    if (gap) broken = at;
  });
  const generation = last < 0 ? 0 : (log[last] as WrittenRecord).generation;
  return { rows, generation, isBroken: broken >= 0 };
}

/** The records of one writer: open, a snapshot, then batches in parts and heartbeats. */
function written(generation: number, owner: string, random: Random): WrittenRecord[] {
  const records: WrittenRecord[] = [
    { kind: 'open', generation, owner, source: 's', incarnation: 1 },
  ];
  let sequence = 0;
  const batches = 1 + random.int(3);
  for (let batch = 1; batch <= batches; batch++) {
    const parts = 1 + random.int(3);
    const kind = batch === 1 || random.chance(0.1) ? 'snapshot' : 'delta';
    for (let part = 0; part < parts; part++) {
      const changes = [row(`${owner}${batch}.${part}`)];
      const lastOfBatch = part === parts - 1;
      sequence++;
      records.push({ kind, generation, owner, sequence, batch, lastOfBatch, changes });
    }
    if (random.chance(0.3)) {
      records.push({ kind: 'heartbeat', generation, owner, sequence: ++sequence });
    }
  }
  return records;
}

/** Each list keeps its order, whatever comes between. */
function* interleavings<T>(a: readonly T[], b: readonly T[]): Generator<T[]> {
  if (a.length === 0 || b.length === 0) {
    yield [...a, ...b];
    return;
  }
  for (const rest of interleavings(a.slice(1), b)) yield [a[0] as T, ...rest];
  for (const rest of interleavings(a, b.slice(1))) yield [b[0] as T, ...rest];
}

test('two generations in every order: the rows are those of the newest that opened', () => {
  let orders = 0;
  let wrongUnfenced = 0;
  for (const [seed, generations] of [
    [1, [1, 2]],
    [2, [1, 1]],
    [3, [2, 1]],
  ] as const) {
    const random = randomFrom(seed);
    const a = written(generations[0], 'a', random).slice(0, 7);
    const b = written(generations[1], 'b', random).slice(0, 7);
    for (const log of interleavings(a, b)) {
      orders++;
      const expected = modelled(log);
      assert.deepEqual(folded(log), expected, JSON.stringify(log));
      if (JSON.stringify(folded(log, unfenced).rows) !== JSON.stringify(expected.rows)) {
        wrongUnfenced++;
      }
    }
  }
  assert.ok(orders > 300, `${orders} orders`);
  // The control: without fencing the same check finds many wrong states.
  assert.ok(wrongUnfenced > orders / 4, `${wrongUnfenced} of ${orders}`);
});

test('random logs of several writers with repeats, losses and late records', () => {
  const seen = { broken: 0, repaired: 0 };
  for (let seed = 0; seed < SEEDS; seed++) {
    const random = randomFrom(seed);
    const writers = Array.from({ length: 2 + random.int(3) }, (_, n) =>
      written(1 + random.int(4), 'abcde'[n] as string, random),
    );
    const log: WrittenRecord[] = [];
    let hadGap = false;
    while (writers.some((records) => records.length > 0)) {
      const records = random.pick(writers.filter((one) => one.length > 0));
      for (let burst = 1 + random.int(4); burst > 0 && records.length > 0; burst--) {
        const record = records.shift() as WrittenRecord;
        if (record.kind !== 'open' && random.chance(0.04)) continue;
        log.push(record);
        if (random.chance(0.1)) log.push(random.pick(log));
      }
      if (folded(log).isBroken) hadGap = true;
    }
    const outcome = folded(log);
    assert.deepEqual(outcome, modelled(log), `seed ${seed}`);
    if (outcome.isBroken) seen.broken++;
    else if (hadGap) seen.repaired++;
  }
  // Otherwise the seeds do not test what they are for.
  assert.ok(seen.broken > 50 && seen.repaired > 50, JSON.stringify(seen));
});

const APPLY: Step = (state, record, offset) =>
  fencedOnRecord(state, record, { offset, appendTimeMs: 1000 * (offset + 1) }).state;

const all = (records: readonly FencedRecord[]): FencedState => records.reduce(APPLY, UNOPENED);

const OPEN: FencedRecord = {
  kind: 'open',
  generation: 1,
  owner: 'a',
  source: 's',
  incarnation: 1,
};
const by = { generation: 1, owner: 'a' } as const;
const whole = { lastOfBatch: true, changes: [row('x')] } as const;

test('a delta needs a table whose rows were told in this generation', () => {
  const delta: FencedRecord = { kind: 'delta', ...by, sequence: 1, batch: 1, ...whole };
  const misled = all([OPEN, delta]);
  assert.match(staleReason(misled, 0) ?? '', /changes `t`, whose rows were not told/);
  assert.equal(misled.rejected, 1);
  const told = { ...delta, changes: [{ ...row('x'), replace: true }] };
  const next: FencedRecord = { ...delta, sequence: 2, batch: 2 };
  assert.equal(staleReason(all([OPEN, told, next]), 3000), undefined);
});

test('fresh as long as something is heard; trouble until a heartbeat', () => {
  const snapshot: FencedRecord = { kind: 'snapshot', ...by, sequence: 1, batch: 1, ...whole };
  assert.equal(staleReason(all([OPEN]), 0), 'it has no rows yet');
  const filled = all([OPEN, snapshot]);
  assert.equal(staleReason(filled, 2000 + SOURCE_SILENT_MS), undefined);
  assert.match(staleReason(filled, 2001 + SOURCE_SILENT_MS) ?? '', /nothing was heard/);
  const kept = APPLY(filled, { kind: 'heartbeat', ...by, sequence: 2 }, 2);
  assert.equal(staleReason(kept, 2001 + SOURCE_SILENT_MS), undefined);
  const troubled = APPLY(kept, { kind: 'stale', ...by, sequence: 3, reason: 'no answer' }, 3);
  assert.equal(staleReason(troubled, 0), 'no answer');
  // A batch may be part of what could be read; only the heartbeat says that all could.
  const more = { ...snapshot, kind: 'delta', sequence: 4, batch: 2 } as const;
  assert.equal(staleReason(APPLY(troubled, more, 4), 0), 'no answer');
  const healed = APPLY(troubled, { kind: 'heartbeat', ...by, sequence: 4 }, 4);
  assert.equal(staleReason(healed, 5000), undefined);
});

test('batches that are numbered wrongly break the source', () => {
  const part = { kind: 'snapshot', ...by, sequence: 1, batch: 1, ...whole } as const;
  for (const record of [
    { ...part, batch: 2 },
    { ...part, batch: 0 },
  ]) {
    assert.match(all([OPEN, record]).broken?.reason ?? '', /where 1 was to come/);
  }
  const begun = { ...part, lastOfBatch: false };
  const other = { ...part, kind: 'delta', sequence: 2 } as const;
  assert.match(all([OPEN, begun, other]).broken?.reason ?? '', /where 1 was to come/);
  assert.equal(all([OPEN, begun, { ...part, sequence: 2 }]).broken, undefined);
});

test('a refusal counts for the generation in charge, until the next opens', () => {
  const refused = (generation: number): FencedRecord => {
    return { kind: 'refused', generation, reason: 'a batch does not fit' };
  };
  const late = all([OPEN, refused(0), refused(2)]);
  assert.deepEqual([late.refused, late.ignored], [false, 2]);
  const told = all([OPEN, refused(1)]);
  assert.deepEqual([told.refused, told.sequence], [true, 0]);
  assert.equal(APPLY(told, { ...OPEN, generation: 2 }, 2).refused, false);
});
