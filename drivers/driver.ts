/**
 * The contract of a driver: what turns a thing outside (files, a package index, a cloud, pushes)
 * into rows of one source. `test/suites/driver-suite.ts` is the conformance suite that every driver
 * passes.
 *
 * A driver guarantees: what it publishes as one batch is one whole difference (or, with `replace`,
 * one whole snapshot) of the source; of a table of which it is not known what it holds (at first,
 * unless `held` tells, and after a publish that failed) a snapshot; nothing is published after the
 * signal aborted; a source that cannot be read is reported stale and its last good rows
 * stay.
 *
 * The runner guarantees: one `start` at a time; `publish` resolves once the batch is durable and
 * visible, and rejects when that is not known; a driver that throws stops no other.
 *
 * Drivers import no replica: `publish` and `report` are handed in.
 */
import type { ColumnType } from '../host/value/column-type.ts';
import type { RowBlock } from '../host/value/row-block.ts';

/** The types of `table src:t(name: type, …)` in a policy. */

export interface DriverColumn {
  readonly name: string;
  readonly type: ColumnType;
}

export interface DriverTable {
  /** Bare: `servers`, not `nova:servers`. */
  readonly name: string;
  /** Absent: only the outside knows them (a file without a declaration). */
  readonly columns?: readonly DriverColumn[];
}

/** Base rows of one table. `replace` removes every other row of it. Deletes go before inserts. */
export interface RowChange {
  /** Bare name. */
  readonly table: string;
  readonly replace?: boolean;
  readonly delete?: RowBlock;
  readonly insert?: RowBlock;
}

/** Becomes visible in one revision or not at all. */
export interface DriverBatch {
  readonly changes: readonly RowChange[];
  /** The batch is all that the source has: tables that `changes` does not name become empty. */
  readonly snapshot?: boolean;
  /** Of pushes: a repeated key changes nothing, the same key with another digest is refused. */
  readonly id?: { readonly key: string; readonly bodyDigest: string };
}

/** Where a batch became visible. */
export interface PublishedAt {
  readonly revision: number;
  readonly token: string;
}

export type Publish = (batch: DriverBatch) => Promise<PublishedAt>;

/** What is wrong with a source, in the words of error texts (lower case, no full stop). */
export interface SourceProblem {
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** The table whose rows are old, where one is to blame. */
  readonly table?: string;
  readonly file?: string;
  /** 1-based; columns count characters. */
  readonly line?: number;
  readonly column?: number;
}

/** `fresh`: the rows are those of the outside, as of now. `stale`: they are the last good ones. */
export type Freshness =
  | { readonly state: 'fresh' }
  | { readonly state: 'stale'; readonly problems: readonly SourceProblem[] };

/**
 * The rows that a table of the source holds, whoever put them there; undefined: nobody knows, or
 * what was published before may yet change them.
 */
export type HeldRows = (table: string) => Promise<RowBlock | undefined>;

export interface DriverSession {
  readonly publish: Publish;
  /** Absent where drivers run without a replica beside them. */
  readonly held?: HeldRows;
  readonly report: (freshness: Freshness) => void;
  readonly signal: AbortSignal;
}

/**
 * `poll`: reads the whole outside and publishes the difference. `stream`: follows changes. `push`:
 * is called.
 */
export type DriverMode = 'poll' | 'stream' | 'push';

export interface Driver {
  /** Which driver: `file`, `push`. */
  readonly name: string;
  /** The source whose tables it fills. */
  readonly source: string;
  readonly mode: DriverMode;
  /**
   * What is known of its tables now; a driver that finds its tables outside may tell more later.
   */
  tables(): readonly DriverTable[];
  /**
   * Runs until the signal aborts, then resolves. A rejection makes the source stale; the runner
   * starts it again.
   */
  start(session: DriverSession): Promise<void>;
}

/** An operating error of a source: stale, said to people, tried again. */
export class SourceError extends Error {
  readonly problems: readonly SourceProblem[];

  constructor(problems: readonly SourceProblem[], options?: ErrorOptions) {
    super(problems.map(problemText).join('; '), options);
    this.name = 'SourceError';
    this.problems = problems;
  }
}

/** `file:line:column: message`, the form that editors and terminals make clickable. */
export function problemText(problem: SourceProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined);
  return place.length === 0 ? problem.message : `${place.join(':')}: ${problem.message}`;
}

/** The problems of anything thrown. */
export function problemsOf(error: unknown): readonly SourceProblem[] {
  if (error instanceof SourceError) return error.problems;
  const remedy = (error as { remedy?: unknown } | null)?.remedy;
  const message = error instanceof Error ? error.message : String(error);
  return [typeof remedy === 'string' ? { message, remedy } : { message }];
}
