/** `caucus serve`: starts the parts, says where they are, stops them on a signal. */
import type { ServeConfig } from '../config.ts';
import { startServer } from '../main.ts';
import type { RunningServer } from '../main.ts';
import { createLogger } from '../observe/log.ts';
import type { Logger, LogLevel } from '../observe/log.ts';
import { EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_OK } from './exit-code.ts';
import { packageVersion, readCoreWasm } from './core-wasm.ts';
import type { Terminal } from './terminal.ts';

/** Resolves when the server has stopped. A second signal ends the process at once. */
export async function serve(config: ServeConfig, terminal: Terminal): Promise<number> {
  const logger = loggerOf(config, terminal);
  const stop = stopSignal();
  const startAbort = new AbortController();
  void stop.received.then(() => startAbort.abort());
  let server: RunningServer | undefined;
  try {
    server = await startServer(config, {
      coreWasm: await readCoreWasm(),
      logger,
      version: packageVersion(),
      signal: startAbort.signal,
    });
    if (!terminal.json) printBanner(server, config, terminal);
    const end = await Promise.race([stop.received, server.failed]);
    if (typeof end === 'string') {
      logger.info('server-draining', `${end}: finishing what was begun`, { signal: end });
    } else {
      logger.error('server-failed', end.message, { reason: end.stack });
    }
    await server.close();
    logger.info('server-stopped', 'stopped', { revision: server.status().revision });
    return typeof end === 'string' ? EXIT_OK : EXIT_BAD_INPUT;
  } catch (error) {
    if (server !== undefined || !startAbort.signal.aborted) throw error;
    logger.info('server-stopped', 'stopped before the state was restored');
    return EXIT_OK;
  } finally {
    stop.release();
  }
}

interface StopSignal {
  readonly received: Promise<NodeJS.Signals>;
  release(): void;
}

function stopSignal(): StopSignal {
  let isStopping = false;
  let onSignal: (signal: NodeJS.Signals) => void = () => {};
  const received = new Promise<NodeJS.Signals>((resolve) => {
    onSignal = (signal) => {
      if (isStopping) process.exit(EXIT_INTERRUPTED);
      isStopping = true;
      resolve(signal);
    };
  });
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return {
    received,
    release: () => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
    },
  };
}

export function loggerOf({ log }: ServeConfig, terminal: Terminal): Logger {
  const { err } = terminal;
  const paints: Readonly<Record<LogLevel, (text: string) => string>> = {
    debug: err.dim,
    info: err.green,
    warn: err.yellow,
    error: err.red,
  };
  return createLogger({
    format: log.format ?? (terminal.json ? 'json' : 'text'),
    level: log.level,
    // Machines read the log as the command's answer.
    write: (line) => (terminal.json ? process.stdout : process.stderr).write(line),
    now: Date.now,
    paint: (level, text) => paints[level](text),
  });
}

function printBanner(server: RunningServer, config: ServeConfig, terminal: Terminal): void {
  const { out } = terminal;
  const { policies = [], sources } = server.status();
  const title = `${out.bold('caucus')} ${packageVersion()}`;
  if (config.shape === 'datasources') {
    const names = sources.map(({ source }) => source).join(', ');
    const lines = [
      `${title}, datasource node ${config.nodeId}, tells its health on ${out.cyan(server.url)}`,
      `  sources   ${names || 'none; name them under `datasources:` in the configuration'}`,
      `  stop      Ctrl-C`,
    ];
    terminal.print(lines.join('\n'));
    return;
  }
  const names = policies.map((policy) => `${policy.name} (${policy.rules})`).join(', ');
  const node = config.shape === 'replica' ? `, replica ${config.nodeId},` : '';
  const lines = [
    `${title}${node} listens on ${out.cyan(server.url)}`,
    `  data      ${config.dataDirectory}`,
    `  policies  ${names === '' ? 'none; load one with `--policy FILE`' : names}`,
    `  sources   ${sources.map((source) => source.name).join(', ') || 'none yet'}`,
    `  follow    caucus subscribe --url ${server.url} 'policy:table(x, y)'`,
    `  stop      Ctrl-C`,
  ];
  terminal.print(lines.join('\n'));
}
