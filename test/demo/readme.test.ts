/**
 * The README's commands, run as they stand there against a server of their own. What they print
 * must be what the README shows; tokens, which are different in every log, are written `…` in both.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { freePort, Process, runShell, withFolder } from './processes.ts';

interface Step {
  readonly command: string;
  readonly output: readonly string[];
}

/** Commands of the `console` blocks, each with the lines that follow it. */
function steps(markdown: string): Step[] {
  const found: { command: string; output: string[] }[] = [];
  for (const [, block] of markdown.matchAll(/^```console\n([\s\S]*?)^```/gm)) {
    for (const line of (block ?? '').trimEnd().split('\n')) {
      if (line.startsWith('$ ')) found.push({ command: line.slice(2), output: [] });
      else found.at(-1)?.output.push(line);
    }
  }
  return found;
}

function withoutTokens(text: string): string {
  return text.replaceAll(/"token":"[^"]*"/g, '"token":"…"').replaceAll(/^token .*$/gm, 'token …');
}

test('the commands of the README print what it shows', async () => {
  const found = steps(await readFile('README.md', 'utf8'));
  assert.ok(found.length >= 6, `${found.length} commands`);
  await withFolder(async (folder) => {
    const port = await freePort();
    const env = {
      CAUCUS_DATA: folder,
      CAUCUS_PORT: String(port),
      CAUCUS_URL: `http://127.0.0.1:${port}`,
    };
    const running: { process: Process; step: Step }[] = [];
    try {
      for (const step of found) {
        const lines = [...step.output];
        if (step.command.includes(' serve ')) {
          const server = new Process(step.command, env);
          running.push({ process: server, step: { ...step, output: [] } });
          await server.line((line) => line.includes('listens on'));
        } else if (step.command.includes(' subscribe ')) {
          const subscriber = new Process(step.command, env);
          running.push({ process: subscriber, step });
          // The snapshot; what comes later is compared at the end.
          await subscriber.line(() => true);
        } else {
          const output = await runShell(step.command, env);
          assert.deepEqual(withoutTokens(output).trimEnd().split('\n'), lines, step.command);
        }
      }
      for (const { process, step } of running) {
        for (const [index, line] of step.output.entries()) {
          assert.equal(withoutTokens(await process.lineAt(index)), line, step.command);
        }
      }
    } finally {
      for (const { process } of running.toReversed()) await process.stop();
    }
    for (const { process, step } of running) {
      const shown = step.output.length;
      if (shown > 0) assert.equal(process.lines.length, shown, `${step.command} printed more`);
    }
  });
});

test('the policy of the README is the one in examples', async () => {
  const readme = await readFile('README.md', 'utf8');
  assert.ok(readme.includes(await readFile('examples/network/network.policy', 'utf8')));
});
