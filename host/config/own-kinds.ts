/** Kinds of values that only Caucus has. */
import { DRIVER_OPTIONS } from '../../drivers/driver-options.ts';
import { BadValue, text } from './kind.ts';
import type { Kind } from './kind.ts';

/** Shorter secrets can be guessed. */
const SECRET_CHARS_MIN = 16;
/** So that topic names, which begin with it, stay below Kafka's limit. */
const BUS_CHARS_MAX = 124;

export const ANY_TEXT: Kind<string> = text('text', /./s, 'is empty', 'give a value');

export const NODE_ID: Kind<string> = text(
  'name',
  /^[\p{L}\p{N}][\p{L}\p{N}_.-]{0,254}$/u,
  'is no name of a node',
  'use up to 255 letters, digits, `_`, `-` and `.`',
);

export const BUS: Kind<string> = text(
  'name',
  new RegExp(`^[A-Za-z0-9][A-Za-z0-9.]{0,${BUS_CHARS_MAX - 1}}$`),
  'is no bus id',
  `use up to ${BUS_CHARS_MAX} letters, digits and dots`,
);

export const SECRET: Kind<string> = text(
  'text',
  new RegExp(`^[^\\u0000-\\u001f]{${SECRET_CHARS_MIN},1024}$`),
  'is no secret',
  `give ${SECRET_CHARS_MIN} characters or more in one line, as \`openssl rand -hex 32\` makes them`,
);

/** Congress has keystone, which needs code that is not there yet. */
export const AUTH: Kind<'noauth'> = {
  type: 'noauth',
  read(value) {
    if (value === 'noauth') return value;
    throw new BadValue(
      'is not there: nobody can log in to this version of caucus',
      'use `noauth` on a loopback address, behind a proxy that authenticates',
      ['noauth'],
    );
  },
};

export const DRIVER: Kind<string> = {
  type: Object.keys(DRIVER_OPTIONS).join(' | '),
  read(value) {
    if (Object.hasOwn(DRIVER_OPTIONS, value)) return value;
    const names = Object.keys(DRIVER_OPTIONS);
    const list = names.map((name) => `\`${name}\``).join(', ');
    throw new BadValue(
      'is no driver',
      /\./.test(value)
        ? `class paths of Congress mean nothing here; the drivers are ${list}`
        : `the drivers are ${list}`,
      names,
    );
  },
};
