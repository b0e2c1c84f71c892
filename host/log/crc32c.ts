/**
 * CRC-32C (Castagnoli), the checksum of records, journal entries and checkpoints: RFC 3720, B.4.
 * Eight bytes a step ("slicing-by-8", Kounavis and Berry 2005).
 */

/** The polynomial with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;
const TABLES = makeTables();

/**
 * Of bytes `from`..`to`. `seed`: the result for the bytes before them, to go on from. Unsigned 32
 * bits.
 */
export function crc32c(bytes: Uint8Array, seed = 0, from = 0, to = bytes.length): number {
  const table = TABLES;
  let crc = ~seed;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (table[1792 + (low & 255)] as number) ^
      (table[1536 + ((low >>> 8) & 255)] as number) ^
      (table[1280 + ((low >>> 16) & 255)] as number) ^
      (table[1024 + (low >>> 24)] as number) ^
      (table[768 + (bytes[at + 4] as number)] as number) ^
      (table[512 + (bytes[at + 5] as number)] as number) ^
      (table[256 + (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number);
  }
  for (; at < to; at++) crc = (table[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * Of two byte strings as one, from their checksums and the length of the second: a checksum is
 * linear over GF(2), so the first moves over `length` zero bytes by squarings of one matrix
 * (as zlib's `crc32_combine` does).
 */
export function crc32cJoined(first: number, second: number, length: number): number {
  let moved = first;
  for (let rest = length, power = 0; rest > 0; rest = Math.floor(rest / 2), power++) {
    if (rest % 2 === 1) moved = product(zeroBytes(power), moved);
  }
  return (moved ^ second) >>> 0;
}

/** Matrices that move a checksum over 2^power zero bytes, by columns. */
const ZERO_BYTES: Uint32Array[] = [];

function zeroBytes(power: number): Uint32Array {
  const known = ZERO_BYTES[power];
  if (known !== undefined) return known;
  const matrix = new Uint32Array(32);
  for (let bit = 0; bit < 32; bit++) {
    const column = 2 ** bit;
    if (power === 0) matrix[bit] = (TABLES[column & 255] as number) ^ (column >>> 8);
    else matrix[bit] = product(zeroBytes(power - 1), product(zeroBytes(power - 1), column));
  }
  ZERO_BYTES[power] = matrix;
  return matrix;
}

function product(matrix: Uint32Array, vector: number): number {
  let sum = 0;
  for (let bit = 0; bit < 32; bit++) if (((vector >>> bit) & 1) !== 0) sum ^= matrix[bit] as number;
  return sum >>> 0;
}

/** Table k, at 256·k, advances a byte over k further zero bytes. */
function makeTables(): Int32Array {
  const table = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    table[byte] = crc;
  }
  for (let index = 256; index < table.length; index++) {
    const before = table[index - 256] as number;
    table[index] = (table[before & 255] as number) ^ (before >>> 8);
  }
  return table;
}
