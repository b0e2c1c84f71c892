/** One process of a cluster: `caucus serve` as a replica or as a datasource node. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { EXIT_UNAVAILABLE } from '../../host/cli/exit-code.ts';
import type { NodeEvent } from '../support/history.ts';
import { parseJson } from '../../host/value/json.ts';
import type { JsonObject } from '../../host/value/json.ts';
import { ServerProcess } from '../support/server-process.ts';
import type { LogLine } from '../support/server-process.ts';
import type { Links } from './links.ts';

export type Role = 'replica' | 'datasources';
export type NodeState = 'running' | 'paused' | 'stopped';

export interface NodeOptions {
  readonly id: string;
  readonly role: Role;
  /** Its own; made if it is not there. */
  readonly directory: string;
  /** Members of its YAML file. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Absent: it is connected directly. */
  readonly links?: Links | undefined;
  /** Variables of its process. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly onEvent: (event: Pick<NodeEvent, 'node' | 'run' | 'what' | 'code' | 'message'>) => void;
}

const STATUS_MS = 2_000;
const FLAGS: Readonly<Record<Role, readonly string[]>> = {
  replica: ['--api', '--policy-engine'],
  datasources: ['--datasources'],
};

export class ClusterNode {
  readonly id: string;
  readonly role: Role;
  readonly links: Links | undefined;
  readonly directory: string;
  #options: NodeOptions;
  /** Of all its runs. */
  readonly processes: ServerProcess[] = [];
  #state: NodeState = 'stopped';
  #url = '';

  constructor(options: NodeOptions) {
    this.#options = options;
    this.id = options.id;
    this.role = options.role;
    this.links = options.links;
    this.directory = options.directory;
  }

  /** Counts its starts. */
  get run(): number {
    return this.processes.length;
  }

  get state(): NodeState {
    return this.#state;
  }

  get dataDirectory(): string {
    return path.join(this.directory, 'data');
  }

  /** Of its newest run that got so far; requests there fail while it is down. */
  get url(): string {
    return this.#url;
  }

  get process(): ServerProcess {
    const process = this.processes.at(-1);
    if (process === undefined) throw new Error(`${this.id} was never started`);
    return process;
  }

  /** Resolves when it listens: it tells its health from then on. */
  async launch(): Promise<void> {
    const { id, role, directory, config, env } = this.#options;
    mkdirSync(directory, { recursive: true });
    const file = path.join(directory, 'caucus.yaml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    const args = ['--config', file, ...FLAGS[role], '--node-id', id];
    const process = new ServerProcess(directory, args, 'data', env);
    this.processes.push(process);
    this.#state = 'running';
    this.#note('started');
    const { run } = this;
    void process.ended.then((code) => this.#endOnSeen(process, run, code));
    const first = role === 'replica' ? 'server-listening' : 'server-ready';
    const line = await process.event(first);
    this.#url = String(line['url']);
  }

  /** Resolves when it takes requests; a datasource node when it runs or stands by. */
  async start(): Promise<void> {
    await this.launch();
    const { process } = this;
    await process.event('server-ready');
    if (process === this.process) this.#note('live');
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#note('crashed');
    await this.process.kill('SIGKILL');
  }

  /** SIGTERM. */
  async stop(): Promise<number | null> {
    if (this.#state === 'stopped') return null;
    this.resume();
    this.#state = 'stopped';
    this.#note('stopped');
    return await this.process.kill('SIGTERM');
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.#state !== 'running') return;
    this.process.process.kill('SIGSTOP');
    this.#state = 'paused';
    this.#note('paused');
  }

  /** SIGCONT. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.process.process.kill('SIGCONT');
    this.#state = 'running';
    this.#note('resumed');
  }

  /** `GET /v1/status`; undefined: no answer. */
  async status(): Promise<JsonObject | undefined> {
    return await this.#get('/v1/status');
  }

  /** `GET /healthz/ready`, also when it is not; undefined: no answer. */
  async ready(): Promise<JsonObject | undefined> {
    return await this.#get('/healthz/ready');
  }

  async #get(route: string): Promise<JsonObject | undefined> {
    try {
      const signal = AbortSignal.timeout(STATUS_MS);
      const response = await fetch(`${this.#url}${route}`, { signal });
      return parseJson(await response.text()) as JsonObject;
    } catch {
      return undefined;
    }
  }

  #endOnSeen(process: ServerProcess, run: number, code: number | null): void {
    if (process !== this.process || this.#state === 'stopped') return;
    this.#state = 'stopped';
    const last = process.log.findLast(({ level }) => level === 'error' || level === 'warn');
    const message = `${process.stderr} ${last?.message ?? ''}`.trim();
    this.#options.onEvent({
      node: this.id,
      run,
      // It says that it may be started again: a supervisor does.
      what: code === EXIT_UNAVAILABLE ? 'problem' : 'failed',
      code: `exit ${code}`,
      message,
    });
  }

  #note(what: NodeEvent['what']): void {
    this.#options.onEvent({ node: this.id, run: this.run, what });
  }
}

/** Lines of a node's log that tell of something wrong. */
export function troubles(log: readonly LogLine[]): LogLine[] {
  return log.filter(({ level }) => level === 'warn' || level === 'error');
}
