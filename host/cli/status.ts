/** `caucus status`: whether a server is ready, and what it serves. */
import { stringifyJson } from '../value/json.ts';
import type { JsonObject, JsonValue } from '../value/json.ts';
import { expectObject, isObject, send } from './client.ts';
import { EXIT_OK, EXIT_UNAVAILABLE } from './exit-code.ts';
import { renderTable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/** Exit code 0 where the server is ready, 3 where it is not. */
export async function status(options: { readonly url: string }, terminal: Terminal): Promise<number> {
  const answer = await send(options.url, { method: 'GET', path: '/healthz/ready' });
  const body = expectObject(answer.body, options.url);
  const ready = answer.status === 200;
  if (terminal.json) terminal.print(stringifyJson(body));
  else printStatus(body, ready, options.url, terminal);
  return ready ? EXIT_OK : EXIT_UNAVAILABLE;
}

function printStatus(body: JsonObject, ready: boolean, url: string, terminal: Terminal): void {
  const colors = terminal.out;
  const scalars = Object.entries(body).filter(([, value]) => !Array.isArray(value) && !isObject(value));
  const rows = scalars.map(([name, value]) => [name, String(value)]);
  terminal.print(`${url} is ${ready ? colors.green('ready') : colors.yellow('not ready')}`);
  if (rows.length > 0) terminal.print(renderTable(['', ''], rows, colors).trimStart());
  for (const [name, value] of Object.entries(body)) {
    if (Array.isArray(value) && value.length > 0) terminal.print(`\n${renderList(name, value, terminal)}`);
  }
}

function renderList(name: string, list: readonly JsonValue[], terminal: Terminal): string {
  const objects = list.filter(isObject);
  const keys = [...new Set(objects.flatMap((object) => Object.keys(object)))];
  const head = keys.map((key, index) => (index === 0 ? `${name}: ${key}` : key));
  return renderTable(
    head,
    objects.map((object) => keys.map((key) => plain(object[key]))),
    terminal.out,
  );
}

function plain(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return '';
  if (isObject(value)) {
    return Object.entries(value)
      .map(([name, part]) => `${name}: ${plain(part)}`)
      .join(', ');
  }
  return Array.isArray(value) ? value.map(plain).join(', ') : String(value);
}
