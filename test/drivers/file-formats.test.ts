import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { DriverColumn, SourceProblem } from '../../drivers/driver.ts';
import { Document, List } from '../../host/value/composite.ts';
import { DateTime } from '../../host/value/datetime.ts';
import { IpAddress, IpNetwork } from '../../host/value/ip.ts';
import type { ColumnType } from '../../host/value/column-type.ts';
import { SourceError } from '../../drivers/driver.ts';
import { formatOf, readTable } from '../../drivers/file/read-table.ts';
import type { HeaderOption, TableRead } from '../../drivers/file/typed-rows.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';

const folder = await mkdtemp(join(tmpdir(), 'caucus-formats-'));
after(() => rm(folder, { recursive: true, force: true }));

interface Given {
  readonly declared?: string;
  readonly header?: HeaderOption;
}

/** `file` is a name with its ending; `declared` is `name: type, …`. */
async function read(file: string, text: string | Buffer, given: Given = {}): Promise<TableRead> {
  const path = join(folder, file);
  await writeFile(path, text);
  const format = formatOf(file);
  assert.ok(format);
  const declared = given.declared?.split(', ').map((column): DriverColumn => {
    const [name, type] = column.split(': ') as [string, ColumnType];
    return { name, type };
  });
  const header = given.header ?? 'auto';
  const { signal } = new AbortController();
  return readTable({ path, table: 't', format, declared, header, signal });
}

async function rows(file: string, text: string | Buffer, given?: Given): Promise<Row[]> {
  return decodeRows((await read(file, text, given)).rows);
}

async function problems(
  file: string,
  text: string | Buffer,
  given?: Given,
): Promise<readonly SourceProblem[]> {
  const error = await read(file, text, given).then(
    () => assert.fail(`no problem in ${JSON.stringify(String(text))}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof SourceError, String(error));
  for (const problem of error.problems) {
    assert.equal(problem.table, 't');
    assert.equal(problem.file, join(folder, file));
  }
  return error.problems;
}

async function place(file: string, text: string | Buffer, given?: Given): Promise<string> {
  const [first] = await problems(file, text, given);
  assert.ok(first?.remedy, `${first?.message} has no remedy`);
  return `${first.line}:${first.column} ${first.message}`;
}

test('csv: header, quotes, line breaks inside a field, both line ends, a byte order mark', async () => {
  const text = '\ufeffid,"note"\r\n1,"a ""b"",\nc"\r\n-2,\n';
  const result = await read('t.csv', text);
  assert.deepEqual(decodeRows(result.rows), [
    [1n, 'a "b",\nc'],
    [-2n, ''],
  ]);
  assert.deepEqual(
    result.columns?.map(({ name }) => name),
    ['id', 'note'],
  );
});

test('csv: without a header by option; last line without an end', async () => {
  assert.deepEqual(await rows('t.csv', 'a,b\nc,d', { header: false }), [
    ['a', 'b'],
    ['c', 'd'],
  ]);
});

test('text without a declaration: an int has one form, all else is a string', async () => {
  const text =
    '0 -1 9223372036854775807 -9223372036854775808 | 9223372036854775808 -0 007 +1 1.0 1e3 true'.split(
      ' ',
    );
  const result = await rows('t.tsv', text.map((field) => `${field}\n`).join(''));
  const bar = text.indexOf('|');
  const expected = text.map((field, index) => [index < bar ? BigInt(field) : field]);
  assert.deepEqual(result, expected);
});

test('csv: declared columns are found by the header, whatever their order; others are left out', async () => {
  const declared = 'id: string, cpus: int, load: float, on: bool';
  const text = 'on,extra,cpus,id,load\ntrue,x,4,007,2\nfalse,y,,8,\n';
  assert.deepEqual(await rows('t.csv', text, { declared }), [
    ['007', 4n, 2, true],
    ['8', null, null, false],
  ]);
});

test('csv: declared columns without a header go by position', async () => {
  const declared = 'id: string, cpus: int';
  assert.deepEqual(await rows('t.csv', '1,2\n', { declared }), [['1', 2n]]);
  assert.equal(
    await place('t.csv', 'id,cpu\n1,2\n', { declared }),
    '1:1 the header has no column `cpus`, which `t` declares',
  );
});

test('tsv: escapes, null, declared strings', async () => {
  assert.deepEqual(await rows('t.tsv', 'a\\tb\\\\n\\n\t\\N\t\r\n', { header: false }), [
    ['a\tb\\n\n', null, ''],
  ]);
  assert.deepEqual(await rows('t.facts', '7\n', { declared: 'id: string' }), [['7']]);
});

test('json and ndjson: arrays and objects, ints of all sizes, floats, missing keys', async () => {
  const expected = [
    ['a', 9007199254740993n, 1, true],
    ['é\n', -1n, 0.5, null],
  ];
  const objects = [
    '{"id": "a", "n": 9007199254740993, "f": 1.0, "b": true}',
    '{"f": 5e-1, "n": -1, "id": "\\u00e9\\n"}',
  ];
  assert.deepEqual(await rows('t.json', `[${objects.join(',\n')}]`), expected);
  assert.deepEqual(await rows('t.ndjson', `${objects.join('\n\n')}\n`), expected);
  assert.deepEqual(await rows('t.jsonl', '["a", 1]\n[null, 2.0]'), [
    ['a', 1n],
    [null, 2],
  ]);
  assert.deepEqual(await rows('t.json', '[]'), []);
});

test('json: declared types', async () => {
  const declared = 'id: string, load: float';
  assert.deepEqual(await rows('t.json', '[{"load": 2, "id": "a", "more": [1]}]', { declared }), [
    ['a', 2],
  ]);
  assert.deepEqual(await rows('t.json', '[{"load": 2, "id": "a", "more": 1}]', { declared }), [
    ['a', 2],
  ]);
  assert.match(
    await place('t.json', '[["a", 9007199254740993]]', { declared }),
    /^1:8 9007199254740993 is no float/,
  );
});

test('lists, documents, addresses, networks and times', async () => {
  const declared = 'a: ip, n: network, t: datetime, d: json';
  const texts = ['10.0.0.1', '10.1.0.0/8', '2031-05-01T02:00:00+02:00', '{"k":[1,2.0]}'];
  const expected = [
    new IpAddress(4, 0x0a000001n),
    new IpNetwork(4, 0x0a000000n, 8),
    new DateTime(1_935_360_000_000_000n),
    new Document([['k', new List([1n, 2])]]),
  ];
  const json = JSON.stringify([texts.slice(0, 3)]).replace(']]', `,${texts[3]}]]`);
  assert.deepEqual(await rows('t.json', json, { declared }), [expected]);
  assert.deepEqual(await rows('t.tsv', `${texts.join('\t')}\n`, { declared }), [expected]);
  assert.deepEqual(await rows('u.json', '[{"a": [null, {}]}]'), [
    [new List([null, new Document([])])],
  ]);
});

const WRONG: readonly (readonly [file: string, text: string, place: string, declared?: string])[] =
  [
    ['t.csv', 'id\n1\nx\n', '3:1 `x` is no int; column `id` of `t` is declared int', 'id: int'],
    [
      't.csv',
      'a,id\n"p,\nq",1\nr,"s"\n',
      '4:3 `s` is no int; column `id` of `t` is declared int',
      'a: string, id: int',
    ],
    ['t.csv', 'a,a\n1,2\n', '1:3 the header names `a` twice'],
    ['t.csv', 'a,b\n1,2\n3\n', '3:1 the header has 2, this record has 1 field'],
    ['t.csv', 'a,b\n1,2,3\n', '2:5 the header has 2, this record has 3 fields'],
    ['t.tsv', 'é\tb\\x\n', '1:4 `\\x` is no escape'],
    ['t.tsv', 'a\tb\na\n', '2:2 `t` has 2, this record has 1 field'],
    ['t.tsv', 'yes\n', '1:1 `yes` is no bool; column `on` of `t` is declared bool', 'on: bool'],
    [
      't.tsv',
      '1e999\n',
      '1:1 `1e999` is no float; column `f` of `t` is declared float',
      'f: float',
    ],
    [
      't.json',
      '[["a", [1]]]',
      '1:8 [1] is no ip; column `b` of `t` is declared ip',
      'a: any, b: ip',
    ],
    ['t.json', '[["10.0.0.300"]]', '1:3 "10.0.0.300" is no ip; column `a` of `t`', 'a: ip'],
    ['t.json', '[[[1]]]', '1:3 [1] is no document; column `a` of `t` is declared', 'a: document'],
    ['t.csv', 'a\n2031-02-30T00:00:00Z\n', '2:1 `2031-02-30T00:00:00Z` is no dat', 'a: datetime'],
    ['t.tsv', '{"a": 1\n', '1:1 `{"a": 1` is no json; column `a` of `t`', 'a: json'],
    ['t.json', '[{"a": 1},\n {"b": 2}]', '2:8 the first object has no key `b`'],
    ['t.json', '[[1, 2], [3]]', '1:10 `t` has 2, this record has 1 field'],
    ['t.json', '[["1"]]', '1:3 "1" is no int; column `n` of `t` is declared int', 'n: int'],
    ['t.ndjson', '[1]\n[9223372036854775808]\n', '2:2 '],
    ['t.ndjson', '[1]\n["\\ud800"]\n', '2:'],
  ];

for (const [file, text, expected, declared] of WRONG) {
  test(`where it is wrong: ${file} ${JSON.stringify(text)}`, async () => {
    const found = await place(file, text, declared === undefined ? {} : { declared });
    assert.ok(found.startsWith(expected), `${found} instead of ${expected}`);
  });
}

test('files that end too early, or are something else', async () => {
  for (const text of [
    '',
    '[',
    '[["a"]',
    '[["a"],',
    '{"rows": []}',
    '[["a"]] x',
    '[1]',
    '[["a" "b"]]',
  ]) {
    const [problem] = await problems('t.json', text);
    assert.ok((problem?.line ?? 0) > 0 && problem?.remedy, JSON.stringify([text, problem]));
  }
  const [quote] = await problems('t.csv', 'a,b\n1,"x\n2,y\n');
  assert.match(quote?.message ?? '', /quoted field is not closed/);
  assert.ok((quote?.line ?? 0) >= 2);
});

test('bytes that are no UTF-8 are named by line and column', async () => {
  const text = Buffer.concat([Buffer.from('a\né'), Buffer.from([0xff]), Buffer.from('\nb\n')]);
  assert.equal(await place('t.tsv', text), '2:2 the bytes are not UTF-8');
  assert.equal(await place('t.csv', text, { header: false }), '2:2 the bytes are not UTF-8');
});

test('every problem of a file is reported, up to a bound', async () => {
  const text = Array.from({ length: 25 }, () => 'x\n').join('');
  const found = await problems('t.tsv', text, { declared: 'id: int' });
  assert.equal(found.length, 11);
  assert.deepEqual(
    found.slice(0, 3).map(({ line }) => line),
    [1, 2, 3],
  );
  assert.match(found.at(-1)?.message ?? '', /^15 more problems/);
});

test('100 000 records of each format are read in pieces', async () => {
  const numbers = Array.from({ length: 100_000 }, (_, index) => index);
  const texts = {
    't.csv': numbers.map((n) => `${n},"name, ${n}"\n`).join(''),
    't.tsv': numbers.map((n) => `${n}\tname, ${n}\n`).join(''),
    't.json': `[${numbers.map((n) => `[${n}, "name, ${n}"]`).join(',\n')}]`,
    't.ndjson': numbers.map((n) => `[${n}, "name, ${n}"]\n`).join(''),
  };
  const blocks = [];
  for (const [file, text] of Object.entries(texts)) {
    blocks.push((await read(file, text, { header: false })).rows);
  }
  for (const block of blocks) {
    assert.equal(block.count, numbers.length);
    assert.ok(Buffer.from(block.bytes).equals(blocks[0]?.bytes ?? Buffer.alloc(0)));
  }
});
