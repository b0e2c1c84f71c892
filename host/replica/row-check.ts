/**
 * Whether rows fit their table, before they go to the log and again when the fold reads them: the
 * second check finds only what a change of the table in between made wrong.
 */
import { isNullable } from '../compiler/stratified.ts';
import type { Column } from '../compiler/stratified.ts';
import { isOpenType, TEXT_FORMS, valueOfText } from '../value/column-type.ts';
import type { ColumnType } from '../value/column-type.ts';
import {
  TAG_DATETIME,
  TAG_DOCUMENT,
  TAG_FALSE,
  TAG_FLOAT,
  TAG_INT32,
  TAG_INT64,
  TAG_IP,
  TAG_LIST,
  TAG_NETWORK,
  TAG_NULL,
  TAG_SHORT_STRING,
  TAG_STRING,
  TAG_TRUE,
  valueBytes,
} from '../value/value-tags.ts';
import { RowBlockWriter, blockRows, decodeRows, verifyBlock } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { formatValue } from '../value/value.ts';
import type { Row } from '../value/value.ts';
import { CaucusError } from '../errors.ts';
import { ARITY_MAX } from '../limits.ts';

/** What is known of a table. Without `columns` any value fits. */
export interface TableShape {
  readonly arity: number;
  readonly columns?: readonly Column[];
}

export interface RowMisfit {
  readonly rowIndex: number;
  readonly column: number;
  readonly expected: ColumnType;
  /** The value is null and the column never is. */
  readonly isNull: boolean;
}

/** Throws `invalid_row` naming table, row and column. Verifies the block's bytes as well. */
export function checkRows(table: string, shape: TableShape, block: RowBlock): void {
  if (block.arity !== shape.arity) throw wrongArity(table, shape.arity, block);
  if (block.arity > ARITY_MAX) throw tooWide(table, block.arity);
  verifyBlock(block);
  const misfit = findMisfit(shape, block);
  if (misfit !== undefined) throw wrongType(table, shape, block, misfit);
}

/** As `checkRows`, for a block whose bytes are known to be whole: decoded, or of our encoder. */
export function checkDecodedRows(table: string, shape: TableShape, block: RowBlock): void {
  const fits = block.arity === shape.arity && block.arity <= ARITY_MAX;
  if (fits && findMisfit(shape, block) === undefined) return;
  checkRows(table, shape, block);
}

/**
 * The rows with the values that strings in columns of addresses, networks and date-times stand for:
 * JSON has no other way to write them. A string that stands for none stays, and is found by
 * `checkRows`.
 */
export function readTexts(shape: TableShape, block: RowBlock): RowBlock {
  const { columns } = shape;
  if (columns === undefined || block.arity !== shape.arity) return block;
  if (!columns.some((column) => isText(column.type))) return block;
  verifyBlock(block);
  if (findMisfit(shape, block) === undefined) return block;
  const writer = new RowBlockWriter(block.arity);
  for (const row of decodeRows(block)) {
    writer.appendRow(
      row.map((value, index) => {
        const type = columns[index]?.type ?? 'any';
        if (typeof value !== 'string' || !isText(type)) return value;
        return valueOfText(value, type) ?? value;
      }),
    );
  }
  return writer.finish();
}

function isText(type: ColumnType): type is 'datetime' | 'ip' | 'network' {
  return type === 'datetime' || type === 'ip' || type === 'network';
}

function tooWide(table: string, arity: number): CaucusError {
  return new CaucusError('invalid_row', `rows of \`${table}\` have ${arity} values`, {
    remedy: `a table has at most ${ARITY_MAX} columns: split the rows over several tables`,
    details: { table, rowIndex: 0, arityMax: ARITY_MAX },
  });
}

/** The first value that is not of its column. The block must be valid. */
export function findMisfit(shape: TableShape, block: RowBlock): RowMisfit | undefined {
  const { columns } = shape;
  const takesAll = (column: Column): boolean => isOpenType(column.type) && isNullable(column);
  if (columns === undefined || columns.every(takesAll)) return undefined;
  const types = columns.map((column) => column.type);
  const nullable = columns.map(isNullable);
  const { bytes } = block;
  let offset = 0;
  for (let rowIndex = 0; rowIndex < block.count; rowIndex++) {
    for (let column = 0; column < block.arity; column++) {
      const tag = bytes[offset] as number;
      const expected = types[column] ?? 'any';
      const isNull = tag === TAG_NULL;
      if (isNull ? nullable[column] === false : !tagFits(tag, expected)) {
        return { rowIndex, column, expected, isNull };
      }
      offset += valueBytes(bytes, offset);
    }
  }
  return undefined;
}

function tagFits(tag: number, type: ColumnType): boolean {
  switch (type) {
    case 'any':
    case 'json':
      return true;
    case 'datetime':
      return tag === TAG_DATETIME;
    case 'ip':
      return tag === TAG_IP;
    case 'network':
      return tag === TAG_NETWORK;
    case 'list':
      return tag === TAG_LIST;
    case 'document':
      return tag === TAG_DOCUMENT;
    case 'string':
      return tag === TAG_STRING || tag === TAG_SHORT_STRING;
    case 'int':
      return tag === TAG_INT32 || tag === TAG_INT64;
    case 'float':
      return tag === TAG_FLOAT;
    case 'bool':
      return tag === TAG_TRUE || tag === TAG_FALSE;
  }
}

function wrongArity(table: string, arity: number, block: RowBlock): CaucusError {
  return new CaucusError(
    'invalid_row',
    `table \`${table}\` has ${arity} columns, the rows have ${block.arity}`,
    {
      remedy: `send rows with ${arity} values`,
      details: { table, rowIndex: 0, arity, columns: block.arity },
    },
  );
}

function wrongType(
  table: string,
  shape: TableShape,
  block: RowBlock,
  misfit: RowMisfit,
): CaucusError {
  const value = rowAt(block, misfit.rowIndex)?.[misfit.column] ?? null;
  const name = shape.columns?.[misfit.column]?.name ?? String(misfit.column);
  const shown = typeof value === 'string' ? formatValue(value.slice(0, 80)) : formatValue(value);
  return new CaucusError(
    'invalid_row',
    `row ${misfit.rowIndex} of \`${table}\`: column \`${name}\` is ` +
      (misfit.isNull ? 'never null' : `declared ${misfit.expected}, not ${shown}`),
    {
      remedy: misfit.isNull
        ? nullRemedy(shape.columns?.[misfit.column])
        : remedyOf(misfit.expected),
      details: { table, rowIndex: misfit.rowIndex, columnIndex: misfit.column, columnName: name },
    },
  );
}

/** Not all rows are decoded for one. */
function rowAt(block: RowBlock, wanted: number): Row | undefined {
  let index = 0;
  for (const row of blockRows(block)) if (index++ === wanted) return row;
  return undefined;
}

function nullRemedy(column: Column | undefined): string {
  return column?.key === true
    ? 'send a value: a column of the key has one in each row'
    : 'send a value, or declare the column as `nullable`';
}

function remedyOf(type: ColumnType): string {
  if (type === 'float')
    return 'write the number with a point, such as `2.0`, or change the declaration';
  if (isText(type)) return `${TEXT_FORMS[type]}, or change the declaration`;
  return 'send a value of that type, or change the declaration';
}
