/** Bits of ints (64, two's complement), hashes of UTF-8 bytes, and texts of bytes. */
import { textOf, isUtf8 } from '../value/utf8.ts';
import { gives, group } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { INT, TEXT } from './kinds.ts';
import { fit } from './numbers.ts';

const define = group('bits and hashes');
const encoder = new TextEncoder();
const TEXT_OUT = gives('string');
const INT_OUT = gives('int');

export const HASH_FUNCTIONS: readonly FunctionDefinition[] = [
  define('bit_and(x, y)', INT_OUT, 'bits that both have', [INT, INT], (x, y) => x & y, {
    aliases: ['and'],
  }),
  define('bit_or(x, y)', INT_OUT, 'bits that either has', [INT, INT], (x, y) => x | y, {
    aliases: ['or'],
  }),
  define('bit_xor(x, y)', INT_OUT, 'bits that one of both has', [INT, INT], (x, y) => x ^ y),
  define('bit_not(x)', INT_OUT, 'bits that it has not: `-x - 1`', [INT], (x) => ~x, {
    aliases: ['bnot'],
  }),
  define(
    'shift_left(x, n)',
    INT_OUT,
    'times 2 to the power of n; fails on overflow and for n outside 0 to 63',
    [INT, INT],
    (x, n) => (n < 0n || n > 63n ? undefined : fit(x << n)),
  ),
  define(
    'shift_right(x, n)',
    INT_OUT,
    'divided by 2 to the power of n, rounded down; fails for n outside 0 to 63',
    [INT, INT],
    (x, n) => (n < 0n || n > 63n ? undefined : x >> n),
  ),
  define('sha256(s)', TEXT_OUT, 'SHA-256 of the UTF-8 bytes, in hex', [TEXT], (s) =>
    hex(sha256(encoder.encode(s))),
  ),
  define('crc32(s)', INT_OUT, 'CRC-32 (IEEE 802.3) of the UTF-8 bytes', [TEXT], (s) =>
    BigInt(crc32(encoder.encode(s))),
  ),
  define(
    'fnv1a(s)',
    INT_OUT,
    'FNV-1a of 64 bits of the UTF-8 bytes, as a signed int',
    [TEXT],
    (s) => fnv1a(encoder.encode(s)),
  ),
  define('hex_encode(s)', TEXT_OUT, 'the UTF-8 bytes in hex', [TEXT], (s) =>
    hex(encoder.encode(s)),
  ),
  define('hex_decode(s)', TEXT_OUT, 'the string whose UTF-8 bytes these are', [TEXT], (s) => {
    if (s.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(s)) return undefined;
    const bytes = Uint8Array.from({ length: s.length / 2 }, (_, index) =>
      Number.parseInt(s.slice(index * 2, index * 2 + 2), 16),
    );
    return utf8(bytes);
  }),
  define('base64_encode(s)', TEXT_OUT, 'the UTF-8 bytes in base64 (RFC 4648)', [TEXT], (s) =>
    base64(encoder.encode(s)),
  ),
  define(
    'base64_decode(s)',
    TEXT_OUT,
    'the string whose UTF-8 bytes these are; also of the alphabet for URLs, padded or not',
    [TEXT],
    (s) => unbase64(s),
  ),
];

function utf8(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes, 0, bytes.length) ? textOf(bytes, 0, bytes.length) : undefined;
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [a, b, c] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
    const word = (a << 16) | (b << 8) | c;
    const left = bytes.length - at;
    for (let place = 0; place < 4; place++) {
      text += place > left ? '=' : ALPHABET[(word >> (18 - place * 6)) & 63];
    }
  }
  return text;
}

function unbase64(text: string): string | undefined {
  const digits = text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replace(/={1,2}$/, '');
  if (digits.length % 4 === 1 || (text.endsWith('=') && text.length % 4 !== 0)) return undefined;
  const bytes: number[] = [];
  let word = 0;
  let bits = 0;
  for (const digit of digits) {
    const value = ALPHABET.indexOf(digit);
    if (value < 0) return undefined;
    word = ((word << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((word >> bits) & 0xff);
    }
  }
  // What is left of the last digit must be empty, so that each text has one base64 only.
  if ((word & ((1 << bits) - 1)) !== 0) return undefined;
  return utf8(Uint8Array.from(bytes));
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function fnv1a(bytes: Uint8Array): bigint {
  let [high, low] = [0xcbf29ce4, 0x84222325];
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    // Times 2^40 + 435, in two words.
    const product = low * 435;
    const carry = Math.floor(product / 2 ** 32);
    high = (Math.imul(high, 435) + carry + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
}

/** FIPS 180-4. The constants are the fractions of roots of primes, computed once in ints. */
const PRIMES = firstPrimes(64);
const ROUND_WORDS = Uint32Array.from(PRIMES, (prime) => rootFraction(prime, 3n));
const START_WORDS = Uint32Array.from(PRIMES.slice(0, 8), (prime) => rootFraction(prime, 2n));

export function sha256(message: Uint8Array): Uint8Array {
  const blocks = Math.floor((message.length + 8) / 64) + 1;
  const padded = new Uint8Array(blocks * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(message.length) * 8n);
  const state = START_WORDS.slice();
  const schedule = new Uint32Array(64);
  for (let block = 0; block < blocks; block++) {
    for (let index = 0; index < 16; index++) {
      schedule[index] = view.getUint32(block * 64 + index * 4);
    }
    compress(state, schedule);
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setUint32(index * 4, word));
  return new Uint8Array(digest.buffer);
}

function compress(state: Uint32Array, schedule: Uint32Array): void {
  const at = (index: number): number => schedule[index] as number;
  for (let index = 16; index < 64; index++) {
    const [x, y] = [at(index - 15), at(index - 2)];
    const low = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    const high = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
    schedule[index] = at(index - 16) + low + at(index - 7) + high;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let index = 0; index < 64; index++) {
    const choice = (e & f) ^ (~e & g);
    const first =
      h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + choice + (ROUND_WORDS[index] as number);
    const sum = (first + at(index)) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + majority;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + sum) | 0, c, b, a, (sum + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => {
    state[index] = (state[index] as number) + word;
  });
}

function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let one = 2; primes.length < count; one++) {
    if (primes.every((prime) => one % prime !== 0)) primes.push(one);
  }
  return primes;
}

/** The first 32 bits behind the point of the square or cube root. */
function rootFraction(prime: number, degree: bigint): number {
  const target = BigInt(prime) << (32n * degree);
  let root = 0n;
  for (let bit = 1n << 40n; bit > 0n; bit >>= 1n) {
    if ((root | bit) ** degree <= target) root |= bit;
  }
  return Number(root & 0xffffffffn);
}
