/**
 * Records of a file → rows of a block: where values go (by header, key or position) and what they
 * become (by declared type, else by their form). Nothing is thrown for a bad record: problems are
 * gathered with their places, and a table with any is not published.
 *
 *   written   column             value
 *   text      string             as it is
 *   text      any, undeclared    int if `-?(0|[1-9][0-9]*)` (not `-0`) within 64 bits, else string
 *   text      int, float, bool   that, or a problem; an empty CSV field is null
 *   text      ip, network, datetime, list, document, json   the value it stands for, or a problem
 *   JSON      any, undeclared    its own type; a number without `.` or `e` is an int
 *   JSON      float              an int too, if the float is exactly it
 *   JSON      ip, network, datetime   a string that is the text of one
 */
import { RowBlockWriter } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { formatValue, INT_MAX, INT_MIN, isWellFormed, kindOf } from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';
import { isOpenType, isTextType, TEXT_FORMS, valueOfText } from '../../host/value/column-type.ts';
import type { ColumnType } from '../../host/value/column-type.ts';
import type { DriverColumn, SourceProblem } from '../driver.ts';
import { SourceError } from '../driver.ts';
import { FILE_PROBLEMS_MAX } from '../limits.ts';

/** `auto`: see `headerIsFirst`. */
export type HeaderOption = boolean | 'auto';

export interface TableText {
  readonly file: string;
  readonly table: string;
  /** Columns of the policy's `table` declaration, where there is one. */
  readonly declared: readonly DriverColumn[] | undefined;
  readonly header: HeaderOption;
  /** What `auto` means where nothing is declared: CSV files have a header, TSV files have none. */
  readonly headerUsual: boolean;
  /** CSV has no other way to say that a number is not known. */
  readonly emptyIsNull: boolean;
}

/** 1-based; the column of a field is found only where it is needed. */
export interface RecordPlace {
  readonly line: number;
  readonly columnOf: (field: number) => number;
}

export interface TableRead {
  readonly rows: RowBlock;
  /** Declared, or named by the header or by keys; absent: only the number is known. */
  readonly columns: readonly DriverColumn[] | undefined;
}

const INT_FORM = /^-?(?:0|[1-9][0-9]{0,18})$/;
const FLOAT_FORM = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const QUOTED_UNITS_MAX = 40;
const MISFIT: unique symbol = Symbol('misfit');

export class TypedRows {
  readonly #text: TableText;
  readonly #writer: RowBlockWriter;
  readonly #problems: SourceProblem[] = [];
  #problemCount = 0;
  #columns: readonly DriverColumn[] | undefined;
  /** Column of the table → field of the record. Absent: by position. */
  #fieldOf: readonly number[] | undefined;
  #headerDone = false;
  #row: Value[] = [];

  constructor(text: TableText) {
    this.#text = text;
    this.#columns = text.declared;
    this.#writer = new RowBlockWriter(text.declared?.length ?? -1);
  }

  /** A record of text fields; `null` is an explicit null. The first may be the header. */
  text(fields: readonly (string | null)[], place: RecordPlace): void {
    if (!this.#headerDone) {
      this.#headerDone = true;
      if (headerIsFirst(this.#text, fields)) return this.#header(fields, place);
    }
    const width = this.#begin(fields.length, place);
    if (width < 0) return;
    for (let column = 0; column < width; column++) {
      const field = this.#fieldOf?.[column] ?? column;
      const raw = fields[field] as string | null;
      const value = this.#fromText(raw, this.#typeOf(column));
      if (value === MISFIT) return this.#misfit(column, `\`${clip(raw ?? '')}\``, place, field);
      this.#row[column] = value;
    }
    this.#end(place);
  }

  /** A JSON array of scalars. */
  array(values: readonly Value[], place: RecordPlace): void {
    const width = this.#begin(values.length, place);
    if (width >= 0) this.#json(values, width, place, (column) => column);
  }

  /** A JSON object of scalars: by key. A key that is missing is null. */
  object(keys: readonly string[], values: readonly Value[], place: RecordPlace): void {
    this.#columns ??= keys.map((name) => ({ name, type: 'any' }));
    const columns = this.#columns;
    if (this.#text.declared === undefined) {
      const extra = keys.findIndex((key) => !columns.some(({ name }) => name === key));
      if (extra >= 0) {
        return this.problem(
          `the first object has no key \`${clip(keys[extra] as string)}\``,
          place,
          extra,
          {
            remedy: `give every object the same keys, or declare \`table ${this.#text.table}(…)\``,
          },
        );
      }
    }
    const fields = columns.map(({ name }) => keys.lastIndexOf(name));
    const row = fields.map((field) => (field < 0 ? null : (values[field] as Value)));
    this.#json(row, columns.length, place, (column) => Math.max(fields[column] as number, 0));
  }

  problem(
    message: string,
    place: RecordPlace | { readonly line: number; readonly column: number },
    field = 0,
    more: { readonly remedy?: string } = {},
  ): void {
    this.#problemCount++;
    if (this.#problems.length >= FILE_PROBLEMS_MAX) return;
    this.#problems.push({
      message,
      table: this.#text.table,
      file: this.#text.file,
      line: place.line,
      column: 'column' in place ? place.column : place.columnOf(field),
      ...more,
    });
  }

  /** Throws `SourceError` with all problems, if there were any. */
  finish(): TableRead {
    if (this.#problemCount > 0) {
      const hidden = this.#problemCount - this.#problems.length;
      const { table, file } = this.#text;
      const rest = { message: `${hidden} more problems in \`${file}\``, table, file };
      throw new SourceError(hidden > 0 ? [...this.#problems, rest] : this.#problems);
    }
    return { rows: this.#writer.finish(), columns: this.#columns };
  }

  /** Width of the row, or −1 after a problem: another number of fields than the records before. */
  #begin(fieldCount: number, place: RecordPlace): number {
    const expected = this.#fieldOf === undefined ? this.#writer.arity : this.#headerWidth;
    if (expected < 0 || fieldCount === expected) {
      return this.#fieldOf === undefined ? fieldCount : this.#fieldOf.length;
    }
    const found = `${fieldCount} ${fieldCount === 1 ? 'field' : 'fields'}`;
    const needed = this.#fieldOf === undefined ? `\`${this.#text.table}\`` : 'the header';
    this.problem(
      `${needed} has ${expected}, this record has ${found}`,
      place,
      Math.min(fieldCount, expected),
      {
        remedy:
          'give every record the same number of fields; in CSV, quote a field that holds a comma',
      },
    );
    return -1;
  }

  #headerWidth = -1;

  #header(fields: readonly (string | null)[], place: RecordPlace): void {
    const names = fields.map((field) => field ?? '');
    const repeated = names.findIndex((name, index) => names.indexOf(name) < index);
    if (repeated >= 0) {
      this.problem(
        `the header names \`${clip(names[repeated] as string)}\` twice`,
        place,
        repeated,
        {
          remedy: 'rename one of the columns, or set `header: false` if the first record is a row',
        },
      );
    }
    this.#headerWidth = names.length;
    const { declared } = this.#text;
    if (declared === undefined) {
      this.#columns = names.map((name) => ({ name, type: 'any' }));
      this.#fieldOf = names.map((_name, index) => index);
      return;
    }
    for (const { name } of declared) {
      if (names.includes(name)) continue;
      this.problem(
        `the header has no column \`${name}\`, which \`${this.#text.table}\` declares`,
        place,
        0,
        {
          remedy: `add the column; the header has ${names.map((other) => `\`${clip(other)}\``).join(', ')}`,
        },
      );
    }
    this.#fieldOf = declared.map(({ name }) => Math.max(names.indexOf(name), 0));
  }

  #json(
    values: readonly Value[],
    width: number,
    place: RecordPlace,
    fieldOf: (column: number) => number,
  ): void {
    for (let column = 0; column < width; column++) {
      const given = values[column] as Value;
      const value = typedJson(given, this.#typeOf(column));
      if (value === MISFIT)
        return this.#misfit(column, clip(formatValue(given)), place, fieldOf(column));
      this.#row[column] = value;
    }
    this.#row.length = width;
    this.#end(place);
  }

  #end(place: RecordPlace): void {
    const bad = this.#row.findIndex((value) => typeof value === 'string' && !isWellFormed(value));
    if (bad >= 0) {
      return this.problem('a string holds half of a surrogate pair', place, bad, {
        remedy: 'write the character itself, or both halves of its escape',
      });
    }
    this.#writer.appendRow(this.#row);
  }

  #typeOf(column: number): ColumnType {
    return this.#columns?.[column]?.type ?? 'any';
  }

  #misfit(column: number, shown: string, place: RecordPlace, field: number): void {
    const { name, type } = (this.#columns as readonly DriverColumn[])[column] as DriverColumn;
    const { table } = this.#text;
    this.problem(
      `${shown} is no ${type}; column \`${name}\` of \`${table}\` is declared ${type}`,
      place,
      field,
      {
        remedy: REMEDIES[type],
      },
    );
  }

  #fromText(raw: string | null, type: ColumnType): Value | typeof MISFIT {
    if (raw === null) return null;
    if (type === 'string') return raw;
    if (type === 'any') return intOf(raw) ?? raw;
    if (raw === '' && this.#text.emptyIsNull) return null;
    if (type === 'int') return intOf(raw) ?? MISFIT;
    if (type === 'bool') return raw === 'true' ? true : raw === 'false' ? false : MISFIT;
    if (isTextType(type)) {
      const value = valueOfText(raw, type);
      return value === undefined ? MISFIT : value;
    }
    const float = FLOAT_FORM.test(raw) ? Number(raw) : Number.NaN;
    return Number.isFinite(float) ? float : MISFIT;
  }
}

const REMEDIES: Readonly<Record<ColumnType, string>> = {
  string: 'write it in quotes, or change the declaration',
  int: 'write decimal digits without leading zeros, within 64 bits, or change the declaration',
  float: 'write a finite decimal number such as `1.5` or `1e-3`, or change the declaration',
  bool: 'write `true` or `false`, or change the declaration',
  ...TEXT_FORMS,
  any: 'use a value of another type',
};

/**
 * Whether the first record names the columns. Said by the option; else, with a declaration, whether
 * it holds any of the declared names (the ones that are missing are then problems, so that a
 * misspelt header never becomes a row); else what is usual for the format.
 */
function headerIsFirst(text: TableText, first: readonly (string | null)[]): boolean {
  if (text.header !== 'auto') return text.header;
  if (text.declared === undefined) return text.headerUsual;
  return text.declared.some(({ name }) => first.includes(name));
}

/** The text of an int of the language within 64 bits, else undefined. */
export function intOf(text: string): bigint | undefined {
  const first = text.charCodeAt(0);
  if (first > 57 || !INT_FORM.test(text) || text === '-0') return undefined;
  const value = BigInt(text);
  return value < INT_MIN || value > INT_MAX ? undefined : value;
}

function typedJson(value: Value, type: ColumnType): Value | typeof MISFIT {
  if (value === null || isOpenType(type)) return value;
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : MISFIT;
    case 'int':
      return typeof value === 'bigint' ? value : MISFIT;
    case 'bool':
      return typeof value === 'boolean' ? value : MISFIT;
    case 'datetime':
    case 'ip':
    case 'network':
      return typeof value === 'string' ? (valueOfText(value, type) ?? MISFIT) : MISFIT;
    case 'list':
    case 'document':
      return kindOf(value) === type ? value : MISFIT;
    case 'float':
      if (typeof value === 'number') return value;
      return typeof value === 'bigint' && BigInt(Number(value)) === value ? Number(value) : MISFIT;
  }
}

function clip(text: string): string {
  return text.length > QUOTED_UNITS_MAX ? `${text.slice(0, QUOTED_UNITS_MAX)}…` : text;
}
