/**
 * All functions of the language, and the one way to call them. What a name, a documentation or a
 * test is about is read from here. The functions are pure: the same inputs give the same bytes on
 * every replica and every Node.
 */
import { CaucusError } from '../errors.ts';
import { FUNCTION_BYTES_MAX } from '../limits.ts';
import { RowBlockReader } from '../value/row-block-reader.ts';
import { RowBlockWriter } from '../value/row-block.ts';
import type { Value } from '../value/value.ts';
import { CONGRESS_FUNCTIONS } from './congress.ts';
import type { FunctionDefinition } from './definition.ts';
import { DOCUMENT_FUNCTIONS } from './documents.ts';
import { HASH_FUNCTIONS } from './hashes.ts';
import { LIST_FUNCTIONS } from './lists.ts';
import { NETWORK_FUNCTIONS } from './networks.ts';
import { NUMBER_FUNCTIONS } from './numbers.ts';
import { resetWork } from './regex/regex.ts';
import { REGEX_FUNCTIONS } from './regexes.ts';
import { STRING_FUNCTIONS } from './strings.ts';
import { TIME_FUNCTIONS } from './times.ts';
import { TYPE_FUNCTIONS } from './types.ts';

export const FUNCTIONS: readonly FunctionDefinition[] = [
  ...STRING_FUNCTIONS,
  ...REGEX_FUNCTIONS,
  ...NUMBER_FUNCTIONS,
  ...HASH_FUNCTIONS,
  ...LIST_FUNCTIONS,
  ...DOCUMENT_FUNCTIONS,
  ...NETWORK_FUNCTIONS,
  ...TIME_FUNCTIONS,
  ...TYPE_FUNCTIONS,
  ...CONGRESS_FUNCTIONS,
];

const BY_NAME: ReadonlyMap<string, FunctionDefinition> = new Map(
  FUNCTIONS.flatMap((one) => [one.name, ...one.aliases].map((name) => [name, one] as const)),
);

/** By its name or an alias. */
export function functionNamed(name: string): FunctionDefinition | undefined {
  return BY_NAME.get(name);
}

/** Every name, aliases too. */
export const FUNCTION_NAMES: readonly string[] = [...BY_NAME.keys()];

/** Numbers are this process' own: they are in no log and no checkpoint. */
const NUMBERS: ReadonlyMap<string, number> = new Map(
  FUNCTIONS.map((one, index) => [one.name, index]),
);

/** The number by which the core calls the function of a name (no alias). */
export function functionNumber(name: string): number {
  const number = NUMBERS.get(name);
  if (number === undefined) throw new Error(`no function \`${name}\``);
  return number;
}

export function takesCount(
  { inputs, optional, isVariadic }: FunctionDefinition,
  count: number,
): boolean {
  if (isVariadic) return true;
  return count <= inputs.length && count >= inputs.length - optional;
}

/** The value of a call, or undefined where it fails. */
export function callFunction(name: string, inputs: readonly Value[]): Value | undefined {
  const definition = functionNamed(name);
  if (definition === undefined) throw new Error(`no function \`${name}\``);
  const bytes = callDefinition(definition, encodeValues(inputs), inputs.length);
  return bytes === undefined ? undefined : decodeValues(bytes, 1)[0];
}

/**
 * The same as bytes of a row block: `count` values one after another, and the value. Inputs or a
 * value of more than `FUNCTION_BYTES_MAX` fail: that bounds what one call can cost.
 */
export function callNumber(
  number: number,
  inputs: Uint8Array,
  count: number,
): Uint8Array | undefined {
  // The core is not trusted to know which functions there are, and what they take.
  const definition = FUNCTIONS[number];
  if (definition === undefined || !takesCount(definition, count)) return undefined;
  return callDefinition(definition, inputs, count);
}

function callDefinition(
  definition: FunctionDefinition,
  inputs: Uint8Array,
  count: number,
): Uint8Array | undefined {
  resetWork();
  if (inputs.length > FUNCTION_BYTES_MAX) return undefined;
  try {
    const value = definition.apply(decodeValues(inputs, count));
    if (value === undefined) return undefined;
    const bytes = encodeValues([value]);
    return bytes.length > FUNCTION_BYTES_MAX ? undefined : bytes;
  } catch (error) {
    // What is no value (a float that is not finite, too many levels, a date beyond years).
    if (error instanceof CaucusError) return undefined;
    throw error;
  }
}

function encodeValues(values: readonly Value[]): Uint8Array {
  const writer = new RowBlockWriter();
  writer.appendRow(values);
  return writer.finish().bytes;
}

function decodeValues(bytes: Uint8Array, count: number): Value[] {
  const reader = new RowBlockReader({ arity: count, count: 1, bytes });
  return Array.from({ length: count }, () => reader.readValue());
}
