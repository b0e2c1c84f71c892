import { isOpenType } from '../value/column-type.ts';
import type { ColumnType } from '../value/column-type.ts';
import { kindOf } from '../value/value.ts';
import type { Value, ValueKind } from '../value/value.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { printValue } from './print-value.ts';
import type { Span } from './source-text.ts';
import { isNullable } from './stratified.ts';
import type { Column } from './stratified.ts';

/** A constant in a declared column. */
export function checkConstant(
  diagnostics: DiagnosticList,
  value: Value,
  span: Span,
  table: string,
  column: Column | undefined,
): void {
  if (column === undefined) return;
  const of = `column \`${column.name}\` of \`${table}\``;
  if (value === null) {
    if (isNullable(column)) return;
    const note =
      column.key === true
        ? 'a column of the key has a value in each row'
        : 'declare it as `nullable` where its rows may lack a value';
    return diagnostics.error('type-mismatch', span, `${of} is never null`, note);
  }
  const type = kindOf(value);
  if (type === column.type || isOpenType(column.type)) return;
  const whole = type === 'int' && column.type === 'float';
  diagnostics.error(
    'type-mismatch',
    span,
    `${of} holds ${PLURALS[column.type]}, \`${printValue(value).slice(0, 60)}\` is ` +
      ARTICLES[type],
    whole
      ? `write \`${printValue(value)}.0\``
      : 'write a value of that type, or change the declaration',
  );
}

const PLURALS: Readonly<Record<ColumnType, string>> = {
  string: 'strings',
  int: 'ints',
  float: 'floats',
  bool: 'bools',
  datetime: 'date-times',
  ip: 'addresses',
  network: 'networks',
  list: 'lists',
  document: 'documents',
  json: 'any values',
  any: 'any values',
};
const ARTICLES: Readonly<Record<ValueKind, string>> = {
  null: 'null',
  string: 'a string',
  int: 'an int',
  float: 'a float',
  bool: 'a bool',
  datetime: 'a date-time',
  ip: 'an address',
  network: 'a network',
  list: 'a list',
  document: 'a document',
};
