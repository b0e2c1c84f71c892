/**
 * A source with one writer at a time: which of its records count. A pure state machine, one value
 * a source; the fold feeds it the records of the topic in order, so every replica decides alike.
 *
 * The first `open` of a generation wins, and only a higher generation takes over. What another
 * (generation, owner) writes, whenever it arrives, is ignored and counted: that is what makes a
 * writer harmless that was paused, lost its lease and goes on. Inside a generation the sequence
 * numbers tell a repeat (ignored) from a gap. After a gap, or a batch that does not fit, the source
 * is *broken*: nothing of this generation counts any more, the last good rows stay, until a newer
 * generation says what all the rows are.
 *
 * What is not decided here: whether rows fit their tables. Who knows that calls `fencedOnMisfit`.
 */
import { SOURCE_SILENT_MS } from '../limits.ts';
import type { DeltaRecord, FencedRecord, RecordChange, SnapshotRecord } from '../log/records.ts';

/** A batch whose last record has not come yet: the parts so far. */
export interface FencedBatch {
  /** Offset of its first record. */
  readonly first: number;
  readonly kind: 'snapshot' | 'delta';
  readonly changes: readonly RecordChange[];
}

export interface FencedState {
  /** The one that won last; 0 while nobody has opened. */
  readonly generation: number;
  readonly owner: string;
  /** Of the last record that counted; 0 after `open`. */
  readonly sequence: number;
  /** Of the last batch that was begun; 0 after `open`. */
  readonly batch: number;
  readonly unfinished: FencedBatch | undefined;
  /** Tables whose rows this generation has told as a whole: others cannot have a delta. */
  readonly known: 'all' | readonly string[];
  /** Why rows are missing, and the generation in which that happened. */
  readonly broken: { readonly generation: number; readonly reason: string } | undefined;
  /** Whether a replica has told the writer of this generation that it is broken. */
  readonly refused: boolean;
  /** What the writer says of the outside, if it cannot read it. */
  readonly trouble: string | undefined;
  /** Append time of the last record that speaks for the rows, ms since the epoch; 0: none yet. */
  readonly heardAtMs: number;
  /** Records of writers that had lost, repeats, and what came after the source was broken. */
  readonly ignored: number;
  /** Batches that did not fit. */
  readonly rejected: number;
}

export const UNOPENED: FencedState = {
  generation: 0,
  owner: '',
  sequence: 0,
  batch: 0,
  unfinished: undefined,
  known: [],
  broken: undefined,
  refused: false,
  trouble: undefined,
  heardAtMs: 0,
  ignored: 0,
  rejected: 0,
};

export interface FencedStep {
  readonly state: FencedState;
  /** The batch that this record completes. */
  readonly batch?: FencedBatch;
}

/** Where a record stands in its topic. */
export interface RecordPlace {
  readonly offset: number;
  readonly appendTimeMs: number;
}

/** The state after a record of the source's topic. */
export function fencedOnRecord(
  state: FencedState,
  record: FencedRecord,
  place: RecordPlace,
): FencedStep {
  if (record.kind === 'open') {
    if (record.generation <= state.generation) return ignore(state);
    const { generation, owner } = record;
    const { broken, trouble, heardAtMs, ignored, rejected } = state;
    return {
      state: { ...UNOPENED, generation, owner, broken, trouble, heardAtMs, ignored, rejected },
    };
  }
  const { generation, owner, sequence } = state;
  if (record.kind === 'refused') {
    if (record.generation !== generation) return ignore(state);
    return { state: { ...state, refused: true } };
  }
  const isWinner = record.generation === generation && record.owner === owner;
  if (!isWinner || record.sequence <= sequence || isBroken(state)) return ignore(state);
  if (record.sequence !== sequence + 1) {
    const missing = sequence + 1;
    return { state: broken(state, `record ${missing} of generation ${generation} is missing`) };
  }
  const next: FencedState = { ...state, sequence: record.sequence };
  switch (record.kind) {
    case 'heartbeat': {
      const fresh = { ...next, broken: undefined, trouble: undefined };
      return { state: heardAt(fresh, place.appendTimeMs) };
    }
    case 'stale':
      return { state: { ...heard(next, place), trouble: record.reason } };
    case 'snapshot':
    case 'delta':
      return partOnRecord(next, record, place);
  }
}

/** The batch that was just completed does not fit: it counts for nothing. */
export function fencedOnMisfit(state: FencedState, reason: string): FencedState {
  return { ...broken(state, `a batch was rejected: ${reason}`), rejected: state.rejected + 1 };
}

/** Why the rows may be old, in the words of error texts; undefined: they are fresh. */
export function staleReason(state: FencedState, timeMs: number): string | undefined {
  if (state.broken !== undefined) return state.broken.reason;
  if (state.trouble !== undefined) return state.trouble;
  if (state.heardAtMs === 0) return 'it has no rows yet';
  if (timeMs - state.heardAtMs <= SOURCE_SILENT_MS) return undefined;
  return `nothing was heard from its driver for ${SOURCE_SILENT_MS / 1000} s`;
}

/**
 * A table that the changes alter though this generation has not told what rows it has; undefined:
 * they make sense.
 */
export function ungroundedTable(
  known: FencedState['known'],
  kind: 'snapshot' | 'delta',
  changes: readonly RecordChange[],
): string | undefined {
  if (kind === 'snapshot' || known === 'all') return undefined;
  const tables = new Set(known);
  for (const { table, replace } of changes) {
    if (replace === true) tables.add(table);
    else if (!tables.has(table)) return table;
  }
  return undefined;
}

/** What is known after a batch. */
export function knownAfter(
  known: FencedState['known'],
  kind: 'snapshot' | 'delta',
  changes: readonly RecordChange[],
): FencedState['known'] {
  if (kind === 'snapshot' || known === 'all') return 'all';
  const replaced = changes.filter((change) => change.replace === true);
  if (replaced.length === 0) return known;
  return [...new Set([...known, ...replaced.map((change) => change.table)])];
}

function partOnRecord(
  state: FencedState,
  record: SnapshotRecord | DeltaRecord,
  place: RecordPlace,
): FencedStep {
  const { unfinished, batch } = state;
  const { kind } = record;
  const expected = unfinished === undefined ? batch + 1 : batch;
  if (record.batch !== expected || (unfinished !== undefined && unfinished.kind !== kind)) {
    return { state: broken(state, `batch ${record.batch} came where ${expected} was to come`) };
  }
  const changes =
    unfinished === undefined ? record.changes : [...unfinished.changes, ...record.changes];
  const collected = { first: unfinished?.first ?? place.offset, kind, changes };
  const next: FencedState = { ...heard(state, place), batch: record.batch };
  if (!record.lastOfBatch) return { state: { ...next, unfinished: collected } };
  const table = ungroundedTable(state.known, kind, changes);
  if (table !== undefined) {
    return { state: fencedOnMisfit(state, `it changes \`${table}\`, whose rows were not told`) };
  }
  const known = knownAfter(state.known, kind, changes);
  const repaired = kind === 'snapshot' ? { broken: undefined } : {};
  return {
    state: { ...heard({ ...next, known, ...repaired }, place), unfinished: undefined },
    batch: collected,
  };
}

/** A generation speaks for the rows once it has told some, and nothing of before is missing. */
function heard(state: FencedState, { appendTimeMs }: RecordPlace): FencedState {
  if (state.broken !== undefined || state.known.length === 0) return state;
  return heardAt(state, appendTimeMs);
}

function heardAt(state: FencedState, appendTimeMs: number): FencedState {
  return { ...state, heardAtMs: Math.max(state.heardAtMs, appendTimeMs) };
}

/** In this generation: one that opens later may repair it. */
export function isBroken({ broken: found, generation }: FencedState): boolean {
  return found?.generation === generation;
}

function broken(state: FencedState, reason: string): FencedState {
  const { generation } = state;
  return { ...state, broken: { generation, reason }, unfinished: undefined };
}

function ignore(state: FencedState): FencedStep {
  return { state: { ...state, ignored: state.ignored + 1 } };
}
