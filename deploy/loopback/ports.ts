/**
 * Free TCP ports on loopback, for components that must be told theirs before they start.
 *
 * They lie below the range that operating systems hand out by themselves, so that no outgoing
 * connection takes one between the look and the start; `COMPONENT_PORTS=FROM-TO` moves them.
 */
import { randomInt } from 'node:crypto';
import { createConnection, createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

const PORT_FIRST = 20_000;
const PORT_LAST = 31_999;
/** Looks for one free port before the range counts as full. */
const TRIES_MAX = 1_000;
const CONNECT_LIMIT_MS = 1_000;

/** Different ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const [first, last] = portRange();
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries === TRIES_MAX) throw new Error(`no ${count} free ports in ${first}-${last}`);
    const port = randomInt(first, last + 1);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** Whether somebody accepts connections there. */
export function accepts(port: number, host = LOOPBACK): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: CONNECT_LIMIT_MS });
    const answer = (does: boolean): void => {
      socket.destroy();
      resolve(does);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

function portRange(): readonly [first: number, last: number] {
  const text = process.env['COMPONENT_PORTS'];
  if (text === undefined) return [PORT_FIRST, PORT_LAST];
  const [first, last] = text.split('-').map(Number);
  if (!Number.isInteger(first) || !Number.isInteger(last) || Number(first) > Number(last)) {
    throw new TypeError(`\`COMPONENT_PORTS\` is \`${text}\`, write \`FROM-TO\``);
  }
  return [Number(first), Number(last)];
}
