/** Commands as a person runs them: in a shell, where `npx caucus` is the command of this build. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../host/cli/main.js', import.meta.url));
const START = fileURLToPath(new URL('../../host/cli/start.js', import.meta.url));

export type Environment = Readonly<Record<string, string>>;

/** `npx caucus …` and `npm start -- …` become this build's; `exec` so that signals reach node. */
function shellText(command: string): string {
  const node = `"${process.execPath}" --enable-source-maps`;
  const text = command
    .replace(/\bnpx caucus\b/g, `${node} "${CLI}"`)
    .replace(/\bnpm start( --)?/g, `${node} "${START}"`);
  return text.includes('|') ? text : `exec ${text}`;
}

export class Process {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #stderr = '';
  #rest = '';
  #changed: () => void = () => undefined;
  #ended = false;

  constructor(command: string, env: Environment) {
    this.#child = spawn('sh', ['-c', shellText(command)], {
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (data: Buffer) => {
      const lines = (this.#rest + data.toString()).split('\n');
      this.#rest = lines.pop() ?? '';
      this.lines.push(...lines);
      this.#changed();
    });
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.#stderr += data.toString();
    });
    this.#exited = once(this.#child, 'close').then(() => {
      this.#ended = true;
      this.#changed();
    });
  }

  /** The first line that fits; fails if the process ends without one. */
  async line(fits: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.lines.find(fits);
      if (found !== undefined) return found;
      await this.#more();
    }
  }

  async lineAt(index: number): Promise<string> {
    while (this.lines.length <= index) await this.#more();
    return this.lines[index] as string;
  }

  /** Sends the signal; resolves with the exit code, or null where a signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    if (!this.#ended) this.#child.kill(signal);
    await this.#exited;
    return this.#child.exitCode;
  }

  async exit(): Promise<{ code: number | null; stderr: string }> {
    await this.#exited;
    return { code: this.#child.exitCode, stderr: this.#stderr };
  }

  async #more(): Promise<void> {
    assert.ok(!this.#ended, `the process ended: ${this.#stderr}\n${this.lines.join('\n')}`);
    await new Promise<void>((resolve) => {
      this.#changed = resolve;
    });
  }
}

/** Runs to the end; resolves with what it printed, fails where it failed. */
export async function runShell(command: string, env: Environment): Promise<string> {
  const child = new Process(command, env);
  const { code, stderr } = await child.exit();
  assert.equal(code, 0, `${command}\n${stderr}`);
  return child.lines.join('\n');
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'caucus-demo-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
