/**
 * What a function of the language is. All that is known of one stands in its definition: the
 * compiler's names, the table of the documentation and the tests come from there.
 */
import type { Value, ValueKind } from '../value/value.ts';
import type { Kind } from './kinds.ts';

/**
 * What a function gives: whether it holds, a value, a fixed number of values (columns), or any
 * number of rows.
 */
export type Output =
  | { readonly kind: 'test' }
  | { readonly kind: 'value'; readonly of: ValueKind | 'number' | 'any' }
  | { readonly kind: 'columns'; readonly names: readonly string[] }
  | { readonly kind: 'rows'; readonly names: readonly string[] };

export interface Input {
  readonly name: string;
  readonly kind: Kind<Value>;
}

export type FunctionGroup =
  | 'strings'
  | 'regular expressions'
  | 'numbers'
  | 'bits and hashes'
  | 'lists'
  | 'documents'
  | 'networks'
  | 'date-times'
  | 'types'
  | 'Congress';

export interface FunctionDefinition {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly group: FunctionGroup;
  readonly inputs: readonly Input[];
  /** So many of the last inputs may be left out. */
  readonly optional: number;
  /** Any number of values of the last input's kind. */
  readonly isVariadic: boolean;
  readonly output: Output;
  /** No table may have its name: it is a builtin of Congress. */
  readonly isReserved: boolean;
  /** One line for the documentation. */
  readonly doc: string;
  /**
   * The value; of a test a boolean, of columns a list of so many values, of rows a list of the rows
   * (values, or lists of them where there are several columns). Undefined: the call fails. A pure
   * function of its inputs, the same on every machine; throws nothing but `CaucusError`, which is a
   * failure too.
   */
  readonly apply: (inputs: readonly Value[]) => Value | undefined;
}

type Values<K extends readonly Kind<Value>[]> = {
  readonly [I in keyof K]: K[I] extends Kind<infer V> ? V : never;
};

interface Options {
  readonly aliases?: readonly string[];
  readonly isReserved?: boolean;
  /** The last input may be there any number of times, or not at all. */
  readonly isVariadic?: boolean;
}

/** Definitions of one group, as they are written in its file. */
export function group(name: FunctionGroup, isReserved = false): Definer {
  return (signature, output, doc, kinds, apply, options = {}) => {
    const [, own = '', list = ''] = /^(\w+)\((.*)\)$/.exec(signature) ?? [];
    const names = list === '' ? [] : list.split(', ').map((one) => one.replace(/\?$/, ''));
    const optional = list === '' ? 0 : list.split(', ').filter((one) => one.endsWith('?')).length;
    if (own === '' || names.length !== kinds.length) throw new Error(`signature \`${signature}\``);
    return {
      name: own,
      aliases: options.aliases ?? [],
      group: name,
      inputs: names.map((input, index) => ({ name: input, kind: kinds[index] as Kind<Value> })),
      optional,
      isVariadic: options.isVariadic ?? false,
      output,
      isReserved: options.isReserved ?? isReserved,
      doc,
      apply: (values) => {
        const read: (Value | undefined)[] = [];
        for (const [index, value] of values.entries()) {
          const place = Math.min(index, kinds.length - 1);
          const input = (kinds[place] as Kind<Value>).read(value);
          if (input === undefined) return undefined;
          read.push(input);
        }
        return apply(...(read as unknown as Values<typeof kinds>));
      },
    };
  };
}

/**
 * `signature`: the name, and the names of the inputs in parentheses, those that may be left out
 * with a `?`.
 */
export type Definer = <const K extends readonly Kind<Value>[]>(
  signature: string,
  output: Output,
  doc: string,
  kinds: K,
  apply: (...values: Values<K>) => Value | undefined,
  options?: Options,
) => FunctionDefinition;

export const TEST: Output = { kind: 'test' };

export function gives(of: ValueKind | 'number' | 'any'): Output {
  return { kind: 'value', of };
}

export function columns(...names: readonly string[]): Output {
  return { kind: 'columns', names };
}

export function rows(...names: readonly string[]): Output {
  return { kind: 'rows', names };
}
