/** The policies of a server, as files would have them, and the tables of its sources. */
import type { JsonObject } from '../value/json.ts';
import { isObject, notCaucus, request, textOf } from './client.ts';
import type { PolicyText } from './policy-file.ts';
import { inputError } from './problem.ts';

export interface ServerPolicies {
  readonly sources: readonly PolicyText[];
  /** As `source:table`. */
  readonly tables: ReadonlySet<string>;
}

/** One request for each policy: a write between two of them may be seen or not. */
export async function readServerPolicies(url: string): Promise<ServerPolicies> {
  const status = await request(url, { method: 'GET', path: '/v1/status' });
  const { policies } = await request(url, { method: 'GET', path: '/v1/policies' });
  if (!Array.isArray(policies)) throw notCaucus(url, 'its answer has no `policies`');
  const sources: PolicyText[] = [];
  for (const policy of policies.filter(isObject)) {
    const name = textOf(policy['name']) ?? '';
    // A policy that does not compile any more is no part of what runs.
    if (policy['kind'] === null) continue;
    const path = `/v1/policies/${encodeURIComponent(name)}/text`;
    const answer = await request(url, { method: 'GET', path });
    sources.push({ name, file: name, text: textOf(answer['text']) ?? '' });
  }
  if (sources.length === 0) {
    throw inputError('no-policies', `the server at \`${url}\` has no policies`, {
      note: 'write one with `PUT /v1/policies/<name>/text`, or name files behind `--plan`',
    });
  }
  return { sources, tables: tablesOf(status) };
}

function tablesOf({ sources }: JsonObject): Set<string> {
  const tables = new Set<string>();
  for (const source of Array.isArray(sources) ? sources.filter(isObject) : []) {
    if (!isObject(source['tables'])) continue;
    const owner = textOf(source['name']) ?? '';
    for (const table of Object.keys(source['tables'])) tables.add(`${owner}:${table}`);
  }
  return tables;
}
