/** Finding the route of a request. The routes themselves stand in routes.ts. */
import type { IncomingMessage } from 'node:http';
import { CaucusError } from '../errors.ts';
import type { Replica } from '../replica/replica.ts';
import type { ApiLimits } from './api-limits.ts';
import type { ClusterAccess } from './cluster.ts';
import type { RenderDiagnostic } from './json-text.ts';

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

export type ApiLog = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

/** What handlers work with. */
export interface ApiContext {
  readonly replica: Replica;
  readonly limits: ApiLimits;
  readonly renderDiagnostic: RenderDiagnostic | undefined;
  readonly isDraining: () => boolean;
  /** Throws `not_ready` while there is no state to answer from. */
  readonly expectStarted: () => void;
  /** Absent: this server is alone. */
  readonly cluster: ClusterAccess | undefined;
}

export interface ApiRequest {
  readonly message: IncomingMessage;
  /** Decoded values of the `<…>` segments. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON unless `headers` say otherwise; pieces are made as the network takes them. */
  readonly body: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface Route {
  readonly method: Method;
  /** Segments; `<name>` matches any one. */
  readonly path: string;
  /** Names that may stand behind the `?`. */
  readonly query: readonly string[];
  /** Answered before there is a state; any other route is `not_ready` then. */
  readonly whileStarting?: boolean;
  readonly handle: (context: ApiContext, request: ApiRequest) => Answer | Promise<Answer>;
}

export interface FoundRoute {
  readonly route: Route;
  readonly request: ApiRequest;
}

/**
 * HEAD is answered by the GET route. Throws `unknown_route` with the nearest route,
 * `method_not_allowed` with `details.allow`, `invalid_request`.
 */
export function findRoute(routes: readonly Route[], message: IncomingMessage): FoundRoute {
  const { path, query } = targetOf(message);
  const method = message.method === 'HEAD' ? 'GET' : message.method;
  const matches = routes.flatMap((route) => {
    const parameters = matchPath(route.path, path);
    return parameters === undefined ? [] : [{ route, parameters }];
  });
  if (matches.length === 0) throw unknownRoute(routes, path);
  const match = matches.find(({ route }) => route.method === method);
  if (match === undefined) {
    const allow = allowOf(matches.map(({ route }) => route.method));
    throw new CaucusError('method_not_allowed', `\`${method}\` is not served at \`${path}\``, {
      remedy: `use ${allow.join(', ')}`,
      details: { allow },
    });
  }
  for (const name of new Set(query.keys())) {
    if (match.route.query.includes(name)) continue;
    const known = match.route.query.map((other) => `\`${other}\``).join(', ');
    throw new CaucusError('invalid_request', `the route takes no \`?${name}\``, {
      remedy: known === '' ? 'leave it out' : `it takes ${known}`,
    });
  }
  return { route: match.route, request: { message, parameters: match.parameters, query } };
}

/** For `Allow`. */
export function allowOf(methods: readonly Method[]): string[] {
  return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'];
}

/** The methods of a path; empty for an unknown one. */
export function methodsOf(routes: readonly Route[], message: IncomingMessage): Method[] {
  const { path } = targetOf(message);
  return routes
    .filter((route) => matchPath(route.path, path) !== undefined)
    .map((route) => route.method);
}

function targetOf(message: IncomingMessage): { path: string; query: URLSearchParams } {
  const target = message.url ?? '';
  if (!target.startsWith('/')) {
    throw new CaucusError('invalid_request', `\`${target}\` is no path`, {
      remedy: 'send the path only, such as `/v1/status`',
    });
  }
  const [path = '', query = ''] = splitOnce(target, '?');
  return { path, query: new URLSearchParams(query) };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? '';
    if (!segment.startsWith('<')) {
      if (segment !== value) return undefined;
      continue;
    }
    if (value === '') return undefined;
    parameters[segment.slice(1, -1)] = decodeSegment(value);
  }
  return parameters;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new CaucusError('invalid_request', `\`${segment}\` is not percent-encoded UTF-8`, {
      remedy: 'encode names in paths as `encodeURIComponent` does',
    });
  }
}

function unknownRoute(routes: readonly Route[], path: string): CaucusError {
  const shown = path.length <= 200 ? path : `${path.slice(0, 200)}…`;
  const nearest = nearestRoute(routes, shown);
  return new CaucusError('unknown_route', `there is no route \`${shown}\``, {
    remedy: `the nearest is \`${nearest.method} ${nearest.path}\``,
    details: { nearest: { method: nearest.method, path: nearest.path } },
  });
}

function nearestRoute(routes: readonly Route[], path: string): Route {
  const given = path.split('/');
  const distance = (route: Route): number => {
    const wanted = route.path.split('/');
    let sum = 0;
    for (let index = 0; index < Math.max(wanted.length, given.length); index++) {
      const want = wanted[index] ?? '';
      if (!want.startsWith('<')) sum += editDistance(want, given[index] ?? '');
      else if ((given[index] ?? '') === '') sum += want.length;
    }
    return sum;
  };
  return routes.reduce((best, route) => (distance(route) < distance(best) ? route : best));
}

/** Levenshtein, by rows. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const changed = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const removed = (previous[column] ?? 0) + 1;
      const added = (current[column - 1] ?? 0) + 1;
      current.push(Math.min(changed, removed, added));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
