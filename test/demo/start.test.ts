import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { packagesFile } from '../support/packages-file.ts';
import { freePort, Process, runShell, withFolder } from './processes.ts';

const SHAPE = { seed: 5, packages: 2000, dependencies: 8000, installed: 300 };

test('npm start without a terminal: its commands work, it ends on SIGINT, its data stays', async () => {
  await withFolder(async (folder) => {
    const list = join(folder, 'status');
    await writeFile(list, packagesFile(SHAPE).text);
    const data = join(folder, 'data');
    const command = `npm start -- --port 0 --data ${data} --packages ${list}`;
    const demo = new Process(command, {});
    const commandOf = async (name: string): Promise<string> => {
      const line = await demo.line((candidate) => candidate.startsWith(`  ${name} `));
      return line.replace(/^\s+\S+\s+/, '');
    };
    assert.match(
      await demo.line((line) => line.includes(' packages, ')),
      /2000 packages, .*300 installed/,
    );

    const subscriber = new Process(`${await commandOf('follow')} --json`, {});
    try {
      await subscriber.lineAt(0);
      await runShell(await commandOf('change'), {});
      const appeared = JSON.parse(await subscriber.lineAt(1)) as { changes: [string, string[]][] };
      await runShell(await commandOf('undo'), {});
      const vanished = JSON.parse(await subscriber.lineAt(2)) as typeof appeared;
      assert.ok(appeared.changes.length > 0);
      assert.ok(appeared.changes.every(([sign, row]) => sign === '+' && row[2] === 'forbidden'));
      const opposite = appeared.changes.map(([, row]) => ['-', row]);
      assert.deepEqual(vanished.changes, opposite);
      assert.match(await runShell(`${await commandOf('ask')} --json`, {}), /"rows":\[\[/);
    } finally {
      await subscriber.stop();
      assert.equal(await demo.stop(), 0);
    }

    const again = new Process(command, {});
    await again.line((line) => line.startsWith('  stop '));
    assert.equal(await again.stop('SIGTERM'), 0);
  });
});

test('npm start: a port in use and an unknown flag are said with what to do', async () => {
  await withFolder(async (folder) => {
    const list = join(folder, 'status');
    await writeFile(
      list,
      packagesFile({ ...SHAPE, packages: 20, dependencies: 20, installed: 20 }).text,
    );
    const port = await freePort();
    const start = (data: string): Process =>
      new Process(
        `npm start -- --port ${port} --data ${join(folder, data)} --packages ${list}`,
        {},
      );
    const first = start('first');
    await first.line((line) => line.startsWith('  stop '));
    const second = await start('second').exit();
    await first.stop();
    assert.equal(second.code, 1);
    assert.match(second.stderr, /another program listens/);
    assert.match(second.stderr, /npm start -- --port/);

    const wrong = await new Process('npm start -- --prot 1', {}).exit();
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--prot/);
    const nothing = await new Process(
      `npm start -- --data ${folder} --packages ${folder}/none.json`,
      {},
    ).exit();
    assert.ok(nothing.code === 1 && nothing.stderr.includes('--packages PATH'), nothing.stderr);
  });
});
