/**
 * Apache Kafka on loopback: one node or three, each broker and controller at once (KRaft), from
 * Maven Central's jars. Everything durable lies in the given directory.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cached, exists } from './cache.ts';
import { freePorts, LOOPBACK } from './ports.ts';
import { ComponentProcess, runProgram, startAll } from './processes.ts';
import type { Controls, ProcessState, Program, Progress } from './processes.ts';

export interface KafkaOptions {
  readonly directory: string;
  /** Three: every topic is kept three times, a write is acknowledged once two have it. */
  readonly nodes: 1 | 3;
  /**
   * One port a node: a second listener tells clients that the broker is there. Put a proxy on the
   * port and let it forward to the node's `faultTarget`.
   */
  readonly faultPorts?: readonly number[];
  /** More of such listeners, each with one port a node: clients that are to be cut off alone. */
  readonly linkPorts?: readonly (readonly number[])[];
  /** Broker settings on top of ours. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
  readonly onProgress?: Progress;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

export interface KafkaNode extends Controls {
  readonly id: number;
  /** `host:port`. */
  readonly address: string;
  /** Where the listener behind `faultPorts` really is; undefined without. */
  readonly faultTarget: Target | undefined;
  /** The same for each of `linkPorts`. */
  readonly linkTargets: readonly Target[];
  readonly state: ProcessState;
  readonly logFile: string;
}

export interface RunningKafka {
  /** `host:port` of each node. */
  readonly brokers: readonly string[];
  /** The same through `faultPorts`; empty without. */
  readonly faultBrokers: readonly string[];
  readonly nodes: readonly KafkaNode[];
  stop(): Promise<void>;
  /** All nodes at once, without a good-bye: what was acknowledged stays. */
  kill(): Promise<void>;
}

/** Where the files beside this one are; programs are run from the root of the repository. */
const HERE = path.resolve('deploy/loopback');
const COPY_JARS = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
/** A node that is stopped last has no quorum to say good-bye to. */
const STOP_LIMIT_MS = 5_000;
const FAULT_LISTENER = 'FAULT';

/** Resolves when every node takes part. */
export async function startKafka(options: KafkaOptions): Promise<RunningKafka> {
  const { nodes: count, faultPorts = [], onProgress = () => undefined } = options;
  const jars = await kafkaJars(onProgress);
  const layout = await layOut(options);
  onProgress(`kafka: formatting ${count === 1 ? 'one node' : `${count} nodes`}`);
  const clusterId = newClusterId();
  await Promise.all(layout.map((node) => format(node, clusterId, jars)));
  onProgress('kafka: starting');
  const processes = layout.map((node) => nodeProcess(node, jars));
  // A node is ready when it has joined the quorum, which no node of three is alone.
  await startAll(processes);
  const brokers = layout.map(({ port }) => `${LOOPBACK}:${port}`);
  onProgress(`kafka: ready at ${brokers.join(', ')}`);
  return {
    brokers,
    faultBrokers: faultPorts.map((port) => `${LOOPBACK}:${port}`),
    nodes: layout.map((node, index) => kafkaNode(node, processes[index] as ComponentProcess)),
    stop: async () => {
      await Promise.all(processes.map((process) => process.stop()));
    },
    kill: async () => {
      await Promise.all(processes.map((process) => process.kill()));
    },
  };
}

/** The folder of the jars, fetched if they are not in the cache. */
export async function kafkaJars(onProgress: Progress = () => undefined): Promise<string> {
  const pom = await readFile(path.join(HERE, 'kafka-pom.xml'));
  const version = /<kafka.version>(.+)<\/kafka.version>/.exec(pom.toString())?.[1] ?? 'unknown';
  const digest = createHash('sha256').update(pom).digest('hex').slice(0, 8);
  const place = await cached(`kafka-${version}-${digest}`, async (draft) => {
    onProgress(`kafka: fetching the jars of ${version}, once`);
    await writeFile(path.join(draft, 'pom.xml'), pom);
    const args = ['-q', '-B', COPY_JARS, '-DincludeScope=runtime', '-DoutputDirectory=libs'];
    await runProgram({ command: 'mvn', args }, draft);
  });
  return path.join(place, 'libs');
}

function kafkaNode(layout: NodeLayout, process: ComponentProcess): KafkaNode {
  const targetOf = ({ port }: Listener): Target => ({ host: LOOPBACK, port });
  return Object.assign(process, {
    id: layout.id,
    address: `${LOOPBACK}:${layout.port}`,
    faultTarget: layout.fault && targetOf(layout.fault),
    linkTargets: layout.links.map(targetOf),
  });
}

/** One more listener: where it is, and where clients are told that it is. */
interface Listener {
  readonly name: string;
  readonly port: number;
  readonly advertised: number;
}

interface NodeLayout {
  readonly id: number;
  readonly directory: string;
  readonly port: number;
  readonly fault: Listener | undefined;
  readonly links: readonly Listener[];
  /** The broker's settings, as a file holds them. */
  readonly properties: string;
}

async function layOut(options: KafkaOptions): Promise<NodeLayout[]> {
  const { nodes: count, faultPorts, linkPorts = [] } = options;
  for (const list of [...(faultPorts === undefined ? [] : [faultPorts]), ...linkPorts]) {
    if (list.length === count) continue;
    throw new TypeError(`${count} nodes need ${count} ports a listener, not ${list.length}`);
  }
  const size = 3 + linkPorts.length;
  const ports = await freePorts(size * count);
  const portsOf = Array.from({ length: count }, (_, index) => ports.slice(size * index));
  const voters = portsOf
    .map(([, controller], index) => `${index + 1}@${LOOPBACK}:${controller}`)
    .join(',');
  return portsOf.map(([port = 0, controllerPort = 0, ...more], index) => {
    const listener = (name: string, at: number, list: readonly number[]): Listener => {
      return { name, port: more[at] ?? 0, advertised: list[index] ?? 0 };
    };
    const fault = faultPorts && listener(FAULT_LISTENER, 0, faultPorts);
    const links = linkPorts.map((list, link) => listener(`LINK${link + 1}`, link + 1, list));
    const id = index + 1;
    const directory = path.resolve(options.directory, `kafka-${id}`);
    const settings = {
      ...listeners(port, controllerPort, fault === undefined ? links : [fault, ...links]),
      'process.roles': 'broker,controller',
      'node.id': id,
      'controller.quorum.voters': voters,
      'log.dirs': path.join(directory, 'data'),
      ...replication(count),
      ...SETTINGS,
      ...options.properties,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    return { id, directory, port, fault, links, properties: `${lines.join('\n')}\n` };
  });
}

/** Small and quick: little memory, and a broker that is gone is noticed after three seconds. */
const SETTINGS = {
  'auto.create.topics.enable': false,
  'unclean.leader.election.enable': false,
  'group.initial.rebalance.delay.ms': 0,
  'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
  'num.network.threads': 2,
  'num.io.threads': 2,
  'background.threads': 2,
  'broker.heartbeat.interval.ms': 500,
  'broker.session.timeout.ms': 3_000,
};

function listeners(
  port: number,
  controllerPort: number,
  more: readonly Listener[],
): Record<string, string> {
  const bound = [`PLAINTEXT://${LOOPBACK}:${port}`];
  const advertised = [`PLAINTEXT://${LOOPBACK}:${port}`];
  const protocols = ['CONTROLLER:PLAINTEXT', 'PLAINTEXT:PLAINTEXT'];
  for (const { name, port: at, advertised: told } of more) {
    bound.push(`${name}://${LOOPBACK}:${at}`);
    advertised.push(`${name}://${LOOPBACK}:${told}`);
    protocols.push(`${name}:PLAINTEXT`);
  }
  return {
    listeners: [...bound, `CONTROLLER://${LOOPBACK}:${controllerPort}`].join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': protocols.join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
  };
}

function replication(nodes: 1 | 3): Record<string, number> {
  const inSync = nodes === 1 ? 1 : 2;
  return {
    'default.replication.factor': nodes,
    'min.insync.replicas': inSync,
    'offsets.topic.num.partitions': nodes,
    'offsets.topic.replication.factor': nodes,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': nodes,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': nodes,
    'share.coordinator.state.topic.min.isr': inSync,
  };
}

async function format(node: NodeLayout, clusterId: string, jars: string): Promise<void> {
  await mkdir(node.directory, { recursive: true });
  await writeFile(propertiesFile(node), node.properties);
  // Used before: it keeps its data, and only its ports are new.
  if (await exists(path.join(node.directory, 'data', 'meta.properties'))) return;
  const args = ['format', '-t', clusterId, '-c', propertiesFile(node)];
  await runProgram(java(jars, ['-Xmx64m'], 'kafka.tools.StorageTool', args), node.directory);
}

function nodeProcess(node: NodeLayout, jars: string): ComponentProcess {
  const memory = ['-Xms128m', '-Xmx256m'];
  const logs = [
    `-Dkafka.logs.dir=${node.directory}`,
    `-Dlog4j2.configurationFile=${path.join(HERE, 'kafka-log4j2.xml')}`,
  ];
  return new ComponentProcess({
    name: `kafka-${node.id}`,
    directory: node.directory,
    program: () => java(jars, [...memory, ...logs], 'kafka.Kafka', [propertiesFile(node)]),
    isReady: (log) => log.has('Kafka Server started'),
    stopLimitMs: STOP_LIMIT_MS,
  });
}

function java(
  jars: string,
  options: readonly string[],
  main: string,
  args: readonly string[],
): Program {
  // Short-lived and many on one machine: the quick compiler and the collector without threads.
  const tuning = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const words = [...tuning, ...options, '-cp', path.join(jars, '*'), main, ...args];
  return { command: 'java', args: words };
}

function propertiesFile(node: NodeLayout): string {
  return path.join(node.directory, 'server.properties');
}

/** 16 bytes in base64url; one that begins with `-` would read as an option. */
function newClusterId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? newClusterId() : id;
}
