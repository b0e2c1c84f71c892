/**
 * A text of YAML whose secrets are blotted out, line by line, so that a line of it can be shown. It
 * may have errors, so this looks at lines and not at the structure, and blots out rather too much.
 */
import { nearestName } from '../compiler/nearest-name.ts';

const BLOT = '********';
const SECRET_WORD = /password|passwd|secret|token|connection|transport_url/i;
const SECRET_NAMES = ['password', 'secret', 'connection', 'transport_url'];
/** Indentation, dashes of a list, quote, the name of the option. */
const LINE = /^([ \t]*(?:- +)*)(["']?)([\w.-]*)/;
const NAME_IN_FLOW = /[{,]\s*["']?([\w.-]+)["']?(?=\s*:)/g;

/** `isKnown`: names whose values are no secrets, unless the names sound so. */
export function withoutSecrets(
  lines: readonly string[],
  isKnown: (name: string) => boolean,
): string[] {
  const isSecret = (name: string): boolean => !isKnown(name) || soundsSecret(name);
  let secretIndent: number | undefined;
  return lines.map((line) => {
    if (line.trim() === '') return line;
    const [head = '', indentation = '', , name = ''] = LINE.exec(line) ?? [];
    if (secretIndent !== undefined && indentation.length > secretIndent) return indentation + BLOT;
    const isName = name !== '' && /^["']?(:?\s|:?$)/.test(line.slice(head.length));
    const hasMore = line.slice(head.length).trim() !== '';
    let end = isName && hasMore && isSecret(name) ? head.length : undefined;
    for (const match of end === undefined ? line.matchAll(NAME_IN_FLOW) : []) {
      if (isSecret(match[1] ?? '')) end ??= match.index + match[0].length;
    }
    secretIndent = end === undefined ? undefined : indentation.length;
    return end === undefined ? line : `${line.slice(0, end)}: ${BLOT}`;
  });
}

/** Also with a slip of the fingers in it. */
function soundsSecret(name: string): boolean {
  if (name.endsWith('_file')) return false;
  return SECRET_WORD.test(name) || nearestName(name, SECRET_NAMES) !== undefined;
}
