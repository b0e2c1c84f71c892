import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c, crc32cJoined } from '../../host/log/crc32c.ts';
import { randomFrom } from '../support/random.ts';

test('crc32c gives the values of RFC 3720, B.4', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);
  const vectors: readonly [Uint8Array, number][] = [
    [new Uint8Array(0), 0],
    [Buffer.from('123456789'), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [ascending, 0x46dd794e],
    [ascending.toReversed(), 0x113fdb5c],
  ];
  for (const [bytes, expected] of vectors) assert.equal(crc32c(bytes), expected);
});

test('crc32c goes on from any point, and over any range', () => {
  const random = randomFrom(11);
  const bytes = random.bytes(100);
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.equal(crc32c(bytes, crc32c(bytes, 0, 0, cut), cut), crc32c(bytes));
    assert.equal(crc32c(bytes, 0, cut), crc32c(bytes.slice(cut)));
  }
});

test('the checksum of two pieces is made of theirs, whatever their lengths', () => {
  const random = randomFrom(12);
  const bytes = random.bytes(70_000);
  for (const cut of [0, 1, 2, 3, 7, 8, 255, 256, 4_097, 65_536, 69_999, 70_000]) {
    const [first, second] = [crc32c(bytes, 0, 0, cut), crc32c(bytes, 0, cut)];
    assert.equal(crc32cJoined(first, second, bytes.length - cut), crc32c(bytes), `cut at ${cut}`);
  }
  const [first, second] = [crc32c(bytes, 0, 0, 9), crc32c(bytes, 0, 9)];
  assert.notEqual(crc32cJoined(first, second, bytes.length - 8), crc32c(bytes));
});
