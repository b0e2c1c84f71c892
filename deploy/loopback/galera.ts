/**
 * Three MariaDB servers that replicate synchronously (Galera), on loopback. A node that is started
 * again joins the others; when none is left there is no cluster to join: start a new one.
 */
import path from 'node:path';
import { galeraLibrary } from './components.ts';
import { newAccount } from './mariadb.ts';
import type { RunningMariadb } from './mariadb.ts';
import { MariadbServer } from './mariadb-server.ts';
import type { Account } from './mariadb-server.ts';
import { freePorts, LOOPBACK } from './ports.ts';
import type { Progress } from './processes.ts';

export interface GaleraOptions {
  readonly directory: string;
  readonly onProgress?: Progress;
}

export interface RunningGalera {
  readonly nodes: readonly RunningMariadb[];
  stop(): Promise<void>;
  /** All nodes at once. */
  kill(): Promise<void>;
}

interface Ports {
  readonly sql: number;
  readonly group: number;
  /** For the changes that a node which comes back has missed. */
  readonly changes: number;
  /** For the copy of everything that a new node gets. */
  readonly copy: number;
}

const NODES = 3;
const PORTS_PER_NODE = 4;

/** Resolves when all three take writes. */
export async function startGalera(options: GaleraOptions): Promise<RunningGalera> {
  const { onProgress = () => undefined } = options;
  const numbers = await freePorts(NODES * PORTS_PER_NODE);
  const ports = Array.from({ length: NODES }, (_, index) => {
    const [sql = 0, group = 0, changes = 0, copy = 0] = numbers.slice(index * PORTS_PER_NODE);
    return { sql, group, changes, copy };
  });
  const account = newAccount();
  const directory = path.resolve(options.directory);
  const nodes = ports.map((_, index) => galeraNode(index, ports, account, directory));
  const kill = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()));
  };
  try {
    onProgress('galera: making the data directories');
    await Promise.all(nodes.map((node) => node.install()));
    for (const [index, node] of nodes.entries()) {
      onProgress(`galera: starting node ${index + 1}`);
      await node.start();
    }
  } catch (error) {
    await kill();
    throw error;
  }
  onProgress(`galera: ready at ${nodes.map(({ host, port }) => `${host}:${port}`).join(', ')}`);
  return {
    nodes,
    kill,
    stop: async () => {
      // One after the other, so that the last one knows that it is.
      for (const node of nodes.toReversed()) await node.stop();
    },
  };
}

function galeraNode(
  index: number,
  all: readonly Ports[],
  account: Account,
  directory: string,
): MariadbServer {
  const name = `galera-${index + 1}`;
  const ports = all[index] as Ports;
  let isFirstStart = true;
  const node: MariadbServer = new MariadbServer({
    name,
    directory: path.join(directory, name),
    port: ports.sql,
    account,
    // The others get it as they get all tables.
    makesAccount: index === 0,
    args: async () => {
      const isNew = isFirstStart;
      isFirstStart = false;
      const join = clusterArgs(name, ports, all);
      if (!isNew) return [...join, ...(await lastPosition(node, join))];
      return index === 0 ? [...join, '--wsrep-new-cluster'] : join;
    },
    isReady: (log) => log.has('Synchronized with group, ready for connections'),
  });
  return node;
}

function clusterArgs(name: string, ports: Ports, all: readonly Ports[]): string[] {
  const provider = [
    `gmcast.listen_addr=tcp://${LOOPBACK}:${ports.group}`,
    `ist.recv_addr=${LOOPBACK}:${ports.changes}`,
    'gcache.size=32M',
    // A node that is gone is missed after two seconds.
    'evs.keepalive_period=PT0.5S',
    'evs.suspect_timeout=PT2S',
    'evs.inactive_timeout=PT5S',
  ];
  return [
    '--binlog-format=ROW',
    '--innodb-autoinc-lock-mode=2',
    '--wsrep-on=ON',
    `--wsrep-provider=${galeraLibrary() ?? 'libgalera_smm.so'}`,
    `--wsrep-provider-options=${provider.join(';')}`,
    '--wsrep-cluster-name=caucus',
    `--wsrep-cluster-address=gcomm://${all.map((one) => `${LOOPBACK}:${one.group}`).join(',')}`,
    `--wsrep-node-name=${name}`,
    `--wsrep-node-address=${LOOPBACK}:${ports.group}`,
    `--wsrep-node-incoming-address=${LOOPBACK}:${ports.sql}`,
    '--wsrep-sst-method=rsync',
    `--wsrep-sst-receive-address=${LOOPBACK}:${ports.copy}`,
  ];
}

/** Where a node that was killed stands: it then gets what it missed instead of everything. */
async function lastPosition(node: MariadbServer, join: readonly string[]): Promise<string[]> {
  const output = await node.runOnce(...join, '--wsrep-recover');
  const position = /Recovered position: ?([0-9a-f-]+:-?\d+)/i.exec(output)?.[1];
  return position === undefined ? [] : [`--wsrep-start-position=${position}`];
}
