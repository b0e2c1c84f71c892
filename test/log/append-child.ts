/**
 * Appends to a log, several at a time, and prints each offset once it is acknowledged, until it is
 * killed.
 */
import { lockDataDirectory } from '../../host/log/data-lock.ts';
import { openFileLog } from '../../host/log/file-log.ts';
import { nodeDisk } from '../../host/log/node-disk.ts';

const directory = process.argv[2] as string;
lockDataDirectory(directory);
const options = {
  disk: nodeDisk,
  directory: `${directory}/log`,
  now: Date.now,
  segmentBytes: 200_000,
};
const log = await openFileLog(options);
await log.ensureTopic('a');
let { end: counter } = await log.bounds('a');

async function appendForEver(): Promise<never> {
  for (;;) {
    const mine = counter++;
    const { first } = await log.append('a', [
      Buffer.from(`${mine} ${'x'.repeat((mine * 37) % 3000)}`),
    ]);
    process.stdout.write(`${first} ${mine}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, appendForEver));
