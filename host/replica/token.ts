/**
 * Tokens: where in which log an answer was. Opaque to clients.
 *
 *   kind u8 | log id: u8 length, UTF-8 | number f64 big-endian | checksum u32 of the rest
 *
 * in base64url without padding. Kind 1: the number is a revision. Kind 2: it is the version of a
 * policy change whose revision was not known when it was answered. The checksum tells a mangled
 * token from one of another log.
 */
import { CaucusError } from '../errors.ts';

const KIND_REVISION = 1;
const KIND_POLICY_VERSION = 2;
const TOKEN_UNITS_MAX = 512;
const LOG_ID_BYTES_MAX = 255;
const FIXED_BYTES = 1 + 1 + 8 + 4;

/** What a token points at. */
export type TokenPoint = { readonly revision: number } | { readonly policyVersion: number };

export function encodeToken(logId: string, revision: number): string {
  return encode(KIND_REVISION, logId, revision);
}

export function encodePolicyToken(logId: string, policyVersion: number): string {
  return encode(KIND_POLICY_VERSION, logId, policyVersion);
}

function encode(kind: number, logId: string, count: number): string {
  const id = idBytes(logId);
  if (id.length > LOG_ID_BYTES_MAX) throw new Error('encodeToken: the log id is too long');
  const bytes = new Uint8Array(FIXED_BYTES + id.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = kind;
  bytes[1] = id.length;
  bytes.set(id, 2);
  view.setFloat64(2 + id.length, count);
  view.setUint32(bytes.length - 4, fnv1a(bytes, bytes.length - 4));
  return toBase64Url(bytes);
}

let lastId = { logId: '', bytes: new Uint8Array(0) };

/** There is a token for each revision, and they are all of one log. */
function idBytes(logId: string): Uint8Array {
  if (lastId.logId !== logId) lastId = { logId, bytes: new TextEncoder().encode(logId) };
  return lastId.bytes;
}

const BASE64_URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Without padding. By hand: `btoa` and what it then needs take ten times as long. */
function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff;
    for (bits += 8; bits >= 6; bits -= 6) text += BASE64_URL.charAt((value >> (bits - 6)) & 63);
  }
  return bits === 0 ? text : text + BASE64_URL.charAt((value << (6 - bits)) & 63);
}

/** What a token of this log points at. Throws `token_invalid` or `token_foreign`. */
export function decodeToken(logId: string, token: string): TokenPoint {
  const bytes = fromBase64Url(token);
  if (bytes === undefined || bytes.length < FIXED_BYTES) throw invalidToken();
  const view = new DataView(bytes.buffer);
  const idLength = bytes[1] as number;
  if (bytes.length !== FIXED_BYTES + idLength) throw invalidToken();
  if (view.getUint32(bytes.length - 4) !== fnv1a(bytes, bytes.length - 4)) throw invalidToken();
  const kind = bytes[0];
  const count = view.getFloat64(2 + idLength);
  if (!Number.isSafeInteger(count) || count < 0) throw invalidToken();
  if (kind !== KIND_REVISION && kind !== KIND_POLICY_VERSION) throw invalidToken();
  if (new TextDecoder().decode(bytes.subarray(2, 2 + idLength)) !== logId) {
    throw new CaucusError('token_foreign', 'the token belongs to another log', {
      remedy: 'drop the token: it was given by another server or before the data was replaced',
    });
  }
  return kind === KIND_REVISION ? { revision: count } : { policyVersion: count };
}

/** The revision in a token of an answer; that of a pending policy change has none yet. */
export function decodeRevision(logId: string, token: string): number {
  const point = decodeToken(logId, token);
  if ('revision' in point) return point.revision;
  throw new CaucusError('token_invalid', 'the token of a pending policy change has no revision', {
    remedy: 'ask with `atLeast` and this token; use the token of that answer from then on',
  });
}

function invalidToken(): CaucusError {
  return new CaucusError('token_invalid', 'the token cannot be read', {
    remedy: 'send a token exactly as an answer gave it',
  });
}

function fromBase64Url(token: string): Uint8Array<ArrayBuffer> | undefined {
  if (token.length > TOKEN_UNITS_MAX || !/^[A-Za-z0-9_-]+$/.test(token)) return undefined;
  let binary: string;
  try {
    binary = atob(token.replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    return undefined;
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Over the first `count` bytes. */
function fnv1a(bytes: Uint8Array, count: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < count; index++) {
    hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  }
  return hash >>> 0;
}
