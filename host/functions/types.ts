/** Functions about what a value is. */
import { formatValue, kindOf } from '../value/value.ts';
import { gives, group, TEST } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { ANY, TEXT } from './kinds.ts';

const define = group('types');
const KINDS = 'null bool int float string datetime ip network list document'.split(' ');

export const TYPE_FUNCTIONS: readonly FunctionDefinition[] = [
  define(
    'type_of(x)',
    gives('string'),
    '`"null"`, `"bool"`, `"int"`, `"float"`, `"string"`, `"datetime"`, `"ip"`, `"network"`, ' +
      '`"list"` or `"document"`',
    [ANY],
    (x) => kindOf(x),
  ),
  define(
    'is_a(x, type)',
    TEST,
    'the value is of the type, named as by `type_of`',
    [ANY, TEXT],
    (x, type) => (KINDS.includes(type) ? kindOf(x) === type : undefined),
  ),
  define(
    'string(x)',
    gives('string'),
    'a string as it is; an address, network or date-time as its text; anything else as the language ' +
      'writes it',
    [ANY],
    (x) => {
      if (typeof x === 'string') return x;
      const kind = kindOf(x);
      if (kind === 'ip' || kind === 'network' || kind === 'datetime') return String(x);
      return formatValue(x);
    },
    { aliases: ['to_string'] },
  ),
];
