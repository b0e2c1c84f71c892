import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The programs behind `npm run`, each with its script's name. */
function programs(): [name: string, file: string][] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    scripts: Record<string, string>;
  };
  return Object.entries(scripts).flatMap(([name, command]) => {
    const file = /node (?:--enable-source-maps )?(build\/js\/\S+\.js)$/.exec(command)?.[1];
    return file === undefined ? [] : [[name, file]];
  });
}

function run(file: string, flag: string): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [file, flag], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

test('each program behind `npm run` has a usage, and refuses flags that it does not know', async () => {
  const all = programs();
  assert.deepEqual(
    all.map(([name]) => name),
    ['test', 'cluster', 'bench', 'simulate', 'fuzz', 'test:cluster', 'coverage'],
  );
  for (const [name, file] of all) {
    const [help, unknown] = await Promise.all([run(file, '--help'), run(file, '--no-such-flag')]);
    assert.equal(help.code, 0, name);
    assert.match(help.stdout, new RegExp(`npm run ${name} -- `), name);
    assert.equal(help.stderr, '', name);
    assert.equal(unknown.code, 2, name);
    assert.match(unknown.stderr, /^error: .*--no-such-flag/, name);
    assert.doesNotMatch(unknown.stderr, /^ +at /m, `${name}: no stack`);
    assert.equal(unknown.stdout, '', name);
  }
});
