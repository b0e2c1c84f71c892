/** The names of the topics. */
import { CaucusError } from '../errors.ts';
import { NAME_BYTES_MAX } from '../limits.ts';

export const POLICY_TOPIC = 'policy';
export const CUTS_TOPIC = 'cuts';

export function sourceTopic(name: string, incarnation: number): string {
  return `source.${name}.${incarnation}`;
}

const SOURCE_NAME = /^[\p{L}_][\p{L}\p{N}_.-]*$/u;

/** Policies, sources and their tables: throws `invalid_request` for what a rule could not name. */
export function checkName(what: 'policy' | 'source' | 'table', name: string): void {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > NAME_BYTES_MAX) {
    throw new CaucusError('invalid_request', `the ${what} name has ${bytes} bytes`, {
      remedy: `use at most ${NAME_BYTES_MAX} bytes`,
    });
  }
  if (what !== 'table' && RESERVED.has(name)) {
    throw new CaucusError('invalid_request', `the ${what} name \`${name}\` is reserved`, {
      remedy: 'choose another name',
    });
  }
  const fits = what === 'table' ? name.split(':').every((part) => SOURCE_NAME.test(part)) : SOURCE_NAME.test(name);
  if (fits) return;
  throw new CaucusError('invalid_request', `\`${name.slice(0, 80)}\` is no ${what} name`, {
    remedy: 'begin with a letter or `_`, go on with letters, digits, `_`, `.` or `-`',
  });
}

const RESERVED: ReadonlySet<string> = new Set(['system', 'execute', 'builtin']);
