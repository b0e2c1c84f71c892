/** Request bodies: content types, limits, deadlines. */
import type { IncomingMessage } from 'node:http';
import { CaucusError } from '../errors.ts';

export type BodyKind = 'json' | 'ndjson' | 'text';

const MEDIA_TYPES: Readonly<Record<string, BodyKind>> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'text/plain': 'text',
};
/** What programs declare where nobody told them that a file is a text; curl does the last. */
const UNDECLARED_TYPES: ReadonlySet<string> = new Set([
  '',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
]);
const NAMES: Readonly<Record<BodyKind, string>> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  text: 'text/plain',
};

/**
 * Throws `unsupported_media_type` unless the body is declared as one of `accepted`, in UTF-8, not
 * compressed. Where texts are accepted, they need no declaration: only PUT takes them, which no
 * web page can send without asking first.
 */
export function bodyKind(message: IncomingMessage, accepted: readonly BodyKind[]): BodyKind {
  const header = message.headers['content-type'] ?? '';
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  const remedy = `send \`Content-Type: ${accepted.map((kind) => NAMES[kind]).join('` or `')}\``;
  const isUndeclared = accepted.includes('text') && UNDECLARED_TYPES.has(type);
  const kind = isUndeclared ? 'text' : MEDIA_TYPES[type];
  if (kind === undefined || !accepted.includes(kind)) {
    const what =
      header === ''
        ? 'the body has no content type'
        : `the content type \`${header}\` is not served here`;
    throw new CaucusError('unsupported_media_type', what, { remedy });
  }
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  if (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset)) {
    throw new CaucusError('unsupported_media_type', `\`${charset}\` is not served here`, {
      remedy: 'send the body in UTF-8',
    });
  }
  const encoding = message.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw new CaucusError('unsupported_media_type', `the encoding \`${encoding}\` is not served`, {
      remedy: 'send the body without compression',
    });
  }
  return kind;
}

export interface BodyLimits {
  readonly bytesMax: number;
  /** Between two pieces. */
  readonly idleMsMax: number;
}

/** The pieces of a body. Throws `too_large`, `request_timeout`, `invalid_request` (cut off). */
export async function* bodyPieces(
  message: IncomingMessage,
  { bytesMax, idleMsMax }: BodyLimits,
): AsyncGenerator<Uint8Array, void, undefined> {
  const declared = Number(message.headers['content-length'] ?? 0);
  if (declared > bytesMax) throw tooLarge(bytesMax);
  let bytes = 0;
  // Without `destroyOnReturn: false` an error of ours would cut the socket before its answer.
  const pieces = message.iterator({ destroyOnReturn: false });
  for (;;) {
    const { done, value } = await nextInTime(pieces, idleMsMax);
    if (done === true) return;
    const piece = value as Uint8Array;
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    yield piece;
  }
}

async function nextInTime(
  pieces: AsyncIterator<unknown>,
  idleMsMax: number,
): Promise<IteratorResult<unknown>> {
  let timer: NodeJS.Timeout | undefined;
  const idle = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const remedy = 'send it again, without pauses';
      reject(new CaucusError('request_timeout', 'the body did not arrive in time', { remedy }));
    }, idleMsMax);
  });
  try {
    return await Promise.race([pieces.next(), idle]);
  } catch (error) {
    if (error instanceof CaucusError) throw error;
    throw new CaucusError('invalid_request', 'the body was cut off', {
      remedy: 'send it again',
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** The whole body. */
export async function readBody(message: IncomingMessage, limits: BodyLimits): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bodyPieces(message, limits)) pieces.push(piece);
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
}

/** Throws `invalid_request` for bytes that are no UTF-8. */
export function textOfBody(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CaucusError('invalid_request', 'the body is not valid UTF-8', {
      remedy: 'save the text as UTF-8',
      cause,
    });
  }
}

function tooLarge(bytesMax: number): CaucusError {
  return new CaucusError('too_large', `the body is larger than ${bytesMax} bytes`, {
    remedy: 'send it in several requests, or a batch as NDJSON',
    details: { bytesMax },
  });
}
