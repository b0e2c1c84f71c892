/** Data that cannot be used: the start says what to do, ends with 1 and leaves the data alone. */
import assert from 'node:assert/strict';
import {
  cp,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { crc32c } from '../../host/log/crc32c.ts';
import { openSqlite } from '../../host/store/sqlite.ts';
import { inFolder } from '../cli/run-cli.ts';
import { ServerProcess } from '../support/server-process.ts';

/** The log and the checkpoints, by file; the database has a journal of its own. */
async function contentsOf(folder: string): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for (const name of await readdir(folder, { recursive: true })) {
    const file = path.join(folder, name);
    if (!/\.(log|checkpoint)$/.test(name)) continue;
    contents.set(name, (await readFile(file)).toString('latin1'));
  }
  return contents;
}

async function flip(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 0x40;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

const logFile = (data: string): string => path.join(data, 'log', '0000000001.log');

async function checkpointsIn(data: string): Promise<string[]> {
  const folder = path.join(data, 'checkpoints');
  return (await readdir(folder)).sort().map((name) => path.join(folder, name));
}

/** A data directory with some revisions; with `clean` closed, so that there are two checkpoints. */
async function withData(clean: boolean, work: (cwd: string) => Promise<void>): Promise<void> {
  await inFolder({}, async (cwd) => {
    for (let start = 0; start < 2; start++) {
      const server = await ServerProcess.start(cwd);
      for (let row = 0; row < 5; row++) {
        await server.batch('s', { insert: { t: [[start * 5 + row, 'x'.repeat(50)]] } });
      }
      await server.kill(clean ? 'SIGTERM' : 'SIGKILL');
    }
    await work(cwd);
  });
}

async function expectRefused(cwd: string, code: RegExp): Promise<void> {
  const before = await contentsOf(path.join(cwd, 'data'));
  const server = new ServerProcess(cwd);
  assert.equal(await server.ended, 1, server.stderr);
  assert.match(server.stderr, code);
  const { message, note, remedy } = JSON.parse(server.stderr.trim().split('\n').at(-1) ?? '') as {
    message: string;
    note?: string;
    remedy?: string;
  };
  assert.ok(message.length > 0);
  assert.ok((note ?? remedy ?? '').length > 0, `no remedy: ${server.stderr}`);
  assert.doesNotMatch(server.stderr, /\n\s+at |defect/);
  const after = await contentsOf(path.join(cwd, 'data'));
  // A log that was opened may have an empty record more.
  for (const [file, content] of before) {
    assert.ok(after.get(file)?.startsWith(content), `${file} was changed`);
  }
}

async function expectRows(cwd: string, count: number): Promise<void> {
  const server = await ServerProcess.start(cwd);
  const { rows } = (await server.query('s:t(x, _)')).json;
  assert.equal((rows as unknown[]).length, count);
  await server.kill();
}

test('a torn tail is cut: a half record, and bytes that were never a record', async () => {
  await withData(false, async (cwd) => {
    const file = logFile(path.join(cwd, 'data'));
    const { size } = await stat(file);
    await writeFile(file, Buffer.alloc(37, 0xab), { flag: 'a' });
    await expectRows(cwd, 10);
    await truncate(file, size - 3);
    // The last cut is torn; what it named is in the log and is named again.
    await expectRows(cwd, 10);
  });
});

test('damage in the middle is refused', async () => {
  await withData(false, async (cwd) => {
    const file = logFile(path.join(cwd, 'data'));
    await flip(file, Math.floor((await stat(file)).size / 2));
    await expectRefused(cwd, /log_damaged/);
  });
});

test('a damaged newest checkpoint is reported, the one before it and the log do', async () => {
  await withData(true, async (cwd) => {
    const newest = (await checkpointsIn(path.join(cwd, 'data'))).at(-1) as string;
    await flip(newest, Math.floor((await stat(newest)).size / 2));
    const server = await ServerProcess.start(cwd);
    assert.ok(
      server.log.some(({ level, message }) => level === 'warn' && /checkpoint/.test(message)),
    );
    assert.equal(((await server.query('s:t(x, _)')).json['rows'] as unknown[]).length, 10);
    await server.kill();
  });
});

test('a deleted segment is refused: what was acknowledged is gone', async () => {
  await withData(true, async (cwd) => {
    await rm(logFile(path.join(cwd, 'data')));
    await expectRefused(cwd, /log_damaged/);
    // Nothing was made that the next start would take for the log.
    await expectRefused(cwd, /log_damaged/);
  });
});

test('parts of two data directories are not mixed: a log of another, a store of another', async () => {
  await withData(true, async (cwd) => {
    await inFolder({}, async (other) => {
      const server = await ServerProcess.start(other);
      await server.batch('s', { insert: { other: [[1]] } });
      await server.putPolicy('foreign', 'f(1).\n');
      await server.kill('SIGTERM');
      const copy = path.join(cwd, 'mixed');
      await mkdir(copy);
      await cp(path.join(cwd, 'data'), path.join(copy, 'data'), { recursive: true });
      await cp(path.join(other, 'data', 'store.sqlite'), path.join(copy, 'data', 'store.sqlite'));
      await expectRefused(copy, /log_damaged/);
    });
  });
});

test('a data directory of something else, of a newer version, and one that is in use', async () => {
  await withData(true, async (cwd) => {
    const running = await ServerProcess.start(cwd);
    const second = new ServerProcess(cwd);
    assert.equal(await second.ended, 1);
    assert.match(second.stderr, /data_locked/);
    assert.equal((await running.get('/healthz/ready')).status, 200, 'the first one goes on');
    await running.kill();
    await writeFile(logFile(path.join(cwd, 'data')), 'this is no log of caucus, but a text\n');
    await expectRefused(cwd, /log_damaged|unsupported_record/);
  });
});

/** Another digit behind the name of the format, as a later version writes it, checksum and all. */
async function raiseFormat(
  file: string,
  name: string,
  header: (bytes: Buffer) => void,
): Promise<void> {
  const bytes = await readFile(file);
  assert.equal(bytes.subarray(0, 8).toString('latin1'), `${name}1`);
  bytes[7] = '2'.charCodeAt(0);
  header(bytes);
  await writeFile(file, bytes);
}

test('files of a later format: log and database are refused, a checkpoint is passed over', async () => {
  await withData(true, async (cwd) => {
    const data = path.join(cwd, 'data');
    const original = path.join(cwd, 'original');
    await cp(data, original, { recursive: true });
    const segment = (await readdir(path.join(data, 'log'))).sort()[0] as string;
    await raiseFormat(path.join(data, 'log', segment), 'CAUCLOG', (bytes) => {
      const length = bytes.readUInt32LE(8);
      const checksum = crc32c(bytes.subarray(0, length), crc32c(bytes, 0, 0, 12), 16);
      bytes.writeUInt32LE(checksum, 12);
    });
    await expectRefused(cwd, /log_damaged|unsupported_record/);
    await rm(data, { recursive: true });
    await cp(original, data, { recursive: true });
    const file = path.join(data, 'store.sqlite');
    const database = await openSqlite(file);
    const [version] = database.all('SELECT version FROM schema_version', []);
    database.run('UPDATE schema_version SET version = ?', [99]);
    database.close();
    await expectRefused(cwd, /unsupported_record/);
    const again = await openSqlite(file);
    again.run('UPDATE schema_version SET version = ?', [Number(version?.['version'])]);
    again.close();
    await expectRows(cwd, 10);
    const newest = (await checkpointsIn(data)).at(-1) as string;
    await raiseFormat(newest, 'CAUCCKP', (bytes) => {
      bytes.writeUInt32LE(crc32c(bytes, 0, 0, 24), 24);
    });
    await expectRows(cwd, 10);
  });
});
