import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { Document, List } from '../../host/value/composite.ts';
import { DateTime, parseDateTime } from '../../host/value/datetime.ts';
import { IpAddress, IpNetwork } from '../../host/value/ip.ts';
import {
  blockRows,
  concatBlocks,
  decodeRows,
  encodeRows,
  RowBlockWriter,
  splitBlock,
  verifyBlock,
} from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';

const SAMPLE: readonly Row[] = [
  [null, false, true],
  [0n, -1n, 2n ** 31n - 1n],
  [2n ** 31n, -(2n ** 31n), -(2n ** 31n) - 1n],
  [2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n],
  [0, 1.5, -Number.MAX_VALUE],
  ['', 'a', '\u{feff}é\u{10ffff}'],
  ['x'.repeat(255), 'x'.repeat(256), 'é'.repeat(127)],
  ['é'.repeat(128), '€'.repeat(85), '€'.repeat(86)],
  [new DateTime(0n), new DateTime(-1n), parseDateTime('9999-12-31T23:59:59.999999Z') ?? null],
  [new IpAddress(4, 0x0a000001n), new IpAddress(6, 1n), new IpNetwork(4, 0x0a000000n, 8)],
  [new IpNetwork(6, 0n, 0), new List([]), new List([1n, 'a', null, true])],
  [
    new Document([
      ['b', new List([new List([2.5]), new Document([])])],
      ['', new IpAddress(4, 0n)],
      ['a'.repeat(300), 2n ** 40n],
    ]),
    new Document([]),
    null,
  ],
  ['\0'.repeat(64), 'a'.repeat(63) + 'é', 'y'.repeat(70_000)],
];

function fails(what: RegExp, byteOffset?: number): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CaucusError, String(error));
    assert.match(error.message, what);
    if (byteOffset !== undefined) assert.equal(error.details['byteOffset'], byteOffset);
    return true;
  };
}

test('what is encoded is decoded', () => {
  const block = encodeRows(3, SAMPLE);
  assert.equal(block.count, SAMPLE.length);
  assert.deepEqual(decodeRows(block), SAMPLE);
  assert.deepEqual([...blockRows(block)], SAMPLE);
  verifyBlock(block);
});

test('the bytes are those of the layout', () => {
  const block = encodeRows(1, [[null], [true], [258n], [2n ** 31n], [1], ['aé']]);
  const hex = Buffer.from(block.bytes).toString('hex');
  assert.equal(
    hex,
    '00' + '02' + '0602010000' + '030000008000000000' + '04000000000000f03f' + '070361c3a9',
  );
});

test('utf-8 given as bytes is the same as the string', () => {
  for (const text of SAMPLE.flat().filter((value): value is string => typeof value === 'string')) {
    const writer = new RowBlockWriter();
    const bytes = Buffer.from(`<${text}>`);
    writer.appendUtf8(bytes, 1, bytes.length - 1);
    writer.endRow();
    assert.deepEqual(writer.finish(), encodeRows(1, [[text]]));
  }
});

test('what is no value is refused, with its place', () => {
  assert.throws(() => encodeRows(1, [['\ud800']]), fails(/row 0, column 0: .*surrogate/));
  assert.throws(() => encodeRows(1, [[`${'x'.repeat(300)}\udc00`]]), fails(/surrogate/));
  assert.throws(
    () =>
      encodeRows(2, [
        [1n, 2n],
        [1n, 2n ** 63n],
      ]),
    fails(/row 1, column 1: .*64 bits/),
  );
  assert.throws(() => encodeRows(1, [[NaN]]), fails(/NaN/));
  assert.throws(() => encodeRows(2, [[1n]]), fails(/row 0 has 1 columns, not 2/));
  const writer = new RowBlockWriter();
  assert.throws(() => writer.appendUtf8(Uint8Array.of(0xff), 0, 1), fails(/UTF-8/));
});

test('the reader refuses what the writer never writes', () => {
  const broken: readonly [string, RegExp, number][] = [
    ['0d', /unknown tag 13/, 0],
    ['0800000000000000', /cut short/, 0],
    ['08ffffffffffffff7f', /date-time/, 0],
    ['09050000000000', /width/, 0],
    ['09040a0000', /cut short/, 0],
    ['0a040a00000021', /prefix/, 0],
    ['0a040a00000108', /host bits/, 0],
    ['0b0200000000', /cut short/, 0],
    ['0b0100000006', /cut short/, 5],
    ['0b020000000601000000', /end of its list/, 0],
    ['0c0100000000', /no string/, 5],
    ['0c03000000070161', /without a value/, 5],
    ['0c08000000' + '07016200' + '07016100', /out of order/, 9],
    ['0c08000000' + '07016100' + '07016100', /out of order/, 9],
    ['', /cut short/, 0],
    ['06010000', /cut short/, 0],
    ['0702c3', /cut short/, 0],
    ['07', /cut short/, 0],
    ['0502000000ffff', /short form/, 0],
    ['030100000000000000', /short form/, 0],
    ['03ffffffffffffffff', /short form/, 0],
    ['04000000000000f07f', /finite/, 0],
    ['040000000000000080', /−0/, 0],
    ['0702c328', /UTF-8/, 0],
    ['0000', /after the last row/, 1],
    ['0703eda080', /UTF-8/, 0],
    ['0702c080', /UTF-8/, 0],
    ['0704f4908080', /UTF-8/, 0],
  ];
  // Where the bytes of a list end, and what is in one, has a place of its own.
  for (const [hex, what, offset] of broken) {
    const block = { arity: 1, count: 1, bytes: Buffer.from(hex, 'hex') };
    assert.throws(() => decodeRows(block), fails(what, offset), hex);
    assert.throws(() => verifyBlock(block), fails(what, offset), hex);
  }
  assert.throws(
    () => decodeRows({ arity: 0, count: 1, bytes: Uint8Array.of(0) }),
    fails(/after the last row/),
  );
});

test('isUtf8 agrees with the decoder of the platform on random bytes', () => {
  const seed = 20_261;
  const random = randomFrom(seed);
  const strict = new TextDecoder('utf-8', { fatal: true });
  const alphabet = [
    0x41, 0x80, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xa0, 0x9f, 0xed, 0xef, 0xf0, 0x90, 0x8f, 0xf4, 0xf5,
  ];
  let valid = 0;
  for (let round = 0; round < 20_000; round++) {
    const text = Uint8Array.from({ length: random.int(5) }, () => random.pick(alphabet));
    let expected = true;
    try {
      strict.decode(text);
    } catch {
      expected = false;
    }
    valid += expected ? 1 : 0;
    const block = { arity: 1, count: 1, bytes: Uint8Array.of(7, text.length, ...text) };
    if (expected) verifyBlock(block);
    else assert.throws(() => verifyBlock(block), `seed ${seed}, round ${round}: ${text}`);
  }
  assert.ok(valid > 1000 && valid < 19_000);
});

test('arity 0 has rows without bytes', () => {
  const block = encodeRows(0, [[], []]);
  assert.deepEqual(block, { arity: 0, count: 2, bytes: new Uint8Array(0) });
  assert.deepEqual(decodeRows(block), [[], []]);
});

test('blocks are split at rows and put together again', () => {
  const rows = Array.from({ length: 1000 }, (_, i): Row => [BigInt(i), 'x'.repeat(i % 50)]);
  const block = encodeRows(2, rows);
  const pieces = [...splitBlock(block, 500)];
  assert.ok(pieces.length > 10);
  assert.ok(pieces.every((piece) => piece.bytes.length <= 500));
  assert.deepEqual(concatBlocks(2, pieces), { ...block, bytes: block.bytes.slice() });
  assert.deepEqual(
    [...splitBlock(encodeRows(1, [['x'.repeat(600)], [1n]]), 500)].map((p) => p.count),
    [1, 1],
  );
  assert.deepEqual([...splitBlock(encodeRows(1, []), 500)], []);
  assert.deepEqual(decodeRows(concatBlocks(2, [])), []);
});
