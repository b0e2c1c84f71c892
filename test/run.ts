/**
 * Runs the tests: `node build/js/test/run.js [word…]`; with words, the files whose path contains
 * one.
 *
 * Node 20 knows no globs and no TypeScript, so the list is made here, from the sources: what an old
 * build left behind does not run. Real components start beside the first tests, if a file of the
 * list needs them, and end with this process. The closing lines are node's own count.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { COMPONENTS, missingComponents, missingText } from '../deploy/loopback/components.ts';
import { skippedText } from './support/components.ts';
import { scriptCommand } from './support/script-command.ts';
import { HANDOVER_VARIABLE, newDirectory, startAndHandOver } from './support/shared-components.ts';

const words = scriptCommand('test', 'Runs the tests. Exit code 1 when one fails.')
  .argument('[words...]', 'run only the files whose paths contain one of them')
  .parse().args;
const sources = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const files = sources.map((file) => path.join('build/js/test', file.replace(/\.ts$/, '.js')));

if (files.length === 0) {
  console.error(`no test file has \`${words.join(' ')}\` in its path`);
  process.exit(2);
}

const needsComponents = sources.some((file) =>
  readFileSync(path.join('test', file), 'utf8').includes('/components.ts'),
);
const handover = needsComponents ? startComponents() : {};

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
  { stdio: 'inherit', env: { ...process.env, ...handover } },
);
// Ctrl-C reaches the runner too; it reports, then we end, and with us the components.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => runner.kill(signal));
}
runner.on('exit', (code) => {
  process.exit(code ?? 1);
});

/** Does not wait: who needs them does. */
function startComponents(): Record<string, string> {
  const directory = newDirectory();
  const file = path.join(directory, 'components.json');
  const missing = missingComponents(COMPONENTS);
  if (missing.length > 0) console.error(skippedText([missingText(missing)]));
  void startAndHandOver(file).then((outcomes) => {
    const failed = outcomes.flatMap((outcome) => ('absent' in outcome ? [outcome.absent] : []));
    if (failed.length > 0 && missing.length === 0) console.error(skippedText(failed));
  });
  return { [HANDOVER_VARIABLE]: file };
}
