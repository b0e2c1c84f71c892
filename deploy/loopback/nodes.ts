/**
 * The nodes of a Caucus cluster on loopback: the configuration that they share, and each one's
 * command line. The only place here that knows how `caucus serve` is called.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { LOOPBACK } from './ports.ts';
import { ComponentProcess } from './processes.ts';

export interface SharedConfig {
  /** Where the file goes. */
  readonly directory: string;
  readonly brokers: readonly string[];
  /** Copies of each topic: the number of brokers. */
  readonly replicationFactor: number;
  readonly databaseUrl: string;
  readonly clusterSecret: string;
  /** Where clients reach the replicas together. */
  readonly balancerPort: number;
  readonly policies: readonly string[];
  /** What the datasource node fills sources from: files, or directories of files. */
  readonly sources: readonly { readonly name: string; readonly path: string }[];
}

export type Role = 'replica' | 'datasources';

export interface NodeOptions {
  readonly nodeId: string;
  readonly role: Role;
  /** Of its API, or of its health where that is all it has. */
  readonly port: number;
  /** Of its data and its log file. */
  readonly directory: string;
  readonly configFile: string;
}

/** The command `caucus`: what `npm run build` makes, or another build of it. */
const CLI = path.resolve(process.env['CLUSTER_CLI'] ?? 'dist/cli.js');
const START_LIMIT_MS = 120_000;
const READY_LIMIT_MS = 2_000;
const ROLE_FLAGS: Readonly<Record<Role, readonly string[]>> = {
  replica: ['--api', '--policy-engine'],
  datasources: ['--datasources'],
};

/** Writes the file of all nodes; resolves to its path. It holds secrets: only we may read it. */
export async function writeSharedConfig(config: SharedConfig): Promise<string> {
  const file = path.join(config.directory, 'caucus.yaml');
  const { brokers, replicationFactor, databaseUrl, clusterSecret, policies, sources } = config;
  const options = {
    api: { allowed_hosts: [LOOPBACK, 'localhost'].map((name) => `${name}:${config.balancerPort}`) },
    kafka: { brokers, replication_factor: replicationFactor },
    database: { connection: databaseUrl },
    cluster: { secret: clusterSecret },
    policies: policies.map((policy) => path.resolve(policy)),
    datasources: sources.map((source) => ({
      name: source.name,
      driver: 'file',
      path: path.resolve(source.path),
    })),
  };
  // JSON is YAML.
  await writeFile(file, `${JSON.stringify(options, undefined, 2)}\n`, { mode: 0o600 });
  return file;
}

/** Not started yet. A replica is ready when requests may be sent to it. */
export function nodeProcess(options: NodeOptions): ComponentProcess {
  const { nodeId, role, port, directory, configFile } = options;
  return new ComponentProcess({
    name: nodeId,
    directory,
    program: () => ({
      command: process.execPath,
      args: [
        ...[CLI, 'serve', '--config', configFile, ...ROLE_FLAGS[role], '--node-id', nodeId],
        ...['--data', path.join(directory, 'data'), '--port', String(port)],
        ...['--log-format', 'json'],
      ],
      env: withoutOptions(process.env),
    }),
    isReady: (log) => (role === 'replica' ? isReady(port) : log.has('"server-ready"')),
    startLimitMs: START_LIMIT_MS,
  });
}

/** Nodes take options from variables too; those of whoever started us are not meant for them. */
function withoutOptions(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CAUCUS_')));
}

/** Whether the replica there takes requests. */
export async function isReady(port: number): Promise<boolean> {
  const answer = await askJson(port, '/healthz/ready');
  return answer?.['ready'] === true;
}

/** What the replica there says; undefined if it does not. */
export async function askJson(
  port: number,
  route: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const signal = AbortSignal.timeout(READY_LIMIT_MS);
    const response = await fetch(`http://${LOOPBACK}:${port}${route}`, { signal });
    return (await response.json()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
