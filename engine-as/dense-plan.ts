/*
 * What an evaluation over bits (dense.ts, dense-once.ts) goes by; made by dense-translate.ts and
 * dense-once-translate.ts.
 */
import { Arena } from './arena';
import { BitMatrix } from './bit-matrix';
import { Relation } from './row-store';

/* Operations that iterate; they come before the tests in number. */
export const DENSE_PAIRS: u32 = 0;
export const DENSE_ROWS: u32 = 1;
export const DENSE_BITS: u32 = 2;
export const DENSE_LIST: u32 = 3;
export const DENSE_SCAN: u32 = 4;
/* Tests. */
export const DENSE_SAME: u32 = 5;
export const DENSE_COMPARE: u32 = 6;
export const DENSE_BIT: u32 = 7;
export const DENSE_FILLED: u32 = 8;
export const DENSE_LISTED: u32 = 9;
export const DENSE_IMAGE: u32 = 10;
export const DENSE_PROBE: u32 = 11;
export const DENSE_MOVE: u32 = 12;
/* Ends. */
export const DENSE_EMIT_BIT: u32 = 13;
export const DENSE_EMIT_ROW: u32 = 14;
export const DENSE_EMIT_LIST: u32 = 15;
/* Those of an aggregate's rule: one solution, or as many as a list has values. */
export const DENSE_EMIT_SOLUTION: u32 = 16;
export const DENSE_EMIT_COUNT: u32 = 17;

/* What becomes of rows outside: lists of values, nothing (they are scanned), a matrix. */
export const FORM_LIST: u32 = 0;
export const FORM_SCAN: u32 = 1;
export const FORM_IMAGE: u32 = 2;

export const NO_OP: u32 = 0xffffffff;
/** No column, no register, no index. */
export const NONE: u32 = 0xffffffff;
/** Registers of a rule, and behind them its temporary ones and the row of a table of one column. */
export const REGISTERS: u32 = 96;
export const ROW_ZERO: u32 = REGISTERS - 1;

/** A relation of the unit. Index 0: rows by the first column, 1: by the second. */
@unmanaged
export class DenseTable {
  relation: Relation;
  all0: BitMatrix;
  all1: BitMatrix;
  recent0: BitMatrix;
  recent1: BitMatrix;
  next0: BitMatrix;
  next1: BitMatrix;
  /** Which of them there must be, by index. */
  needsAll: u32;
  needsRecent: u32;
  needsNext: u32;
  /** The index by which new rows are found. */
  main: u32;
  /** Rows of a new relation from here on came in the round under way. */
  newFrom: u32;
  /** Of a relation whose rows stand: what was found, pairs of numbers; else null. */
  found: Relation;
  /** Its rows stay bits (kept-bits.ts). */
  keeps: bool;
  /** Rows that the rules gave. */
  foundRows: u32;
  /** Rows that wait for their turn, and how far the sweep over them is (dense-sweep.ts). */
  waiting: u32;
  driven: u32;
  sweptTo: u32;
}

/** Rows outside the component by one column: values of another one, in one array. */
@unmanaged
export class DenseList {
  relation: Relation;
  /** FORM_… */
  form: u32;
  /** NONE: one list of all. */
  keyColumn: u32;
  /** NONE: only the number of rows is asked for. */
  valueColumn: u32;
  /** Pairs column, cell that a row must have. */
  filterCount: u32;
  filters: u32;
  /** Start of each key's values, and the end of the last one's. */
  starts: u32;
  values: u32;
  valueBytes: u32;
  /** FORM_SCAN: pairs column, register. */
  pairCount: u32;
  pairs: u32;
  /** FORM_IMAGE: bits by the key column, in row 0 without one. */
  matrix: BitMatrix;
}

@unmanaged
export class DenseOp {
  kind: u32;
  /** Number of the operation to go back to. */
  back: u32;
  table: DenseTable;
  list: DenseList;
  /** By which column the table's rows stand. */
  index: u32;
  /** Registers. */
  key: u32;
  output: u32;
  /** Of a comparison; of a test: true when it must not hold. */
  operator: u32;
  isAbsent: bool;
  /** DENSE_PROBE: the relation and its registers, one a word. */
  relation: Relation;
  registers: u32;
  /** DENSE_EMIT_SOLUTION, DENSE_EMIT_COUNT: registers; NONE where no one asks. */
  solutionArity: u32;
  /** DENSE_EMIT_ROW: where the row goes. */
  head: DenseTable;
  headIndex: u32;
  headRow: u32;
  /** DENSE_EMIT_ROW: what is added is the driving row as a whole, not a looked-up one. */
  addsTail: bool;
  /** Cursor. */
  place: u32;
  end: u32;
  bits: u64;
  bits2: u64;
  bits3: u64;
  bits4: u64;
  bits5: u64;
}

@unmanaged
export class DenseVersion {
  operations: u32;
  count: u32;
  /** Pairs register, cell. */
  constantCount: u32;
  constants: u32;
  source: DenseTable;
  /** Leads from a driving row to the rows that it is added to as a whole; null for none. */
  flow: DenseList;
  /** Of a rule outside recursion: tests of the head's columns that wait for finished rows. */
  filterFrom: u32;
  filterCount: u32;
  /** Registers of the head's columns. */
  headRow: u32;
  headColumn: u32;
}

@unmanaged
export class DensePlan {
  arena: Arena;
  tables: u32;
  tableCount: u32;
  versions: u32;
  versionCount: u32;
  /** Addresses of the lists, linked by nothing: one after another. */
  lists: u32;
  listCount: u32;
  /** About how many heads rows would derive one by one. */
  derivations: f64;
}

export function tableAt(dense: DensePlan, index: u32): DenseTable {
  return changetype<DenseTable>((dense.tables + index * (offsetof<DenseTable>() as u32)) as usize);
}

export function listAt(dense: DensePlan, index: u32): DenseList {
  return changetype<DenseList>((dense.lists + index * (offsetof<DenseList>() as u32)) as usize);
}

export function denseVersionAt(dense: DensePlan, index: u32): DenseVersion {
  return changetype<DenseVersion>(
    (dense.versions + index * (offsetof<DenseVersion>() as u32)) as usize,
  );
}

export function operationAt(dense: DenseVersion, index: u32): DenseOp {
  return changetype<DenseOp>((dense.operations + index * (offsetof<DenseOp>() as u32)) as usize);
}

/** The bit of an index in `needs…`. */
export function needBit(index: u32): u32 {
  return 1 << index;
}

/** The matrix of an index: rows by the first column, or by the second. */
export function matrixOf(first: BitMatrix, second: BitMatrix, index: u32): BitMatrix {
  return index == 0 ? first : second;
}
