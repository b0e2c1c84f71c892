/**
 * What a program is compiled against: the policies with their texts, the sources with their
 * tables.
 */
import { NAME_BYTES_MAX } from '../limits.ts';
import { exceedsUtf8 } from './source-text.ts';
import type { Column } from './stratified.ts';

export interface CatalogPolicy {
  readonly name: string;
  readonly text: string;
}
export interface CatalogTable {
  readonly name: string;
  readonly arity: number;
  readonly columns?: readonly Column[];
}
export interface CatalogSource {
  readonly name: string;
  readonly tables: readonly CatalogTable[];
  /** The tables are all that there will be: another name is an error, not "not there yet". */
  readonly declared: boolean;
}
/** The order of policies, sources and tables does not matter. */
export interface Catalog {
  readonly policies: readonly CatalogPolicy[];
  readonly sources: readonly CatalogSource[];
}

/** Owners that are no policies: builtins, actions, and what the system tells about itself. */
export const RESERVED_OWNERS: ReadonlySet<string> = new Set(['builtin', 'execute', 'system']);

/** Rows that the system keeps itself; rules may read them. */
export const SYSTEM_TABLES: readonly CatalogTable[] = [
  {
    name: 'errors',
    arity: 4,
    columns: [
      { name: 'policy', type: 'string' },
      { name: 'rule', type: 'int' },
      { name: 'literal', type: 'string' },
      { name: 'inputs', type: 'string' },
    ],
  },
  {
    name: 'key_violations',
    arity: 2,
    columns: [
      { name: 'table', type: 'string' },
      { name: 'key', type: 'string' },
    ],
  },
  {
    name: 'failed',
    arity: 3,
    columns: [
      { name: 'policy', type: 'string' },
      { name: 'table', type: 'string', nullable: true },
      { name: 'code', type: 'string' },
    ],
  },
  {
    name: 'now',
    arity: 2,
    columns: [
      { name: 'time', type: 'string' },
      { name: 'seconds', type: 'int' },
    ],
  },
  {
    name: 'sources',
    arity: 6,
    columns: [
      { name: 'name', type: 'string' },
      { name: 'kind', type: 'string' },
      { name: 'generation', type: 'int', nullable: true },
      { name: 'owner', type: 'string', nullable: true },
      { name: 'stale', type: 'bool' },
      { name: 'reason', type: 'string', nullable: true },
    ],
  },
];

/** Of those the ones that the engine computes; the others are rows of the state. */
export const DERIVED_SYSTEM_TABLES: ReadonlySet<string> = new Set(['errors', 'key_violations']);

/** Why a policy or source cannot have this name; undefined if it can. */
export function ownerNameProblem(name: string): string | undefined {
  if (name === '') return 'a policy needs a name';
  // oxlint-disable-next-line no-control-regex
  if (/[:\u0000-\u001f\u007f-\u009f]/.test(name)) {
    return `\`${name}\` holds a colon or a control character`;
  }
  if (RESERVED_OWNERS.has(name)) return `\`${name}\` is a name of the language`;
  if (exceedsUtf8(name, NAME_BYTES_MAX)) {
    return `the name is longer than ${NAME_BYTES_MAX} bytes`;
  }
  return undefined;
}
