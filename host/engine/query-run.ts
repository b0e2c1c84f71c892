/** One version of a query, in slices. */
import * as abi from '../../engine-as/abi.ts';
import { CaucusError } from '../errors.ts';
import type { Core } from './core.ts';
import { queryError } from './failures.ts';
import { SLICE_STEPS } from './slices.ts';

/** Steps that a query may still take, and might at first. */
export interface Effort {
  left: number;
  readonly max: number;
}

export interface VersionRun {
  readonly effort: Effort;
  /** Bounded steps see only rows of ranks below it. */
  readonly rankBelow: number | undefined;
  /** A turn of the event loop; false when a commit came between. */
  readonly pause: () => Promise<boolean>;
}

/** Undefined when a commit has overtaken it. */
export async function runVersion(
  core: Core,
  bytes: Uint8Array,
  { effort, rankBelow, pause }: VersionRun,
): Promise<{ readonly truncated: boolean } | undefined> {
  const { exports } = core;
  const query = exports.openQuery(core.write(bytes), bytes.length) >>> 0;
  if (query === 0) throw queryError(exports.queryFailure());
  try {
    if (rankBelow !== undefined) exports.boundQueryRank(query, rankBelow);
    if (!(await finishQuery(core, query, effort, pause))) return undefined;
    return { truncated: exports.isTruncated(query) !== 0 };
  } finally {
    exports.closeQuery(query);
  }
}

async function finishQuery(
  { exports }: Core,
  query: number,
  effort: Effort,
  pause: () => Promise<boolean>,
): Promise<boolean> {
  for (; ; effort.left -= SLICE_STEPS) {
    const status = exports.runQuery(query, SLICE_STEPS);
    if (status === abi.STATUS_DONE) return true;
    if (status !== abi.STATUS_MORE) throw queryError(status);
    if (effort.left < 0) {
      throw new CaucusError('limit_exceeded', `the query took more than ${effort.max} steps`, {
        remedy: 'bind more columns, or split the query',
      });
    }
    if (!(await pause())) return false;
  }
}
