/**
 * Runs a program and kills it (SIGKILL) once it has printed so many lines; resolves to its whole
 * lines.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export async function runAndKill(
  program: URL,
  args: readonly string[],
  lines: number,
): Promise<string[]> {
  const child = spawn(process.execPath, [program.pathname, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  let seen = 0;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    seen += text.split('\n').length - 1;
    if (seen >= lines) child.kill('SIGKILL');
  });
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal !== 'SIGKILL') throw new Error(`${program.pathname} ended by itself: ${errors}`);
  return output.split('\n').slice(0, -1);
}
