/**
 * Answers as JSON text: plain objects of the host, errors, and rows that are too many to build as
 * one string.
 */
import type { Diagnostic } from '../compiler/diagnostic.ts';
import { CaucusError } from '../errors.ts';
import { blockToJsonBytes } from '../value/block-json.ts';
import { RawJson, stringifyJson } from '../value/json.ts';
import type { JsonInput } from '../value/json.ts';
import { splitBlock } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';

const encoder = new TextEncoder();
const COMMA = 0x2c;

/** Where a client is told to come back and no time is known. */
const RETRY_AFTER_MS = 1_000;

/**
 * Shows a diagnostic with its line and carets; given by the main program, which knows the compiler.
 */
export type RenderDiagnostic = (diagnostic: Diagnostic, text: string) => string | undefined;

/**
 * Counts and revisions are whole numbers of JavaScript: they become ints, all else as in
 * `stringifyJson`.
 */
export function jsonOf(value: unknown): string {
  return stringifyJson(inputOf(value));
}

function inputOf(value: unknown): JsonInput {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (value === undefined || value === null) return null;
  if (typeof value !== 'object') return value as JsonInput;
  if (value instanceof RawJson) return value;
  if (Array.isArray(value)) return value.map(inputOf);
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.map(([name, member]) => [name, inputOf(member)]));
}

/**
 * An error as clients see it, on every route and in every frame. What is no `CaucusError` is a
 * defect and shows nothing.
 */
export function errorMembers(error: unknown): Record<string, unknown> {
  if (!(error instanceof CaucusError)) {
    return {
      code: 'internal',
      message: 'an internal error',
      remedy: 'report it with the log of the server',
      retry: 'never',
    };
  }
  const { code, message, remedy, retry, details } = error;
  const members = {
    code,
    message,
    ...(remedy === undefined ? {} : { remedy }),
    retry,
    ...(retry === 'after' ? { afterMs: details['afterMs'] ?? RETRY_AFTER_MS } : {}),
  };
  // Once more at the end: no detail stands in for them.
  return { ...members, ...details, ...members };
}

/** The same error with its diagnostics in the shape of the API. */
export function withDiagnostics(
  error: unknown,
  text: string,
  render: RenderDiagnostic | undefined,
): unknown {
  if (!(error instanceof CaucusError)) return error;
  const diagnostics = error.details['diagnostics'];
  if (!Array.isArray(diagnostics)) return error;
  return new CaucusError(error.code, error.message, {
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    details: { ...error.details, diagnostics: diagnosticsOf(diagnostics, text, render) },
    cause: error,
  });
}

export function diagnosticsOf(
  diagnostics: readonly Diagnostic[],
  text: string,
  render: RenderDiagnostic | undefined,
): Record<string, unknown>[] {
  return diagnostics.map((diagnostic) => {
    const { severity, code, line, column, message, note, source } = diagnostic;
    const rendered = render?.(diagnostic, text);
    return { severity, code, line, column, message, note, source, rendered };
  });
}

/** `[[…],…]` in pieces of about `pieceBytes`, made as they are asked for. */
export function* rowsJson(
  rows: RowBlock,
  pieceBytes: number,
): Generator<Uint8Array, void, undefined> {
  if (rows.arity === 0 || rows.bytes.length <= pieceBytes) {
    yield blockToJsonBytes(rows);
    return;
  }
  let first = true;
  for (const piece of splitBlock(rows, pieceBytes)) {
    const json = blockToJsonBytes(piece);
    // The opening bracket of a later piece becomes the comma between the two.
    if (!first) json[0] = COMMA;
    first = false;
    yield json.subarray(0, json.length - 1);
  }
  yield encoder.encode(']');
}
