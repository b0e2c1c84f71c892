/**
 * Queries with parameters: `$name` stands where a constant may stand, and is replaced by one,
 * printed as the language writes it.
 */
import { CaucusError } from '../errors.ts';
import { valueOfJson } from '../value/json.ts';
import type { JsonObject } from '../value/json.ts';
import { formatValue } from '../value/value.ts';

export interface PreparedQuery {
  readonly policy: string | undefined;
  /** Names in the order of first appearance. */
  readonly parameters: readonly string[];
  /**
   * The query with the arguments in place. Throws `invalid_request` for missing, unknown or
   * non-scalar ones.
   */
  bind(args: JsonObject): string;
}

/**
 * Comments and strings, in which a `$` means nothing, or a parameter. An unclosed one is left to
 * the compiler.
 */
const PIECES =
  /\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|\$([A-Za-z_][A-Za-z0-9_]*)/g;

export function prepareQuery(text: string, policy: string | undefined): PreparedQuery {
  /** Text, parameter, text, parameter … text. */
  const pieces: string[] = [];
  let from = 0;
  for (const match of text.matchAll(PIECES)) {
    if (match[1] === undefined) continue;
    pieces.push(text.slice(from, match.index), match[1]);
    from = match.index + match[0].length;
  }
  pieces.push(text.slice(from));
  const parameters = [...new Set(pieces.filter((_, index) => index % 2 === 1))];
  return {
    policy,
    parameters,
    bind(args) {
      checkNames(parameters, args);
      const literals = new Map(parameters.map((name) => [name, literalOf(name, args[name])]));
      return pieces
        .map((piece, index) => (index % 2 === 1 ? (literals.get(piece) ?? '') : piece))
        .join('');
    },
  };
}

function checkNames(parameters: readonly string[], args: JsonObject): void {
  const listed = parameters.map((name) => `\`${name}\``).join(', ') || 'none';
  const remedy = `the parameters are: ${listed}`;
  for (const name of Object.keys(args)) {
    if (parameters.includes(name)) continue;
    throw new CaucusError('invalid_request', `the query has no parameter \`${name}\``, { remedy });
  }
  for (const name of parameters) {
    if (args[name] !== undefined) continue;
    throw new CaucusError('invalid_request', `the parameter \`${name}\` has no value`, { remedy });
  }
}

function literalOf(name: string, value: JsonObject[string] | undefined): string {
  if (value === undefined) throw new Error(`no value of \`${name}\``);
  const literal = formatValue(valueOfJson(value));
  // `x-$n` with −1 must not become the start of something else: `x--1`.
  return literal.startsWith('-') ? ` ${literal}` : literal;
}
