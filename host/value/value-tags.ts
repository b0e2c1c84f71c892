/** The first byte of a value in a row block (`row-block.ts` has the layout). */
export const TAG_NULL = 0;
export const TAG_FALSE = 1;
export const TAG_TRUE = 2;
export const TAG_INT64 = 3;
export const TAG_FLOAT = 4;
export const TAG_STRING = 5;
export const TAG_INT32 = 6;
export const TAG_SHORT_STRING = 7;
export const TAG_DATETIME = 8;
export const TAG_IP = 9;
export const TAG_NETWORK = 10;
export const TAG_LIST = 11;
export const TAG_DOCUMENT = 12;

/** Longer strings have a header with room for their length. */
export const SHORT_STRING_BYTES_MAX = 255;

/** Bytes of the value at `at`, which is verified. */
export function valueBytes(bytes: Uint8Array, at: number): number {
  switch (bytes[at]) {
    case TAG_INT32:
      return 5;
    case TAG_INT64:
    case TAG_FLOAT:
    case TAG_DATETIME:
      return 9;
    case TAG_SHORT_STRING:
    case TAG_IP:
      return 2 + (bytes[at + 1] as number);
    case TAG_NETWORK:
      return 3 + (bytes[at + 1] as number);
    case TAG_STRING:
    case TAG_LIST:
    case TAG_DOCUMENT:
      return 5 + lengthAt(bytes, at + 1);
    default:
      return 1;
  }
}

/** A u32, little-endian. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  const high = (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8);
  return low + high * 0x10000;
}
