import assert from 'node:assert/strict';
import test from 'node:test';
import { ByteWriter } from '../../host/log/bytes.ts';

test('a writer grows at every field, whatever its capacity was', () => {
  const write = (capacity: number): Uint8Array => {
    const writer = new ByteWriter(capacity);
    for (let round = 0; round < 3; round++) {
      writer.u8(1);
      writer.u16(2);
      writer.u32(3);
      writer.u64(2 ** 53 - 1);
      writer.text('text');
      writer.raw(new Uint8Array([7, 8]));
    }
    return writer.finish();
  };
  const expected = write(1_000);
  assert.equal(expected.length, 3 * (1 + 2 + 4 + 8 + 4 + 4 + 2));
  for (let capacity = 0; capacity <= expected.length; capacity++) {
    assert.deepEqual(write(capacity), expected, `capacity ${capacity}`);
  }
});
