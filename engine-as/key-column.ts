/*
 * What the cells of a column have in common, and words that have their order: a small int as it is;
 * of few values, the place of each among them; else the kind, then the number as a float, or seven
 * bytes of the string behind the beginning that all strings of the column share.
 */
import { shortWord } from './hash';
import { NOT_FOUND } from './id-set';
import {
  addNumber,
  createNumbering,
  destroyNumbering,
  Numbering,
  numberOf,
  sortNumbers,
} from './numbering';
import {
  CLASS_ENCODED,
  CLASS_NUMBER,
  CLASS_STRING,
  classOfCell,
  floatOf,
  intOf,
  isFloat,
  stringBytes,
  stringLength,
} from './value-table';

@unmanaged
export class KeyColumn {
  /** Bits that differ among the words, from the lowest one on. */
  low: u32;
  width: u32;
  /** Bits of a key that it has. */
  taken: u32;
  /** Bytes that all strings begin with, and one of them. */
  prefix: u32;
  text: u32;
  /** COLUMN_… */
  kinds: u32;
  /** Its values in their order, or 0. */
  values: Numbering;
  first: u32;
  /** Words are compared with this one. */
  word: u64;
  differ: u64;
}

/** All cells of the column are small ints. */
const COLUMN_SMALL: u32 = 1;
/** Its words tell all cells apart that differ. */
const COLUMN_EXACT: u32 = 2;
/** Values of a column that are put in order first: some milliseconds of comparisons. */
const VALUES_MAX: u32 = 0x2000;

const SIGN: u32 = 0x80000000;
const CLASS_SHIFT: u64 = 61;
/** Bytes of a string in its word; behind them stands how many there are. */
const WORD_BYTES: u32 = 7;

function isSmall(cell: u32): bool {
  return (cell & 1) != 0;
}

/** `kind`: the cell's class. */
function wordOf(cell: u32, kind: u32, prefix: u32): u64 {
  if (kind < CLASS_NUMBER) return (kind as u64) << CLASS_SHIFT;
  if (kind == CLASS_NUMBER) return numberWord(isFloat(cell) ? floatOf(cell) : (intOf(cell) as f64));
  if (kind == CLASS_ENCODED) return (CLASS_ENCODED as u64) << CLASS_SHIFT;
  const length = stringLength(cell) - prefix;
  const bytes = stringBytes(cell) + prefix;
  const word = length >= 8 ? load<u64>(bytes) : shortWord(bytes, length);
  const text = (bswap<u64>(word) >> 8) << 4;
  return ((CLASS_STRING as u64) << CLASS_SHIFT) | text | (min(length, WORD_BYTES + 1) as u64);
}

function numberWord(value: f64): u64 {
  const bits = reinterpret<u64>(value == 0 ? 0 : value);
  const ordered = bits >> 63 != 0 ? ~bits : bits | ((1 as u64) << 63);
  return ((CLASS_NUMBER as u64) << CLASS_SHIFT) | (ordered >> 3);
}

/** No two cells that differ have the word of this one. */
function isExact(cell: u32, kind: u32, prefix: u32): bool {
  if (kind == CLASS_STRING) return stringLength(cell) - prefix <= WORD_BYTES;
  return kind < CLASS_NUMBER || isSmall(cell);
}

/** The bytes that two strings begin with alike, at most `most`. */
function sharedBytes(a: u32, b: u32, most: u32): u32 {
  const end = min(most, min(stringLength(a), stringLength(b)));
  const x = stringBytes(a);
  const y = stringBytes(b);
  let shared: u32 = 0;
  while (shared < end && load<u8>(x + shared) == load<u8>(y + shared)) shared += 1;
  return shared;
}

/** A look at a column begins with one of its cells. */
export function beginColumn(column: KeyColumn, cell: u32): void {
  column.first = cell;
  column.differ = 0;
  column.prefix = 0xffffffff;
  column.text = 0;
  column.kinds = COLUMN_SMALL | COLUMN_EXACT;
}

export function lookAtCell(column: KeyColumn, cell: u32): void {
  column.differ |= (cell ^ column.first) as u64;
  if (isSmall(cell)) return;
  column.kinds = COLUMN_EXACT;
  if (classOfCell(cell) != CLASS_STRING) return;
  if (column.text == 0) column.text = cell;
  column.prefix = sharedBytes(column.text, cell, column.prefix);
}

export function isSmallColumn(column: KeyColumn): bool {
  return (column.kinds & COLUMN_SMALL) != 0;
}

/** Begins to collect the values of a column; without memory it goes without. */
export function beginValues(column: KeyColumn): void {
  column.values = createNumbering();
}

/** False as soon as a column has too many values, of so many rows, to be worth it. */
export function collectValue(column: KeyColumn, cell: u32, rows: u32): bool {
  const values = column.values;
  if (changetype<usize>(values) == 0) return false;
  const isThere = addNumber(values, cell) != NOT_FOUND;
  if (isThere && values.length <= min(VALUES_MAX, rows >> 2)) return true;
  dropValues(column);
  return false;
}

export function dropValues(column: KeyColumn): void {
  destroyNumbering(column.values);
  column.values = changetype<Numbering>(0);
}

/** Ends the look at a column whose words are its cells, or places among its values. */
export function endColumn(column: KeyColumn): void {
  const values = column.values;
  if (changetype<usize>(values) != 0) column.differ = topBits(values.length - 1);
  noteDiffer(column);
}

/** All bits up to the highest one of a number. */
function topBits(number: u32): u64 {
  return number == 0 ? 0 : ((1 as u64) << ((32 - clz(number)) as u64)) - 1;
}

/** Puts the values of a column in order; false where they were not all collected. */
export function orderValues(column: KeyColumn): bool {
  if (changetype<usize>(column.values) == 0) return false;
  if (sortNumbers(column.values)) return true;
  dropValues(column);
  return false;
}

/** Second look, at the words of the cells. */
export function beginWords(column: KeyColumn): void {
  column.differ = 0;
  column.word = columnWord(column.first, column);
}

export function lookAtWord(column: KeyColumn, cell: u32): void {
  column.differ |= columnWord(cell, column) ^ column.word;
  if (column.kinds != 0 && !isExact(cell, classOfCell(cell), column.prefix)) column.kinds = 0;
}

/** Above and below the bits that differ all words are alike. */
function noteDiffer(column: KeyColumn): void {
  const differ = column.differ;
  column.low = differ == 0 ? 0 : (ctz(differ) as u32);
  column.width = differ == 0 ? 0 : 64 - (clz(differ) as u32) - column.low;
}

/** A column has room for so many bits; true when they tell all its cells apart. */
export function takeBits(column: KeyColumn, room: u32): bool {
  column.taken = min(column.width, room);
  column.low += column.width - column.taken;
  return column.taken == column.width && (column.kinds & COLUMN_EXACT) != 0;
}

/** Small ints are words themselves, in their unsigned order. */
export function columnWord(cell: u32, column: KeyColumn): u64 {
  if ((column.kinds & COLUMN_SMALL) != 0) return (cell ^ SIGN) as u64;
  if (changetype<usize>(column.values) != 0) return numberOf(column.values, cell) as u64;
  return wordOf(cell, classOfCell(cell), column.prefix);
}
