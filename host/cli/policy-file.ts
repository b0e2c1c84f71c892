/** Policy files and standard input as text: UTF-8 or a problem that says where it is not. */
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { policyNameOfPath } from '../compiler/import-path.ts';
import { codePointCount, firstBadUtf8 } from './line-reader.ts';
import { inputError, withPath } from './problem.ts';

export const STDIN = '-';

export interface PolicyText {
  /** As errors name it. */
  readonly file: string;
  /** Name of the policy. */
  readonly name: string;
  readonly text: string;
}

export async function readPolicyText(file: string): Promise<PolicyText> {
  const bytes = file === STDIN ? await readStdin() : await readFile(file).catch(withPath(file));
  const shown = file === STDIN ? 'stdin' : file;
  return { file: shown, name: policyNameOfPath(shown), text: decodeText(shown, bytes) };
}

export async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A byte order mark at the start is left out. */
export function decodeText(file: string, bytes: Buffer): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  const offset = firstBadUtf8(bytes, 0, bytes.length);
  const lineStart = bytes.lastIndexOf(0x0a, offset) + 1;
  const lineEnd = bytes.indexOf(0x0a, offset);
  let line = 1;
  for (let i = 0; i < lineStart; i++) if (bytes[i] === 0x0a) line++;
  const byte = (bytes[offset] ?? 0).toString(16).padStart(2, '0');
  throw inputError('invalid-utf8', `byte 0x${byte} is no valid UTF-8 here`, {
    file,
    line,
    column: codePointCount(bytes, lineStart, offset) + 1,
    excerpt: bytes.toString('utf8', lineStart, lineEnd < 0 ? bytes.length : lineEnd),
    note: 'save the file as UTF-8',
  });
}
