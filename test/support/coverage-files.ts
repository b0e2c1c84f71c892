/**
 * What the three parts of the core's coverage share: the build, the hook in each process, the
 * report.
 */
export const COVERAGE_FOLDER = 'build/coverage';
export const STATEMENTS_FILE = `${COVERAGE_FOLDER}/statements.json`;
/** One byte a statement; one file a process. */
export const HITS_SUFFIX = '.hits';

export interface Statement {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}
