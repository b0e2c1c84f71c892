/**
 * Preloaded into a server by a test (`NODE_OPTIONS=--import`): the disk answers before it has
 * written. What a write or an fsync has confirmed reaches the file a moment later, so that a
 * kill -9 loses it. The negative control of the checks for durability.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** How long a write that was confirmed is not there yet. */
const HELD_MS = 400;

const handle = await open(process.execPath, 'r');
const prototype = Object.getPrototypeOf(handle) as FileHandle;
await handle.close();

type Writev = (parts: readonly Uint8Array[], position: number) => Promise<unknown>;
const writev = Reflect.get(prototype, 'writev') as Writev;
Object.assign(prototype, {
  writev(this: FileHandle, parts: readonly Uint8Array[], position: number) {
    const copies = parts.map((part) => part.slice());
    // One that is closed meanwhile loses it too, which is as good.
    setTimeout(() => void writev.call(this, copies, position).catch(() => {}), HELD_MS);
    const bytesWritten = parts.reduce((sum, part) => sum + part.length, 0);
    return Promise.resolve({ bytesWritten, buffers: parts });
  },
  sync: () => Promise.resolve(),
});
