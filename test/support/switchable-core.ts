/**
 * The core with its decoder's checks numbered: which of them refused something can be read, and
 * each can be switched off. Compiled from the sources, which are rewritten while asc reads them.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Core } from '../../host/engine/core.ts';

const DECODER = 'engine-as/program-decoder.ts';
const CHECKS_MAX = 256;
const DEFINITION = 'function check(condition: bool): bool {';
const NUMBERED = `
const checks: usize = memory.data(${2 * CHECKS_MAX});
export function checksAddress(): usize {
  return checks;
}
function checkOf(number: u32, condition: bool): bool {
  if (!condition) {
    if (problem == 0) store<u8>(checks + number, 1);
    if (load<u8>(checks + ${CHECKS_MAX} + number) == 0) fail(STATUS_BAD_PROGRAM);
  }
  return problem == 0;
}
`;

const COMPILER: string = 'assemblyscript/asc';
interface Compiler {
  main(
    args: readonly string[],
    api: { readFile(name: string, directory: string): Promise<string | null> },
  ): Promise<{ readonly error: Error | null; readonly stderr: { toString(): string } }>;
}

export interface SwitchableCore {
  readonly wasm: Uint8Array;
  /** `line: text` of each check, by its number. */
  readonly checks: readonly string[];
}

export async function compileSwitchableCore(): Promise<SwitchableCore> {
  const compiler = (await import(COMPILER)) as Compiler;
  const checks: string[] = [];
  const folder = await mkdtemp(path.join(tmpdir(), 'caucus-core-'));
  try {
    const outFile = path.join(folder, 'core.wasm');
    const { error, stderr } = await compiler.main(
      ['engine-as/index.ts', '--target', 'coverage', '--outFile', outFile, '--optimizeLevel', '1'],
      {
        async readFile(name, directory) {
          const file = path.relative('.', path.resolve(directory, name)).replaceAll('\\', '/');
          const text = await readFile(file, 'utf8').catch(() => null);
          if (text !== null && file === DECODER) return numbered(text, checks);
          if (file !== 'engine-as/index.ts') return text;
          return `${text}\nexport { checksAddress } from './program-decoder';\n`;
        },
      },
    );
    if (error !== null) throw new Error(`${error.message}\n${stderr.toString()}`);
    return { wasm: await readFile(outFile), checks };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function numbered(text: string, checks: string[]): string {
  const at = text.indexOf(DEFINITION);
  if (at < 0) throw new Error(`${DECODER} has no \`${DEFINITION}\``);
  const lines = text.split('\n').map((line, index) => {
    if (line === DEFINITION || line.trimStart().startsWith('*')) return line;
    return line.replace(/\bcheck\(/g, () => {
      checks.push(`${index + 1}: ${line.trim()}`);
      return `checkOf(${checks.length - 1}, `;
    });
  });
  if (checks.length > CHECKS_MAX) throw new Error(`raise CHECKS_MAX: ${checks.length} checks`);
  return lines.join('\n').replace(DEFINITION, `${NUMBERED}${DEFINITION}`);
}

function bytesOf(core: Core, from: number): Uint8Array {
  const exports = core.exports as unknown as { checksAddress(): number };
  return new Uint8Array(core.exports.memory.buffer, exports.checksAddress() + from, CHECKS_MAX);
}

/** Numbers of the checks that were the first to refuse something. */
export function refusals(core: Core): number[] {
  const seen = bytesOf(core, 0);
  return [...seen.keys()].filter((number) => seen[number] === 1);
}

export function switchOff(core: Core, numbers: readonly number[]): void {
  const switches = bytesOf(core, CHECKS_MAX);
  for (const number of numbers) switches[number] = 1;
}
