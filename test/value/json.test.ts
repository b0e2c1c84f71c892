import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockToJson } from '../../host/value/block-json.ts';
import { CaucusError } from '../../host/errors.ts';
import {
  JsonReader,
  parseJson,
  parseJsonRows,
  RawJson,
  stringifyJson,
} from '../../host/value/json.ts';
import { decodeRows, encodeRows, RowBlockWriter } from '../../host/value/row-block.ts';
import type { JsonValue } from '../../host/value/json.ts';
import type { Row, Scalar } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

function rowsOf(text: string): Row[] {
  const writer = new RowBlockWriter();
  parseJsonRows(Buffer.from(text), writer);
  return decodeRows(writer.finish());
}

function failure(run: () => unknown): CaucusError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CaucusError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

test('ints stay ints and floats stay floats', () => {
  const text =
    '[1,1.0,-0,-0.0,1e2,9223372036854775807,-9223372036854775808,9007199254740993,0.1,1E-2,12345678901]';
  const value = parseJson(text);
  assert.deepEqual(value, [
    1n,
    1,
    0n,
    0,
    100,
    2n ** 63n - 1n,
    -(2n ** 63n),
    9007199254740993n,
    0.1,
    0.01,
    12345678901n,
  ]);
  assert.equal(
    stringifyJson(value),
    '[1,1.0,0,0.0,100.0,9223372036854775807,-9223372036854775808,9007199254740993,0.1,0.01,12345678901]',
  );
  // Negative control: the platform's parser does not keep them apart.
  assert.equal(JSON.stringify(JSON.parse('[1.0,9007199254740993]')), '[1,9007199254740992]');
});

test('strings, objects and white space', () => {
  const text =
    '\ufeff \t\r\n{"a\\u00e9\\n":"\\ud83d\\ude00\\/\\"\\\\x","__proto__":{"b":[]},"constructor":{}, "é€😀" : [true,false,null]}';
  const value = parseJson(text) as Record<string, JsonValue>;
  assert.deepEqual(Object.keys(value), ['aé\n', '__proto__', 'constructor', 'é€😀']);
  assert.equal(value['aé\n'], '😀/"\\x');
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(plain(parseJson(stringifyJson(value))), plain(value));
});

test('stringify copies raw text and leaves out undefined members', () => {
  assert.equal(
    stringifyJson({ a: undefined, rows: new RawJson('[[1]]'), n: 3n }),
    '{"rows":[[1]],"n":3}',
  );
});

/** Text, message, line, column. */
const REFUSED: readonly [string, RegExp, number, number][] = [
  ['', /the text ends where a value/, 1, 1],
  ['{"a":1,\n "a":2}', /name `a` stands twice/, 2, 2],
  ['[1,]', /comma stands in front of the end/, 1, 4],
  ['[1 2]', /`2` stands where `,` or `]`/, 1, 4],
  ['{"a" 1}', /`1` stands where `:`/, 1, 6],
  ['{a:1}', /a name in double quotes/, 1, 2],
  ["['a']", /`'` stands where a value/, 1, 2],
  ['01', /needless `0`/, 1, 1],
  ['-', /ends where a digit/, 1, 2],
  ['1.', /ends where a digit/, 1, 3],
  ['1.e5', /`e` stands where a digit/, 1, 3],
  ['1e', /ends where a digit/, 1, 3],
  ['.5', /`.` stands where a value/, 1, 1],
  ['+1', /`\+` stands where a value/, 1, 1],
  ['9223372036854775808', /does not fit 64 bits/, 1, 1],
  ['-9223372036854775809', /does not fit 64 bits/, 1, 1],
  [`1${'0'.repeat(100_000)}`, /does not fit 64 bits/, 1, 1],
  ['1e999', /beyond the range of floats/, 1, 1],
  ['"\\x"', /unknown escape/, 1, 2],
  ['"\\u12g4"', /four hex digits/, 1, 2],
  ['"é\\ud800"', /half of a surrogate/, 1, 1],
  ['"a\nb"', /bare control character/, 1, 3],
  ['"abc', /does not end/, 1, 1],
  ['nul', /where a value/, 1, 1],
  ['NaN', /`N` stands where a value/, 1, 1],
  ['1 1', /`1` stands where the end of the text/, 1, 3],
  ['"é" €', /`€` stands where the end/, 1, 5],
  ['['.repeat(65), /more than 64 levels/, 1, 65],
];

test('what is no JSON is refused with its place and a remedy', () => {
  for (const [text, what, line, column] of REFUSED) {
    const error = failure(() => parseJson(text));
    assert.equal(error.code, 'invalid_request');
    assert.match(error.message, what);
    assert.deepEqual(
      [error.details['line'], error.details['column']],
      [line, column],
      text.slice(0, 50),
    );
    assert.ok(error.remedy);
  }
  const invalid = failure(() => parseJson(Uint8Array.of(0x22, 0x61, 0xff, 0x22)));
  assert.match(invalid.message, /not valid UTF-8/);
  assert.equal(invalid.details['offset'], 1);
  assert.match(failure(() => parseJson('"\ud800"')).message, /surrogate/);
  assert.equal(
    stringifyJson(parseJson('['.repeat(64) + ']'.repeat(64))),
    '['.repeat(64) + ']'.repeat(64),
  );
});

test('random values survive print and parse, and random damage never crashes', () => {
  const seed = 7_001;
  const random = randomFrom(seed);
  for (let round = 0; round < 500; round++) {
    const value = randomJson(random, 4);
    const text = stringifyJson(value);
    assert.deepEqual(plain(parseJson(text)), plain(value), `seed ${seed}, round ${round}`);
    const bytes = Buffer.from(text);
    for (let flip = 0; flip < 5 && bytes.length > 0; flip++) {
      bytes[random.int(bytes.length)] = random.int(256);
      try {
        parseJson(bytes);
      } catch (error) {
        assert.ok(error instanceof CaucusError, `seed ${seed}, round ${round}: ${String(error)}`);
      }
    }
  }
});

test('what parses here parses in the platform, and the other way round', () => {
  const seed = 7_002;
  const random = randomFrom(seed);
  const alphabet = [
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    '"',
    '0',
    '1',
    '-',
    '.',
    'e',
    '\\',
    'u',
    'true',
    'null',
    ' ',
    '"a"',
  ];
  let accepted = 0;
  for (let round = 0; round < 50_000; round++) {
    const text = Array.from({ length: 1 + random.int(6) }, () => random.pick(alphabet)).join('');
    let expected = true;
    try {
      JSON.parse(text);
    } catch {
      expected = false;
    }
    let actual = true;
    try {
      parseJson(text);
    } catch {
      actual = false;
    }
    // The alphabet cannot make the texts on which the two differ on purpose (repeated names need
    // four pieces more).
    assert.equal(actual, expected, `seed ${seed}, round ${round}: ${text}`);
    accepted += actual ? 1 : 0;
  }
  assert.ok(accepted > 1000);
});

test('rows go straight into a block', () => {
  assert.deepEqual(
    rowsOf(
      ' [ [1,"a",null] ,[ -2147483648 , "\\u00e9x" , true],[1234567890,"",false],[1.0,"é",-7]]\n',
    ),
    [
      [1n, 'a', null],
      [-2147483648n, 'éx', true],
      [1234567890n, '', false],
      [1, 'é', -7n],
    ],
  );
  assert.deepEqual(rowsOf('[]'), []);
  assert.deepEqual(rowsOf('[[],[]]'), [[], []]);
});

test('rows and parseJson read the same numbers', () => {
  for (const text of [
    '0',
    '-0',
    '999999999',
    '-999999999',
    '1000000000',
    '2147483648',
    '-1',
    '123456789.5',
    '1e3',
    '0.0',
    '-9223372036854775808',
  ]) {
    assert.deepEqual(rowsOf(`[[${text}]]`), [[parseJson(text)]], text);
  }
});

test('a bad row is named by its index, column and place', () => {
  const refused: readonly [string, RegExp, number, number | undefined, number][] = [
    ['[[1,2],\n[3]]', /row 1: it has 1 value, not 2/, 1, undefined, 7 + 1],
    ['[[1,2],[3,[4,]]]', /row 1, column 1: a comma stands/, 1, 1, 13],
    ['[[1,{"a":1,"a":2}]]', /row 0, column 1: the name `a` stands twice/, 0, 1, 11],
    [`[[1,${'['.repeat(33)}${']'.repeat(33)}]]`, /row 0, column 1: .*32 levels/, 0, 1, 4],
    ['[[1,99999999999999999999]]', /row 0, column 1: `9+` does not fit/, 0, 1, 4],
    ['[[1],[01]]', /row 1, column 0: .*needless/, 1, 0, 6],
    ['[[1],["a\\ud800"]]', /row 1, column 0: .*surrogate/, 1, 0, 6],
    ['[[1],2]', /row 1: a row is an array/, 1, undefined, 5],
    ['[[nope]]', /row 0, column 0: `n` stands/, 0, 0, 2],
  ];
  for (const [text, what, rowIndex, columnIndex, offset] of refused) {
    const error = failure(() => rowsOf(text));
    assert.equal(error.code, 'invalid_row');
    assert.match(error.message, what);
    assert.deepEqual(
      [error.details['rowIndex'], error.details['columnIndex'], error.details['offset']],
      [rowIndex, columnIndex, offset],
      text,
    );
    assert.ok(error.remedy);
  }
  assert.match(failure(() => rowsOf('[[1],[2]')).message, /ends where `,` or `]`/);
});

test('a body is read member by member', () => {
  const reader = new JsonReader(
    Buffer.from('{"insert":{"p":[[1],[2]],"q":[["x",true]]},"id":"b1"}'),
  );
  const blocks = new Map<string, Row[]>();
  let id = '';
  reader.readObject((name) => {
    if (name === 'id') {
      id = reader.readString();
      return;
    }
    reader.readObject((table) => {
      const writer = new RowBlockWriter();
      reader.readRows(writer);
      blocks.set(table, decodeRows(writer.finish()));
    });
  });
  reader.expectEnd();
  assert.equal(id, 'b1');
  assert.deepEqual(
    blocks,
    new Map([
      ['p', [[1n], [2n]]],
      ['q', [['x', true]]],
    ] as [string, Row[]][]),
  );
});

test('blocks print as the same JSON as their rows', () => {
  const seed = 7_003;
  const random = randomFrom(seed);
  for (let round = 0; round < 200; round++) {
    const arity = random.int(4);
    const rows = Array.from({ length: random.int(20) }, () =>
      Array.from({ length: arity }, () => randomValue(random)),
    );
    const text = blockToJson(encodeRows(arity, rows));
    assert.equal(text, stringifyJson(rows), `seed ${seed}, round ${round}`);
    assert.deepEqual(rowsOf(text), rows, `seed ${seed}, round ${round}`);
  }
});

function randomValue(random: Random): Scalar {
  const numbers = [
    0n,
    1n,
    -1n,
    2n ** 31n - 1n,
    2n ** 31n,
    -(2n ** 31n),
    -(2n ** 63n),
    2n ** 63n - 1n,
    9999999999n,
    10n,
    -99n,
  ];
  const strings = [
    '',
    'a',
    '\u0000\u001f"\\/\n\b',
    'é€😀',
    '\ufeff',
    '\u2028',
    'x'.repeat(300),
    '\u007f',
  ];
  switch (random.int(6)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return random.pick(numbers);
    case 2:
      return random.pick([
        0,
        1,
        -1.5,
        1e21,
        5e-324,
        Number.MAX_VALUE,
        random.next() * 10 ** random.int(30),
      ]);
    case 3:
      return BigInt(random.int(2 ** 32)) - 2n ** 31n;
    default:
      return random.pick(strings) + random.pick(strings);
  }
}

function randomJson(random: Random, depth: number): JsonValue {
  const kind = depth === 0 ? 0 : random.int(3);
  if (kind === 0) return randomValue(random);
  if (kind === 1) return Array.from({ length: random.int(4) }, () => randomJson(random, depth - 1));
  const object: Record<string, JsonValue> = Object.create(null);
  for (let index = 0; index < random.int(4); index++) {
    object[`${String(randomValue(random))}${index}`] = randomJson(random, depth - 1);
  }
  return object;
}
