/** The API of a process, at the address of the configuration. */
import { inputError } from '../cli/problem.ts';
import { createApiServer } from '../api/server.ts';
import type { ApiServer, ApiServerOptions } from '../api/server.ts';
import { renderDiagnostic } from '../compiler/diagnostic.ts';
import type { ServeConfig } from '../config.ts';
import type { LogFields, Logger } from '../observe/log.ts';

export type ApiParts = Pick<ApiServerOptions, 'replica' | 'expectStarted' | 'cluster'>;

/** `port`: instead of that of the configuration, for a server that listens again. */
export async function listen(
  parts: ApiParts,
  config: ServeConfig,
  logger: Logger,
  port = config.port,
): Promise<ApiServer> {
  try {
    return await createApiServer({
      ...parts,
      host: config.host.replace(/^\[|\]$/g, ''),
      port,
      allowedHosts: [...config.allowHosts, ...publicHost(config)],
      allowedOrigins: config.allowOrigins,
      renderDiagnostic,
      log: (level, message, fields) => {
        if (level === 'error') logger.error('request-failed', message, textFields(fields));
        else logger.debug('replica-event', message, textFields(fields));
      },
    });
  } catch (error) {
    throw listenProblem(error as NodeJS.ErrnoException, config.host, port);
  }
}

/** Other nodes call this one by it. */
export function publicHost({ publicUrl }: ServeConfig): string[] {
  return publicUrl === undefined ? [] : [new URL(publicUrl).host];
}

export function listenProblem(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  const place = `${host}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return inputError('port-in-use', `another program listens on \`${place}\``, {
        note: 'stop it, or take another port with `--port`; `--port 0` takes a free one',
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return inputError('no-address', `this machine has no address \`${host}\``, {
        note: 'name one of its own addresses with `--host`',
      });
    case 'EACCES':
      return inputError('port-refused', `this user may not listen on \`${place}\``, {
        note: 'take a port from 1024 on with `--port`',
      });
    default:
      return error;
  }
}

function textFields(fields: Readonly<Record<string, unknown>>): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Error ? (value.stack ?? value.message) : String(value),
    ]),
  );
}
