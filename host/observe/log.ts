/**
 * Log lines of a server: one event a line, `text` for people, `json` for machines. Every event name
 * stands in `LOG_EVENTS`, so that a dashboard can be held against one list.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Event → what it says. */
export const LOG_EVENTS = {
  'server-starting': 'the server opens its data',
  'server-listening': 'health is told from here on; the state is being restored',
  'server-ready': 'state is restored and requests are answered',
  'server-draining': 'a signal asked the server to stop',
  'server-failed': 'the replica stopped by itself; the server ends with 1',
  'server-stopped': 'all is closed',
  'policies-loaded': 'the policies of `--policy` are in force',
  'source-started': 'a driver began to fill its source',
  'source-fresh': 'the rows of a source are those outside',
  'source-stale': 'a source could not be read; its last good rows stay',
  'source-failed': 'a driver stopped with an error and will be started again',
  'replica-event': 'something the replica reports',
  'datasources-active': 'this datasource node holds the lease and reads the sources',
  'datasources-standby': 'another datasource node holds the lease',
  'replica-rebuilding': 'the replica differs from the others; it is built anew',
  'start-waiting': 'the start lacks the log, the database or the other replicas, and tries again',
  'log-trouble': 'the log could not be reached for a moment; it is tried again',
  'log-event': 'something the connection to the log reports',
  'store-trouble': 'the policy database could not be reached for a moment; it is tried again',
  'request-failed': 'a request met a defect of the server',
  'policy-file-ignored': 'a policy file changed nothing because its text is in force already',
} as const satisfies Record<string, string>;

export type LogEvent = keyof typeof LOG_EVENTS;

export type LogFields = Readonly<
  Record<string, string | number | boolean | bigint | null | undefined | readonly string[]>
>;

export interface Logger {
  debug(event: LogEvent, message: string, fields?: LogFields): void;
  info(event: LogEvent, message: string, fields?: LogFields): void;
  warn(event: LogEvent, message: string, fields?: LogFields): void;
  error(event: LogEvent, message: string, fields?: LogFields): void;
}

export interface LoggerOptions {
  readonly format: 'text' | 'json';
  /** Lines below this level are dropped. */
  readonly level: LogLevel;
  readonly write: (line: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Colours for `text`; identity without it. */
  readonly paint?: (level: LogLevel, text: string) => string;
}

const LEVELS: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogger(options: LoggerOptions): Logger {
  const write = (
    level: LogLevel,
    event: LogEvent,
    message: string,
    fields: LogFields = {},
  ): void => {
    if (LEVELS[level] < LEVELS[options.level]) return;
    const time = new Date(options.now()).toISOString();
    const line =
      options.format === 'json'
        ? JSON.stringify({ time, level, event, message, ...jsonFields(fields) })
        : textLine(time, level, message, fields, options.paint ?? ((_level, text) => text));
    options.write(`${line}\n`);
  };
  return {
    debug: (event, message, fields) => write('debug', event, message, fields),
    info: (event, message, fields) => write('info', event, message, fields),
    warn: (event, message, fields) => write('warn', event, message, fields),
    error: (event, message, fields) => write('error', event, message, fields),
  };
}

function jsonFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? value.toString() : value,
    ]),
  );
}

function textLine(
  time: string,
  level: LogLevel,
  message: string,
  fields: LogFields,
  paint: (level: LogLevel, text: string) => string,
): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${fieldText(value)}`);
  const tail = parts.length === 0 ? '' : `  ${parts.join(' ')}`;
  return `${time.slice(11, 19)} ${paint(level, level.padEnd(5))} ${oneLine(message)}${tail}`;
}

function fieldText(value: LogFields[string]): string {
  const text = Array.isArray(value) ? value.join(',') : String(value);
  return /[\s"=]/.test(text) || text === '' ? JSON.stringify(text) : text;
}

/** A message is one line, whatever words of users it repeats. */
function oneLine(text: string): string {
  return text.replaceAll('\r', '\\r').replaceAll('\n', '\\n');
}
