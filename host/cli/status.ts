/** `caucus status`: whether a server is ready, and what it serves. */
import { stringifyJson } from '../value/json.ts';
import type { JsonObject, JsonValue } from '../value/json.ts';
import { expectObject, isObject, request, send, textOf } from './client.ts';
import { EXIT_OK, EXIT_UNAVAILABLE } from './exit-code.ts';
import { renderTable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/** Exit code 0 where the server is ready, 3 where it is not. */
export async function status(
  options: { readonly url: string },
  terminal: Terminal,
): Promise<number> {
  const { url } = options;
  const health = await send(url, { method: 'GET', path: '/healthz/ready' });
  const ready = health.status === 200;
  const reasons = expectObject(health.body, url)['reasons'] ?? [];
  const state = await request(url, { method: 'GET', path: '/v1/status' });
  if (terminal.json) terminal.print(stringifyJson({ ...state, ready, reasons }));
  else printStatus(state, ready, reasons, url, terminal);
  return ready ? EXIT_OK : EXIT_UNAVAILABLE;
}

function printStatus(
  state: JsonObject,
  ready: boolean,
  reasons: JsonValue,
  url: string,
  terminal: Terminal,
): void {
  const { out } = terminal;
  const why = Array.isArray(reasons) && !ready ? `: ${reasons.map(String).join(', ')}` : '';
  terminal.print(`${url} is ${ready ? out.green('ready') : out.yellow('not ready')}${why}`);
  const facts = ['phase', 'revision', 'logId', 'digest'].flatMap((name) =>
    state[name] === undefined ? [] : [`  ${name.padEnd(9)} ${String(state[name])}`],
  );
  terminal.print(facts.join('\n'));
  const policies = objectsOf(state['policies']).map((policy) => [
    String(policy['name']),
    String(policy['rules']),
    textOf(policy['failed']) ?? '',
  ]);
  if (policies.length > 0) {
    const align = ['left', 'right', 'left'] as const;
    terminal.print(`\n${renderTable(['policy', 'rules', 'failed'], policies, out, { align })}`);
  }
  const tables = objectsOf(state['sources']).flatMap((source) => {
    const held = Object.entries(isObject(source['tables']) ? source['tables'] : {});
    const freshness = source['stale'] === true ? 'stale' : 'fresh';
    if (held.length === 0) return [[`${String(source['name'])}:`, '', freshness]];
    return held.map(([table, rows]) => [
      `${String(source['name'])}:${table}`,
      String(rows),
      freshness,
    ]);
  });
  if (tables.length > 0) {
    const align = ['left', 'right', 'left'] as const;
    terminal.print(`\n${renderTable(['table', 'rows', 'source is'], tables, out, { align })}`);
  }
}

function objectsOf(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
