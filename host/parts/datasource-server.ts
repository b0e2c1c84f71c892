/**
 * A datasource node as a process: the node, and a small HTTP server that says how it is. It has no
 * replica, so `GET /v1/status` tells of the node alone.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDatasourceNode } from '../../drivers/datasource-node.ts';
import type { DatasourceNode } from '../../drivers/datasource-node.ts';
import { createDriver } from '../../drivers/registry.ts';
import { createGuard } from '../api/guard.ts';
import { errorMembers, jsonOf } from '../api/json-text.ts';
import type { DatasourceNodeConfig } from '../config.ts';
import { CaucusError } from '../errors.ts';
import type { Logger } from '../observe/log.ts';
import type { Closers } from './closers.ts';
import { StartPatience } from './start-patience.ts';
import { listenProblem, publicHost } from './listen.ts';
import { openData } from './open-data.ts';
import { logHealth } from './source-health.ts';

/** Bytes of an id that no other process has. */
const ID_BYTES = 16;

export interface DatasourceServer {
  readonly url: string;
  readonly node: DatasourceNode;
}

/** Resolves when it listens and the node runs; it may stand by from then on. */
export async function openDatasourceServer(
  config: DatasourceNodeConfig,
  logger: Logger,
  closers: Closers,
  signal: AbortSignal | undefined,
): Promise<DatasourceServer> {
  const patience = new StartPatience({ logger, signal, onWait: () => undefined });
  const { log, store } = await openData(config, logger, closers, patience);
  const node = createDatasourceNode({
    log,
    store,
    leases: store,
    drivers: config.datasources
      .filter(({ driver }) => driver !== 'push')
      .map((source) => createDriver(source)),
    randomId: () => randomBytes(ID_BYTES).toString('hex'),
    nodeId: config.nodeId,
    ttlMs: config.leaseTtlMs,
    onRole: (role, { holder, generation }) => {
      const fields = { holder, generation };
      if (role === 'standby') {
        logger.info('datasources-standby', `\`${holder ?? 'nobody'}\` is the active node`, fields);
      } else if (role === 'active') {
        logger.info('datasources-active', 'this is the active node: sources are read', fields);
      }
    },
    onHealth: (health) => logHealth(health, logger),
    onProblem: ({ message }) => logger.warn('replica-event', message),
  });
  const url = await serveHealth(config, node, closers);
  node.start();
  closers.add(() => node.stop());
  return { url, node };
}

async function serveHealth(
  config: DatasourceNodeConfig,
  node: DatasourceNode,
  closers: Closers,
): Promise<string> {
  const host = config.host.replace(/^\[|\]$/g, '');
  let port = config.port;
  const guard = createGuard({
    host,
    port: () => port,
    allowedHosts: [...config.allowHosts, ...publicHost(config)],
    allowedOrigins: config.allowOrigins,
  });
  const server = createServer((message, response) => {
    try {
      guard.check(message.headers);
      answer(node, message, response);
    } catch (error) {
      send(response, error instanceof CaucusError ? error.status : 500, {
        error: errorMembers(error),
      });
    }
  });
  await listening(server, host, port).catch((error: unknown) => {
    throw listenProblem(error as NodeJS.ErrnoException, config.host, port);
  });
  closers.add(() => closed(server));
  const address = server.address() as AddressInfo;
  port = address.port;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${name}:${port}`;
}

function answer(node: DatasourceNode, message: IncomingMessage, response: ServerResponse): void {
  const health = node.health();
  const path = (message.url ?? '').split('?', 1)[0];
  if (message.method !== 'GET' && message.method !== 'HEAD') {
    throw new CaucusError('method_not_allowed', `\`${message.method}\` is not served here`, {
      remedy: 'use GET',
    });
  }
  switch (path) {
    case '/healthz/live':
      send(response, 200, { live: true });
      return;
    case '/healthz/ready': {
      // A standby is as ready as can be: it takes over when the lease is free.
      const ready = health.role === 'active' || health.role === 'standby';
      send(response, ready && health.problem === null ? 200 : 503, { ready, ...health });
      return;
    }
    case '/v1/status':
      send(response, 200, health);
      return;
    default:
      throw new CaucusError('unknown_route', `a datasource node serves no \`${path}\``, {
        remedy: 'ask a replica; here are `/healthz/live`, `/healthz/ready` and `/v1/status`',
      });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(jsonOf(body));
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
