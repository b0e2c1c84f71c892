/**
 * The text format of language scripts (docs/TESTING.md): cases of blocks, each block an input,
 * `----` and what is expected. Reading keeps every input line, so that a file can be written back
 * with new expectations.
 */

export interface PolicyInput {
  readonly kind: 'policy';
  readonly name: string;
  /** Without its indentation; undefined: the policy goes away. */
  readonly text: string | undefined;
}
/**
 * `source nova` with `servers(id: string, n: int)` or `servers/2` a line; `declared`: there are no
 * others.
 */
export interface SourceInput {
  readonly kind: 'source';
  readonly name: string;
  readonly declared: boolean;
  readonly tables: readonly string[];
}
/** Atoms as written, `t:edge(1, 2), t:edge(2, 3)`. */
export interface RowsInput {
  readonly kind: 'insert' | 'delete' | 'replace';
  readonly atoms: string;
}
export interface QueryInput {
  readonly kind: 'query';
  readonly text: string;
  /** Where unqualified names are looked for. */
  readonly policy: string | undefined;
}
export type Input = PolicyInput | SourceInput | RowsInput | QueryInput;

export interface Block {
  /** Line of the file where it starts, from 1. */
  readonly line: number;
  readonly inputLines: readonly string[];
  readonly inputs: readonly Input[];
  readonly expected: readonly string[];
}
export interface ScriptCase {
  readonly title: string;
  /** Lines between the title and the first block. */
  readonly comments: readonly string[];
  readonly blocks: readonly Block[];
}

const TITLE = '==== ';
const SEPARATOR = '----';

export function parseScript(text: string): ScriptCase[] {
  const cases: ScriptCase[] = [];
  const lines = text.replace(/\n$/, '').split('\n');
  let at = 0;
  const skipBlank = (): void => {
    while (at < lines.length && (lines[at] as string).trim() === '') at++;
  };
  for (skipBlank(); at < lines.length; skipBlank()) {
    const title = lines[at] as string;
    if (!title.startsWith(TITLE))
      throw new Error(`line ${at + 1}: a case starts with \`${TITLE}\``);
    at++;
    const comments: string[] = [];
    for (; lines[at]?.startsWith('# ') === true; at++) comments.push(lines[at] as string);
    const blocks: Block[] = [];
    for (skipBlank(); at < lines.length && !lines[at]?.startsWith(TITLE); skipBlank()) {
      const line = at + 1;
      const end = lines.indexOf(SEPARATOR, at);
      if (end < 0) throw new Error(`line ${line}: a block needs a line \`${SEPARATOR}\``);
      const inputLines = lines.slice(at, end);
      const expected: string[] = [];
      for (at = end + 1; at < lines.length && lines[at] !== ''; at++)
        expected.push(lines[at] as string);
      blocks.push({ line, inputLines, inputs: parseInputs(inputLines, line), expected });
    }
    cases.push({ title: title.slice(TITLE.length), comments, blocks });
  }
  return cases;
}

/** The file with other expectations: one list of lines a block. */
export function printScript(
  cases: readonly ScriptCase[],
  expectations: (block: Block) => readonly string[],
): string {
  const printed = cases.map(({ title, comments, blocks }) => {
    const parts = blocks.map((block) =>
      [...block.inputLines, SEPARATOR, ...expectations(block)].join('\n'),
    );
    return [[TITLE + title, ...comments].join('\n'), ...parts].join('\n\n');
  });
  return `${printed.join('\n\n')}\n`;
}

function parseInputs(lines: readonly string[], firstLine: number): Input[] {
  const inputs: Input[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at] as string;
    const place = firstLine + at++;
    if (line.trim() === '') continue;
    const indented: string[] = [];
    for (; lines[at]?.startsWith('  ') || lines[at] === ''; at++) {
      indented.push((lines[at] as string).slice(2));
    }
    inputs.push(parseInput(line, indented, place));
  }
  return inputs;
}

function parseInput(line: string, indented: readonly string[], place: number): Input {
  const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
  switch (word) {
    case 'policy':
      return { kind: 'policy', name: rest, text: `${indented.join('\n')}\n` };
    case 'drop':
      return { kind: 'policy', name: rest, text: undefined };
    case 'source': {
      const [name = '', declared] = rest.split(' ');
      const tables = indented.filter((table) => table !== '');
      return { kind: 'source', name, declared: declared === 'declared', tables };
    }
    case 'insert':
    case 'delete':
    case 'replace':
      return { kind: word, atoms: [rest, ...indented].join(' ') };
    default: {
      const query = /^query(?:@(\S+))?$/.exec(word);
      if (query === null) throw new Error(`line ${place}: unknown word \`${word}\``);
      return { kind: 'query', text: rest, policy: query[1] };
    }
  }
}
