/**
 * The examples of docs/PROTOCOL.md, run against a server. An expected JSON text may leave things
 * out (`"…"`), and names tokens and revisions by its own numbers: those map to the real ones, one
 * to one and in the same order, over the whole page.
 */
import assert from 'node:assert/strict';
import { parseJson, stringifyJson } from '../../host/value/json.ts';
import type { JsonObject, JsonValue } from '../../host/value/json.ts';
import { send } from './http-client.ts';
import { WsClient } from './ws-client.ts';

export interface Example {
  /** `http`, `ws`, or `ws raw`: without an implicit hello. */
  readonly kind: string;
  readonly text: string;
  /** Of the fence, from 1. */
  readonly line: number;
}

export function examplesOf(markdown: string): Example[] {
  const examples: Example[] = [];
  const lines = markdown.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const kind = /^```(http|ws|ws raw)$/.exec(lines[index] ?? '')?.[1];
    if (kind === undefined) continue;
    const end = lines.indexOf('```', index + 1);
    examples.push({ kind, text: lines.slice(index + 1, end).join('\n'), line: index + 1 });
    index = end;
  }
  return examples;
}

const REST = '…';
const REVISION_NAMES = new Set(['revision', 'tx', 'from', 'to', 'head', 'lostFrom', 'lostTo']);

export class ExampleRunner {
  readonly #url: string;
  readonly #tokens = new Map<string, string>();
  readonly #revisions = new Map<bigint, bigint>();

  constructor(url: string) {
    this.#url = url;
  }

  async run(example: Example): Promise<void> {
    if (example.kind === 'http') await this.#runHttp(example.text);
    else await this.#runSocket(example);
  }

  async #runHttp(text: string): Promise<void> {
    const [request = '', answer = ''] = text.split(/\n\n(?=\d{3}(?:\n|$))/);
    const [start = '', ...rest] = request.split('\n\n');
    const [target = '', ...headerLines] = start.split('\n');
    const [method = '', path = ''] = target.split(' ');
    const headers = Object.fromEntries(
      headerLines.map((line) => line.split(': ', 2) as [string, string]),
    );
    const body = this.#withRealTokens(rest.join('\n\n'));
    const got = await send(this.#url, method, path, { headers, ...(body === '' ? {} : { body }) });
    const [status = '', ...expected] = answer.split('\n');
    assert.equal(String(got.status), status, got.text);
    this.#match(got.json, parseJson(expected.join('\n')), 'body');
  }

  async #runSocket({ text, kind }: Example): Promise<void> {
    const client =
      kind === 'ws raw' ? await WsClient.connect(this.#url) : await WsClient.open(this.#url);
    const wantsProgress = text.includes('"progress"');
    // A line that is indented continues the one before.
    for (const step of text.split(/\n(?! )/)) {
      const [, side = '', rest = ''] = /^(C->S|S->C|HTTP) ([^]*)$/.exec(step) ?? [];
      if (side === 'HTTP') {
        const [, method = '', path = '', body = ''] = /^(\S+) (\S+) ([^]*)$/.exec(rest) ?? [];
        const headers = { 'content-type': 'application/json' };
        assert.equal((await send(this.#url, method, path, { headers, body })).status, 200);
      } else if (side === 'C->S') {
        client.sendRaw(this.#withRealTokens(rest));
      } else if (rest.startsWith('close ')) {
        await client.closed;
        assert.equal(client.closeCode, Number(rest.slice('close '.length)));
      } else {
        assert.equal(side, 'S->C', `not understood: ${step}`);
        const frame = await client.nextThat(({ type }) => wantsProgress || type !== 'progress');
        this.#match(frame, parseJson(rest), 'frame');
      }
    }
    await client.close();
  }

  #withRealTokens(text: string): string {
    return text.replace(
      /token-\d+/g,
      (name) => this.#tokens.get(name) ?? assert.fail(`${name} is not known yet`),
    );
  }

  #match(actual: JsonValue, expected: JsonValue, path: string, name = ''): void {
    const shown = (): string =>
      `${path}: got ${stringifyJson(actual)}, the page says ${stringifyJson(expected)}`;
    if (expected === REST) return;
    if (typeof expected === 'string' && /^token-\d+$/.test(expected)) {
      assert.equal(typeof actual, 'string', shown());
      this.#bind(this.#tokens, expected, actual as string, shown);
    } else if (typeof expected === 'bigint' && REVISION_NAMES.has(name)) {
      assert.equal(typeof actual, 'bigint', shown());
      this.#bind(this.#revisions, expected, actual as bigint, shown);
      for (const [page, real] of this.#revisions) {
        assert.equal(page < expected, real < (actual as bigint), `order of revisions: ${shown()}`);
      }
    } else if (Array.isArray(expected)) {
      assert.ok(Array.isArray(actual), shown());
      const open = expected.at(-1) === REST;
      const items = open ? expected.slice(0, -1) : expected;
      assert.ok(open ? actual.length >= items.length : actual.length === items.length, shown());
      for (const [index, item] of items.entries()) {
        this.#match((actual as JsonValue[])[index] ?? null, item as JsonValue, `${path}[${index}]`);
      }
    } else if (expected !== null && typeof expected === 'object') {
      this.#matchObject(actual, expected as JsonObject, path, shown);
    } else {
      assert.equal(actual, expected, shown());
    }
  }

  #matchObject(actual: JsonValue, expected: JsonObject, path: string, shown: () => string): void {
    assert.ok(actual !== null && typeof actual === 'object' && !Array.isArray(actual), shown());
    const object = actual as JsonObject;
    for (const [member, value] of Object.entries(expected)) {
      if (member === REST) continue;
      const got = object[member];
      assert.notEqual(got, undefined, `${path} lacks ${member}: ${shown()}`);
      this.#match(got as JsonValue, value, `${path}.${member}`, member);
    }
    if (Object.hasOwn(expected, REST)) return;
    assert.deepEqual(Object.keys(object).sort(), Object.keys(expected).sort(), shown());
  }

  #bind<T>(map: Map<T, T>, page: T, real: T, shown: () => string): void {
    const held = map.get(page);
    if (held === undefined) {
      assert.ok(![...map.values()].includes(real), `two names for one: ${shown()}`);
      map.set(page, real);
    } else {
      assert.equal(real, held, shown());
    }
  }
}
