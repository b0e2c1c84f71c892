/**
 * Runs the tests: `node build/js/test/run.js [word…]`; with words, the files whose path contains
 * one.
 *
 * Node 20 knows no globs and no TypeScript, so the list is made here, from the sources: what an old
 * build left behind does not run. The closing lines are node's own count.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const words = process.argv.slice(2);
const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort()
  .map((file) => path.join('build/js/test', file.replace(/\.ts$/, '.js')));

if (files.length === 0) {
  console.error(`no test file has \`${words.join(' ')}\` in its path`);
  process.exit(2);
}

// The tree for people; for machines TAP, whose counts come after the failures.
const reporter = process.stdout.isTTY && !process.env['CI'] ? 'spec' : 'tap';
const runner = spawn(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    `--test-concurrency=${availableParallelism()}`,
    `--test-reporter=${reporter}`,
    ...files,
  ],
  { stdio: 'inherit' },
);
runner.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
