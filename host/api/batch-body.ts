/**
 * A batch of rows from a request body: JSON as one text, NDJSON line by line as it arrives. Rows go
 * straight into row blocks; no object a row, no line kept. docs/PROTOCOL.md defines both forms.
 */
import { createHash } from 'node:crypto';
import type { TableChange } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { BATCH_ID_BYTES_MAX, BATCH_TABLES_MAX, NAME_BYTES_MAX } from '../limits.ts';
import { JsonReader } from '../value/json.ts';
import { RowBlockWriter } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { compareStrings } from '../value/string-order.ts';
import type { Batch } from '../replica/replica.ts';
import { blockRowBytes } from '../subscriptions/row-bytes.ts';

const NEWLINE = 0x0a;

interface TableRows {
  readonly inserts: RowBlockWriter;
  readonly deletes: RowBlockWriter;
  replace: boolean;
  /**
   * For each deleted row that came after an insert: index of the row, number of inserts before it.
   */
  readonly late: { readonly deleteIndex: number; readonly insertCount: number }[];
}

/** Collects the rows of a batch; `finish` gives what the replica takes. */
export class BatchBuilder {
  readonly #tables = new Map<string, TableRows>();
  #key: string | undefined;

  get byteLength(): number {
    let bytes = 0;
    for (const { inserts, deletes } of this.#tables.values()) {
      bytes += inserts.byteLength + deletes.byteLength;
    }
    return bytes;
  }

  setId(key: string, reader: JsonReader): void {
    if (key === '' || Buffer.byteLength(key) > BATCH_ID_BYTES_MAX) {
      reader.fail(`an id has 1 to ${BATCH_ID_BYTES_MAX} bytes`, 'use for example a UUID');
    }
    this.#key = key;
  }

  /** Rows of `name`; made on first use. */
  table(name: string, reader: JsonReader): TableRows {
    const held = this.#tables.get(name);
    if (held !== undefined) return held;
    if (name === '' || Buffer.byteLength(name) > NAME_BYTES_MAX) {
      reader.fail(`a table has a name of 1 to ${NAME_BYTES_MAX} bytes`, 'use a shorter name');
    }
    if (this.#tables.size === BATCH_TABLES_MAX) {
      reader.fail(`a batch has at most ${BATCH_TABLES_MAX} tables`, 'send several batches');
    }
    const table: TableRows = {
      inserts: new RowBlockWriter(),
      deletes: new RowBlockWriter(),
      replace: false,
      late: [],
    };
    this.#tables.set(name, table);
    return table;
  }

  has(name: string): boolean {
    return this.#tables.has(name);
  }

  finish(source: string): Batch {
    const changes: TableChange[] = [];
    for (const [table, rows] of this.#tables) {
      const deletes = rows.deletes.finish();
      const inserts = withoutLateDeletes(rows.inserts.finish(), deletes, rows.late);
      changes.push({
        table,
        ...(rows.replace ? { replace: true } : {}),
        ...(deletes.count === 0 ? {} : { delete: deletes }),
        ...(inserts.count === 0 ? {} : { insert: inserts }),
      });
    }
    if (this.#key === undefined) return { source, changes };
    return { source, changes, id: { key: this.#key, bodyDigest: digestOf(changes) } };
  }
}

/**
 * Deletes are applied before inserts, but within a batch the last operation on a row counts: an
 * inserted row that is deleted later in the batch is left out of the inserts.
 */
function withoutLateDeletes(
  inserts: RowBlock,
  deletes: RowBlock,
  late: TableRows['late'],
): RowBlock {
  if (late.length === 0) return inserts;
  const insertsBefore = new Map(late.map((entry) => [entry.deleteIndex, entry.insertCount]));
  const doomed = new Map<string, number>();
  let index = 0;
  for (const [key] of blockRowBytes(deletes)) {
    const count = insertsBefore.get(index++);
    if (count !== undefined) doomed.set(key, count);
  }
  const kept: Uint8Array[] = [];
  index = 0;
  for (const [key, bytes] of blockRowBytes(inserts)) {
    if (index++ >= (doomed.get(key) ?? 0)) kept.push(bytes);
  }
  return { arity: inserts.arity, count: kept.length, bytes: Buffer.concat(kept) };
}

/**
 * SHA-256 over tables by name and their rows in the order sent: equal for the JSON and the NDJSON
 * form.
 */
function digestOf(changes: readonly TableChange[]): string {
  const hash = createHash('sha256');
  const addBlock = (block: RowBlock | undefined): void => {
    hash.update(`${block?.arity ?? 0} ${block?.count ?? 0} ${block?.bytes.length ?? 0}\n`);
    if (block !== undefined) hash.update(block.bytes);
  };
  for (const change of [...changes].sort((a, b) => compareStrings(a.table, b.table))) {
    hash.update(`${JSON.stringify(change.table)} ${change.replace === true}\n`);
    addBlock(change.delete);
    addBlock(change.insert);
  }
  return hash.digest('hex');
}

const JSON_REMEDY =
  'send `{"insert": {"<table>": [[…],…]}, "delete": {…}}` or `{"snapshot": {…}}`, with an optional `"id"`';

/**
 * `{"insert": …, "delete": …}` or `{"snapshot": …}`. Throws `invalid_request`, `invalid_row` with
 * position.
 */
export function readJsonBatch(bytes: Uint8Array, builder: BatchBuilder): void {
  const reader = new JsonReader(bytes);
  const seen = new Set<string>();
  reader.readObject((name) => {
    seen.add(name);
    switch (name) {
      case 'id':
        return builder.setId(reader.readString(), reader);
      case 'insert':
      case 'delete':
      case 'snapshot':
        return readTables(reader, builder, name);
      default:
        return reader.fail(`a batch has no member \`${name}\``, JSON_REMEDY);
    }
  });
  reader.expectEnd();
  if (seen.has('snapshot') && (seen.has('insert') || seen.has('delete'))) {
    reader.fail('a batch is a snapshot or has inserts and deletes, not both', JSON_REMEDY);
  }
  if (!seen.has('snapshot') && !seen.has('insert') && !seen.has('delete')) {
    reader.fail('the batch has no rows', JSON_REMEDY);
  }
}

function readTables(
  reader: JsonReader,
  builder: BatchBuilder,
  member: 'insert' | 'delete' | 'snapshot',
): void {
  reader.readObject((name) => {
    const rows = builder.table(name, reader);
    if (member === 'snapshot') rows.replace = true;
    const writer = member === 'delete' ? rows.deletes : rows.inserts;
    try {
      reader.readRows(writer);
    } catch (error) {
      throw inTable(error, name, member);
    }
  });
}

const NDJSON_REMEDY =
  'send an optional first line `{"id": …, "snapshot": ["<table>", …]}`, then lines `["+","<table>",[…]]` or `["-","<table>",[…]]`';

/** Reads an NDJSON body piece by piece. Lines are numbered from 1; empty ones are skipped. */
export class BatchLines {
  readonly #builder: BatchBuilder;
  readonly #lineBytesMax: number;
  #rest: Uint8Array | undefined;
  #line = 0;
  #started = false;
  #isSnapshot = false;

  constructor(builder: BatchBuilder, lineBytesMax: number) {
    this.#builder = builder;
    this.#lineBytesMax = lineBytesMax;
  }

  /** The next piece of the body, cut anywhere. */
  add(piece: Uint8Array): void {
    let start = 0;
    for (;;) {
      const end = piece.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#readLine(this.#joined(piece.subarray(start, end)));
      start = end + 1;
    }
    if (start < piece.length) this.#rest = this.#joined(piece.subarray(start)).slice();
  }

  end(): void {
    if (this.#rest !== undefined) this.#readLine(this.#joined(new Uint8Array(0)));
  }

  #joined(piece: Uint8Array): Uint8Array {
    const rest = this.#rest;
    this.#rest = undefined;
    const joined = rest === undefined ? piece : Buffer.concat([rest, piece]);
    if (joined.length > this.#lineBytesMax) {
      const message = `line ${this.#line + 1} is longer than ${this.#lineBytesMax} bytes`;
      throw new CaucusError('too_large', message, {
        remedy: 'a line is one row; end it with a line feed',
        details: { line: this.#line + 1 },
      });
    }
    return joined;
  }

  #readLine(bytes: Uint8Array): void {
    this.#line++;
    const reader = new JsonReader(bytes, { firstLine: this.#line });
    const kind = reader.peek();
    if (kind === 'end') return;
    if (kind === 'object' && !this.#started) this.#readHeader(reader);
    else if (kind === 'array') this.#readRow(reader);
    else reader.fail('a line is an array', NDJSON_REMEDY);
    this.#started = true;
    reader.expectEnd();
  }

  #readHeader(reader: JsonReader): void {
    reader.readObject((name) => {
      if (name === 'id') {
        this.#builder.setId(reader.readString(), reader);
      } else if (name === 'snapshot') {
        this.#isSnapshot = true;
        reader.readArray(() => {
          this.#builder.table(reader.readString(), reader).replace = true;
        });
      } else {
        reader.fail(`the first line has no member \`${name}\``, NDJSON_REMEDY);
      }
    });
  }

  #readRow(reader: JsonReader): void {
    let sign = '';
    let name = '';
    let items = 0;
    reader.readArray((index) => {
      items = index + 1;
      if (index === 0) {
        sign = reader.readString();
        if (sign !== '+' && sign !== '-') {
          reader.fail(`\`${sign}\` is neither \`+\` nor \`-\``, NDJSON_REMEDY);
        }
      } else if (index === 1) {
        name = reader.readString();
        if (!this.#isSnapshot) return;
        if (!this.#builder.has(name)) {
          reader.fail(`\`${name}\` is not in the snapshot`, 'name it in the first line');
        }
        if (sign === '-') reader.fail('a snapshot has no deletes', 'leave the row out');
      } else if (index === 2) {
        this.#readCells(reader, sign, name);
      } else {
        reader.fail('a line has three items', NDJSON_REMEDY);
      }
    });
    if (items < 3) reader.fail('a line has three items', NDJSON_REMEDY);
  }

  #readCells(reader: JsonReader, sign: string, name: string): void {
    const rows = this.#builder.table(name, reader);
    const writer = sign === '+' ? rows.inserts : rows.deletes;
    if (sign === '-' && rows.inserts.count > 0) {
      rows.late.push({ deleteIndex: rows.deletes.count, insertCount: rows.inserts.count });
    }
    try {
      reader.readRow(writer, writer.count);
    } catch (error) {
      throw inTable(error, name, sign === '+' ? 'insert' : 'delete');
    }
  }
}

function inTable(error: unknown, table: string, member: string): unknown {
  if (!(error instanceof CaucusError)) return error;
  return new CaucusError(error.code, `table \`${table}\`, ${member}: ${error.message}`, {
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    details: { ...error.details, table, member },
    cause: error,
  });
}
