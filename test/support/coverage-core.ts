/**
 * Compiles the core with a marker before every statement: `node …/coverage-core.js` writes
 * `build/core.coverage.wasm` and `build/coverage/statements.json`.
 *
 * V8 measures no coverage of WebAssembly. So the sources are rewritten while asc reads them: `a;
 * b;` becomes `__cover(0);a; __cover(1);b;`, on the same lines. A marker calls the host only the
 * first time, so that the whole test-suite runs on this core at nearly its usual speed.
 */
import { readFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';
import { STATEMENTS_FILE, type Statement } from './coverage-files.ts';

const STATEMENTS_MAX = 1 << 16;

const COUNTERS = `
@external("coverage", "hit")
declare function hit(statement: u32): void;
const seen: usize = memory.data(${STATEMENTS_MAX});
export function __cover(statement: u32): void {
  if (load<u8>(seen + statement) == 0) {
    store<u8>(seen + statement, 1);
    hit(statement);
  }
}
`;
const COUNTERS_MODULE = 'engine-as/coverage-counters';

interface Insertion {
  readonly position: number;
  readonly text: string;
}

/** The text with markers; appends what it marked to `statements`. Numbers go on from its length. */
export function instrument(file: string, text: string, statements: Statement[]): string {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true);
  const insertions: Insertion[] = [];
  const mark = (statement: ts.Statement): string => {
    const line = source.getLineAndCharacterOfPosition(statement.getStart(source)).line + 1;
    statements.push({ file, line });
    return `__cover(${statements.length - 1});`;
  };
  const visit = (node: ts.Node): void => {
    if (ts.isStatement(node) && !ts.isBlock(node) && !ts.isFunctionDeclaration(node)) {
      const { parent } = node;
      const start = node.getStart(source);
      if (ts.isBlock(parent) || ts.isCaseClause(parent) || ts.isDefaultClause(parent)) {
        insertions.push({ position: start, text: mark(node) });
      } else if (isBranch(parent)) {
        insertions.push({ position: start, text: `{${mark(node)}` });
        ts.forEachChild(node, visit);
        insertions.push({ position: node.getEnd(), text: '}' });
        return;
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  if (insertions.length === 0) return text;

  const relative = path.posix.relative(path.posix.dirname(file), COUNTERS_MODULE);
  const specifier = relative.startsWith('.') ? relative : `./${relative}`;
  let result = `import { __cover } from '${specifier}';`;
  let copied = 0;
  for (const { position, text: marker } of insertions) {
    result += text.slice(copied, position) + marker;
    copied = position;
  }
  return result + text.slice(copied);
}

/** Parents whose body may be a bare statement. */
function isBranch(parent: ts.Node): boolean {
  return ts.isIfStatement(parent) || ts.isIterationStatement(parent, false);
}

const COMPILER: string = 'assemblyscript/asc';
/**
 * The part of asc's interface that is used; its own types bring the globals of AssemblyScript
 * along.
 */
interface Compiler {
  main(
    args: readonly string[],
    api: { readFile(name: string, directory: string): Promise<string | null> },
  ): Promise<{ readonly error: Error | null; readonly stderr: { toString(): string } }>;
}

async function compile(): Promise<void> {
  const compiler = (await import(COMPILER)) as Compiler;
  const statements: Statement[] = [];
  const readSource = async (name: string, directory: string): Promise<string | null> => {
    const file = path.relative('.', path.resolve(directory, name)).replaceAll('\\', '/');
    if (file === `${COUNTERS_MODULE}.ts`) return COUNTERS;
    const text = await readFile(file, 'utf8').catch(() => null);
    const ours = file.startsWith('engine-as/') && file.endsWith('.ts');
    return text !== null && ours ? instrument(file, text, statements) : text;
  };
  const { error, stderr } = await compiler.main(['engine-as/index.ts', '--target', 'coverage'], {
    readFile: readSource,
  });
  if (error !== null) throw new Error(`${error.message}\n${stderr.toString()}`);
  if (statements.length > STATEMENTS_MAX) {
    throw new Error(`the core has ${statements.length} statements; raise STATEMENTS_MAX`);
  }
  await mkdir(path.dirname(STATEMENTS_FILE), { recursive: true });
  await writeFile(STATEMENTS_FILE, JSON.stringify(statements));
}

if (process.argv[1] === import.meta.filename) await compile();
