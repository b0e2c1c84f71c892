/**
 * Values that hold values: lists and documents (JSON objects). Both are immutable, and both are
 * compared by what they hold; their bytes are in `row-block.ts`, their texts in `value.ts`.
 */
import { CaucusError } from '../errors.ts';
import { VALUE_DEPTH_MAX } from '../limits.ts';
import { compareStrings } from './string-order.ts';
import type { Value } from './value.ts';

/** Any values, in their order; the same one may stand in it twice. */
export class List {
  readonly items: readonly Value[];
  /** Levels of lists and documents, this one included. */
  readonly depth: number;

  /** Throws `invalid_row` for more than `VALUE_DEPTH_MAX` levels. */
  constructor(items: readonly Value[]) {
    this.items = items;
    this.depth = depthOf(items);
  }
}

/** Names (strings, each once) and their values. The order in which they were given is not kept. */
export class Document {
  readonly members: ReadonlyMap<string, Value>;
  /** Levels of lists and documents, this one included. */
  readonly depth: number;

  /** Of two entries with one name the later one counts. Throws as `List` does. */
  constructor(entries: Iterable<readonly [string, Value]>) {
    const given = new Map(entries);
    const names = [...given.keys()].sort(compareStrings);
    this.members = new Map(names.map((name) => [name, given.get(name) as Value]));
    this.depth = depthOf(this.members.values());
  }
}

function depthOf(values: Iterable<Value>): number {
  let depth = 1;
  for (const value of values) {
    if (value instanceof List || value instanceof Document) {
      depth = Math.max(depth, value.depth + 1);
    }
  }
  if (depth <= VALUE_DEPTH_MAX) return depth;
  throw new CaucusError('invalid_row', `a value has more than ${VALUE_DEPTH_MAX} levels`, {
    remedy: 'send a flatter value',
  });
}
