import type { TableKey } from '../compiler/stratified.ts';

/**
 * How recursive tables of one or two columns are evaluated from scratch: `bits` over bit matrices,
 * `rows` over rows; `auto` takes bits for what is not tiny, as long as they are not too sparse.
 */
export type Layout = 'auto' | 'rows' | 'bits';

/** For tests: where they pay, never, wherever they can be. The answers are the same. */
export type Intersections = 'auto' | 'never' | 'always';

/** What an engine is given: its turns of the event loop, and its limits. */
export interface WasmEngineOptions {
  /** A turn of the event loop. */
  readonly yield: () => Promise<void>;
  /** Milliseconds of a monotone clock, for statistics only. */
  readonly now?: () => number;
  /** Rows of one table at most, of all or of each; absent or undefined: 2^28. */
  readonly rowsPerTableMax?: number | ((table: TableKey) => number | undefined);
  /** Rows of one view at most; absent: as of a table. */
  readonly viewRowsMax?: number;
  /** Engine steps that one view may take in one transaction; absent: no limit. */
  readonly viewStepsMax?: number;
  /** Engine steps of one transaction at most; absent: no limit. */
  readonly stepsMax?: number;
  /** Memory of the core at most, in bytes; absent: 4 GiB. */
  readonly memoryBytesMax?: number;
  /** Absent: `auto`. The answers are the same. */
  readonly layout?: Layout;
  /** Whether rows of cyclic bodies are found by intersections of groups; absent: where it pays. */
  readonly intersections?: Intersections;
}
