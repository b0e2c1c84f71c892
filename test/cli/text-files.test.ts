import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { readFactsFile } from '../../host/cli/facts-file.ts';
import type { TableShape } from '../../host/cli/field-reader.ts';
import { readLines } from '../../host/cli/line-reader.ts';
import { TextFileWriter } from '../../host/cli/row-text.ts';
import { readUpdatesFile } from '../../host/cli/updates-file.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { ColumnType } from '../../host/value/column-type.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'caucus-text-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function shape(types: readonly (ColumnType | undefined)[]): TableShape {
  if (types.every((type) => type === undefined)) return { name: 't', arity: types.length };
  const columns = types.map((type, index) => ({ name: `c${index + 1}`, type: type ?? 'any' }));
  return { name: 't', arity: types.length, columns };
}

async function facts(
  content: string | Buffer,
  types: readonly (ColumnType | undefined)[],
): Promise<{ rows: Row[]; problems: string[] }> {
  return inFolder(async (folder) => {
    const file = path.join(folder, 't.facts');
    await writeFile(file, content);
    const read = await readFactsFile(file, shape(types));
    const problems = read.problems.map(
      (problem) =>
        `${problem.severity} ${problem.line}:${problem.column} ${problem.code}: ${problem.message}`,
    );
    return { rows: problems.length > 0 ? [] : decodeRows(read.content), problems };
  });
}

const ANY = undefined;
const READ: readonly [
  string,
  string | Buffer,
  readonly (ColumnType | undefined)[],
  readonly Row[],
][] = [
  [
    'LF ends a line',
    'a\tb\nc\td\n',
    [ANY, ANY],
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  ],
  [
    'CRLF ends a line',
    'a\tb\r\nc\td\r\n',
    [ANY, ANY],
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  ],
  ['the last line may lack its end', 'a\nb', [ANY], [['a'], ['b']]],
  ['a carriage return inside a field is its own', 'a\rb\n', [ANY], [['a\rb']]],
  ['an empty file has no rows', '', [ANY], []],
  ['an empty line of one column is the empty string', '\n\n', [ANY], [[''], ['']]],
  ['empty fields are empty strings', '\t\n', [ANY, ANY], [['', '']]],
  ['an empty line of no column is the row', '\n', [], [[]]],
  ['escapes', 'a\\tb\\nc\\rd\\\\e\n', [ANY], [['a\tb\nc\rd\\e']]],
  ['an escaped backslash before N is text', '\\\\N\n', [ANY], [['\\N']]],
  [
    'null',
    '\\N\t\\N\t\\N\t\\N\t\\N\n',
    ['string', 'int', 'float', 'bool', ANY],
    [[null, null, null, null, null]],
  ],
  ['ints without a declaration', '0\n1\n-1\n42\n', [ANY], [[0n], [1n], [-1n], [42n]]],
  [
    'the largest ints',
    '9223372036854775807\n-9223372036854775808\n',
    [ANY],
    [[2n ** 63n - 1n], [-(2n ** 63n)]],
  ],
  [
    '32 bits and one more',
    '2147483647\n2147483648\n-2147483648\n-2147483649\n',
    [ANY],
    [[2147483647n], [2147483648n], [-2147483648n], [-2147483649n]],
  ],
  [
    '15, 16 and 17 digits',
    '999999999999999\n9999999999999999\n12345678901234567\n',
    [ANY],
    [[999999999999999n], [9999999999999999n], [12345678901234567n]],
  ],
  [
    'beyond 64 bits is a string',
    '9223372036854775808\n-9223372036854775809\n',
    [ANY],
    [['9223372036854775808'], ['-9223372036854775809']],
  ],
  [
    'what is no int is a string',
    '-0\n007\n+1\n1.0\n1e3\n-\n 1\n1 \n--1\ntrue\nnull\n',
    [ANY],
    [['-0'], ['007'], ['+1'], ['1.0'], ['1e3'], ['-'], [' 1'], ['1 '], ['--1'], ['true'], ['null']],
  ],
  ['any reads as no declaration does', '7\nx\n', ['any'], [[7n], ['x']]],
  ['a declared string stays one', '7\ntrue\n-0\n', ['string'], [['7'], ['true'], ['-0']]],
  [
    'a declared float',
    '1\n1.5\n-2e-3\n1E5\n-0\n-0.0\n',
    ['float'],
    [[1], [1.5], [-0.002], [100000], [0], [0]],
  ],
  ['a declared bool', 'true\nfalse\n', ['bool'], [[true], [false]]],
  ['text beyond ASCII', 'é\t€\t𝄞\n', [ANY, ANY, ANY], [['é', '€', '𝄞']]],
  ['quotes and commas are text', '"a",b\n', [ANY], [['"a",b']]],
  ['rows repeat', 'a\na\n', [ANY], [['a'], ['a']]],
];
for (const [name, content, types, rows] of READ) {
  test(`facts: ${name}`, async () => {
    assert.deepEqual(await facts(content, types), { rows: [...rows], problems: [] });
  });
}

const REFUSED: readonly [
  string,
  string | Buffer,
  readonly (ColumnType | undefined)[],
  readonly string[],
][] = [
  ['an unknown escape', 'a\tb\\x\n', [ANY, ANY], ['error 1:4 unknown-escape: `\\x` is no escape']],
  [
    'an escape of a long character',
    'é\\€\n',
    [ANY],
    ['error 1:2 unknown-escape: `\\€` is no escape'],
  ],
  ['null inside a string', 'a\\N\n', [ANY], ['error 1:2 unknown-escape: `\\N` is no escape']],
  [
    'a backslash at the end of a field',
    'a\\\tb\n',
    [ANY, ANY],
    ['error 1:2 unknown-escape: a `\\` at the end of a field escapes nothing'],
  ],
  [
    'too few fields',
    'a\tb\nc\n',
    [ANY, ANY],
    ['error 2:2 wrong-field-count: `t` has 2 fields, this line has 1'],
  ],
  [
    'too many fields',
    'a\tb\tc\td\n',
    [ANY, ANY],
    ['error 1:5 wrong-field-count: `t` has 2 fields, this line has 4'],
  ],
  [
    'an empty line of two columns',
    'a\tb\n\n',
    [ANY, ANY],
    ['error 2:1 wrong-field-count: `t` has 2 fields, this line has 1'],
  ],
  [
    'a field in a table without columns',
    'x\n',
    [],
    ['error 1:1 wrong-field-count: `t` has 0 fields, this line has 1'],
  ],
  [
    'no int',
    'a\t1\nb\t1.0\n',
    [ANY, 'int'],
    ['error 2:3 invalid-field: `1.0` is no int; column 2 (`c2`) of `t` is declared int'],
  ],
  [
    'an int beyond 64 bits',
    '9223372036854775808\n',
    ['int'],
    [
      'error 1:1 invalid-field: `9223372036854775808` is no int; column 1 (`c1`) of `t` is declared int',
    ],
  ],
  [
    'an empty int',
    'é\t\n',
    [ANY, 'int'],
    ['error 1:3 invalid-field: `` is no int; column 2 (`c2`) of `t` is declared int'],
  ],
  [
    'minus zero as an int',
    '-0\n',
    ['int'],
    ['error 1:1 invalid-field: `-0` is no int; column 1 (`c1`) of `t` is declared int'],
  ],
  [
    'no float',
    'NaN\n',
    ['float'],
    ['error 1:1 invalid-field: `NaN` is no float; column 1 (`c1`) of `t` is declared float'],
  ],
  [
    'a float that is not finite',
    '1e999\n',
    ['float'],
    ['error 1:1 invalid-field: `1e999` is no float; column 1 (`c1`) of `t` is declared float'],
  ],
  [
    'no bool',
    'True\n',
    ['bool'],
    ['error 1:1 invalid-field: `True` is no bool; column 1 (`c1`) of `t` is declared bool'],
  ],
  [
    'bytes that are no UTF-8',
    Buffer.from([0x61, 0x0a, 0xc3, 0xa9, 0xff, 0x62, 0x0a]),
    [ANY],
    ['error 2:2 invalid-utf8: byte 0xff is no valid UTF-8 here'],
  ],
  [
    'a surrogate as UTF-8',
    Buffer.from([0xed, 0xa0, 0x80, 0x0a]),
    [ANY],
    ['error 1:1 invalid-utf8: byte 0xed is no valid UTF-8 here'],
  ],
  [
    'a character cut by the end',
    Buffer.from([0x61, 0xc3]),
    [ANY],
    ['error 1:2 invalid-utf8: byte 0xc3 is no valid UTF-8 here'],
  ],
  [
    'all that is wrong',
    'x\ny\n1\nz',
    ['int'],
    [1, 2, 4].map(
      (line) =>
        `error ${line}:1 invalid-field: \`${'xy z'[line - 1]}\` is no int; column 1 (\`c1\`) of \`t\` is declared int`,
    ),
  ],
  [
    'a byte order mark is doubtful',
    '\ufeffa\n',
    [ANY],
    [
      'warning 1:1 byte-order-mark: the file begins with a byte order mark, which is read as part of the first field',
    ],
  ],
];
for (const [name, content, types, problems] of REFUSED) {
  test(`facts refused: ${name}`, async () => {
    assert.deepEqual((await facts(content, types)).problems, problems);
  });
}

test('facts: only the first problems of a file are listed', async () => {
  const { problems } = await facts('x\n'.repeat(1000), ['int']);
  assert.equal(problems.length, 20);
});

test('lines: chunks of any size give the same lines', async () => {
  const content = 'ab\r\n\né€𝄞\n\r\nlast\r';
  const lines = await inFolder(async (folder) => {
    const file = path.join(folder, 'x');
    await writeFile(file, content);
    const all: string[][] = [];
    for (const chunkBytes of [1, 2, 3, 7, 1000]) {
      const seen: string[] = [];
      await readLines(file, {
        chunkBytes,
        onLine: (bytes, start, end, line) =>
          seen.push(`${line} ${bytes.toString('utf8', start, end)}`),
        onBadUtf8: () => assert.fail('the file is UTF-8'),
      });
      all.push(seen);
    }
    return all;
  });
  for (const seen of lines) assert.deepEqual(seen, ['1 ab', '2 ', '3 é€𝄞', '4 ', '5 last\r']);
});

/** Values that an undeclared column reads back: its strings do not look like ints. */
function randomValue(random: Random, type: ColumnType): Value {
  if (random.int(10) === 0) return null;
  switch (type) {
    case 'int':
      return randomInt(random);
    case 'float':
      return randomFloat(random);
    case 'bool':
      return random.int(2) === 0;
    case 'any':
      return random.int(2) === 0 ? randomInt(random) : `s${randomText(random)}`;
    default:
      return randomText(random);
  }
}

function randomInt(random: Random): bigint {
  const bits = random.int(64);
  const high = BigInt(random.int(2 ** 31)) * 2n ** 32n + BigInt(random.int(2 ** 31)) * 2n;
  const value = BigInt.asIntN(64, high) >> BigInt(63 - bits);
  return random.int(2) === 0 ? value : BigInt.asIntN(64, -value);
}

function randomFloat(random: Random): number {
  const bytes = new DataView(new ArrayBuffer(8));
  for (;;) {
    for (let i = 0; i < 8; i++) bytes.setUint8(i, random.int(256));
    const value = bytes.getFloat64(0);
    if (Number.isFinite(value)) return random.int(4) === 0 ? Math.trunc(value % 1e6) + 0 : value;
  }
}

const PIECES = [
  'a',
  '\t',
  '\n',
  '\r',
  '\\',
  'N',
  '\\N',
  '0',
  '7',
  '-',
  '"',
  ',',
  'é',
  '€',
  '𝄞',
  '\u0000',
  '\ufeff',
  ' ',
];
function randomText(random: Random): string {
  const length = random.int(20) === 0 ? random.int(600) : random.int(6);
  return Array.from({ length }, () => PIECES[random.int(PIECES.length)]).join('');
}

test('rows written as text are read back as they were', async () => {
  const seed = 20_261_121;
  const random = randomFrom(seed);
  await inFolder(async (folder) => {
    const file = path.join(folder, 't.facts');
    for (let round = 0; round < 300; round++) {
      const types = Array.from(
        { length: random.int(5) },
        () => (['int', 'float', 'bool', 'any', 'string'] as const)[random.int(5)] as ColumnType,
      );
      const count = types.length === 0 ? random.int(2) : random.int(20);
      const rows = Array.from({ length: count }, () =>
        types.map((type) => normal(randomValue(random, type))),
      );
      // A mark at the very start is kept as text, with a warning that this test does not want.
      const block = encodeRows(types.length, rows);
      const writer = await TextFileWriter.create(file);
      await writer.block(block);
      await writer.close();
      const read = await readFactsFile(file, shape(types));
      const errors = read.problems.filter((problem) => problem.severity === 'error');
      assert.deepEqual(errors, [], `seed ${seed} round ${round}`);
      assert.deepEqual(
        Buffer.from(read.content.bytes),
        Buffer.from(block.bytes),
        `seed ${seed} round ${round}`,
      );
      assert.equal(read.content.count, count, `seed ${seed} round ${round}`);
    }
  });
});

function normal(value: Value): Value {
  return typeof value === 'number' && value === 0 ? 0 : value;
}

test('floats print short, always with a point or an exponent', async () => {
  await inFolder(async (folder) => {
    const file = path.join(folder, 't.csv');
    const writer = await TextFileWriter.create(file);
    await writer.block(
      encodeRows(1, [[1], [-0], [0.1], [1e21], [1.5e-7], [5e-324], [123456789.25]]),
    );
    await writer.close();
    assert.equal(
      await readFile(file, 'utf8'),
      '1.0\n0.0\n0.1\n1e21\n1.5e-7\n5e-324\n123456789.25\n',
    );
  });
});

async function updates(content: string): Promise<{ batches: unknown[]; problems: string[] }> {
  return inFolder(async (folder) => {
    const file = path.join(folder, 'updates');
    await writeFile(file, content);
    const tables = new Map([
      ['e', { name: 'e', key: 'p:e', arity: 2 }],
      ['p:e', { name: 'e', key: 'p:e', arity: 2 }],
      ['s', { name: 's', key: 'p:s', arity: 1 }],
      ['f', { name: 'f', key: 'p:f', arity: 0 }],
    ]);
    const read = await readUpdatesFile(
      file,
      (name) => tables.get(name) ?? { message: `the program has no table \`${name}\`` },
    );
    return {
      batches: read.content.map((batch) =>
        batch.map((change) => [
          change.table,
          ...(change.insert === undefined ? [] : [['+', ...decodeRows(change.insert)]]),
          ...(change.delete === undefined ? [] : [['-', ...decodeRows(change.delete)]]),
        ]),
      ),
      problems: read.problems.map(
        (problem) => `${problem.line}:${problem.column} ${problem.code}: ${problem.message}`,
      ),
    };
  });
}

const UPDATES: readonly [string, string, readonly unknown[]][] = [
  ['no line is no batch', '', []],
  ['a rest without a blank line is a batch', '+e\t1\t2', [[['p:e', ['+', [1n, 2n]]]]]],
  ['a blank line ends a batch and begins none', '+e\t1\t2\n\n', [[['p:e', ['+', [1n, 2n]]]]]],
  [
    'empty batches count',
    '\n+s\ta\n\n\n-s\ta\n',
    [[], [['p:s', ['+', ['a']]]], [], [['p:s', ['-', ['a']]]]],
  ],
  ['CRLF', '+s\ta\r\n\r\n+s\tb\r\n', [[['p:s', ['+', ['a']]]], [['p:s', ['+', ['b']]]]]],
  [
    'a line of spaces is blank',
    '+s\ta\n \t\n+s\tb',
    [[['p:s', ['+', ['a']]]], [['p:s', ['+', ['b']]]]],
  ],
  [
    'the last operation on a row counts',
    '+s\ta\n-s\tb\n-s\ta\n+s\tb\n',
    [[['p:s', ['+', ['b']], ['-', ['a']]]]],
  ],
  ['both spellings of a table are one', '+e\t1\t2\n-p:e\t1\t2\n', [[['p:e', ['-', [1n, 2n]]]]]],
  ['a table without columns', '+f\n\n-f\n', [[['p:f', ['+', []]]], [['p:f', ['-', []]]]]],
  ['the empty string', '+s\t\n', [[['p:s', ['+', ['']]]]]],
  ['escapes and null', '+e\t\\N\ta\\tb\n', [[['p:e', ['+', [null, 'a\tb']]]]]],
];
for (const [name, content, batches] of UPDATES) {
  test(`updates: ${name}`, async () => {
    assert.deepEqual(await updates(content), { batches, problems: [] });
  });
}

const UPDATES_REFUSED: readonly [string, string, readonly string[]][] = [
  ['an unknown table', '\n+x\t1\n', ['2:2 unknown-table: the program has no table `x`']],
  [
    'no sign',
    'e\t1\t2\n',
    ['1:1 invalid-update: an update begins with `+` or `-` and the name of a table'],
  ],
  [
    'no name',
    '+\t1\n',
    ['1:1 invalid-update: an update begins with `+` or `-` and the name of a table'],
  ],
  ['too few values', '+e\t1\n', ['1:5 wrong-field-count: `e` has 2 fields, this line has 1']],
  [
    'too many values',
    '+e\t1\t2\t3\n',
    ['1:8 wrong-field-count: `e` has 2 fields, this line has 3'],
  ],
  ['no value', '+s\n', ['1:1 wrong-field-count: `s` has 1 field, this line has none']],
  [
    'a value of a table without columns',
    '+f\t1\n',
    ['1:1 wrong-field-count: `f` has 0 fields, this line has more'],
  ],
  ['an unknown escape', '+e\té\t\\q\n', ['1:6 unknown-escape: `\\q` is no escape']],
];
for (const [name, content, problems] of UPDATES_REFUSED) {
  test(`updates refused: ${name}`, async () => {
    assert.deepEqual((await updates(content)).problems, problems);
  });
}
