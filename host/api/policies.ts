/** Policies as texts: list, read, replace, delete, and what a change would do. */
import type { Diagnostic } from '../compiler/diagnostic.ts';
import type { TableDelta } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { POLICY_BYTES_MAX } from '../limits.ts';
import type { PolicyWrite } from '../replica/replica.ts';
import { blockToJson } from '../value/block-json.ts';
import { RawJson, parseJson } from '../value/json.ts';
import { bodyKind, readBody, textOfBody } from './body.ts';
import { diagnosticsOf, jsonOf, withDiagnostics } from './json-text.ts';
import type { RenderDiagnostic } from './json-text.ts';
import { invalid, objectOf, stringOf } from './request-fields.ts';
import type { Answer, ApiContext, ApiRequest, Route } from './route-table.ts';

const PATH = '/v1/policies/<name>/text';
/** What JSON may need more than the text itself: escapes. */
const ESCAPE_FACTOR = 6;

export const listPoliciesRoute: Route = {
  method: 'GET',
  path: '/v1/policies',
  query: [],
  handle({ replica }) {
    const { policies, revision, token } = replica.status();
    return { status: 200, body: jsonOf({ policies, revision, token }) };
  },
};

/** JSON, or the bare text to who accepts `text/plain`. */
export const readPolicyRoute: Route = {
  method: 'GET',
  path: PATH,
  query: [],
  async handle({ replica }, { message, parameters }) {
    const name = parameters['name'] as string;
    const { text, revision, token } = await replica.readPolicy(name);
    if (/^\s*text\/plain\b/i.test(message.headers.accept ?? '')) {
      const headers = {
        'content-type': 'text/plain; charset=utf-8',
        'caucus-revision': String(revision),
        'caucus-token': token,
      };
      return { status: 200, headers, body: text };
    }
    return { status: 200, body: jsonOf({ name, text, revision, token }) };
  },
};

/** Kind, tables with their columns, and rules with their metadata. */
export const describePolicyRoute: Route = {
  method: 'GET',
  path: '/v1/policies/<name>/schema',
  query: [],
  async handle({ replica }, { parameters }) {
    return {
      status: 200,
      body: jsonOf(await replica.describePolicy(parameters['name'] as string)),
    };
  },
};

export const putPolicyRoute: Route = {
  method: 'PUT',
  path: PATH,
  query: ['dryRun'],
  async handle(context, request) {
    return writeOrTry(context, request, await policyTextOf(context, request));
  },
};

export const deletePolicyRoute: Route = {
  method: 'DELETE',
  path: PATH,
  query: ['dryRun'],
  handle: (context, request) => writeOrTry(context, request, null),
};

async function policyTextOf({ limits }: ApiContext, { message }: ApiRequest): Promise<string> {
  const kind = bodyKind(message, ['text', 'json']);
  const bytesMax = kind === 'text' ? POLICY_BYTES_MAX : POLICY_BYTES_MAX * ESCAPE_FACTOR;
  const bytes = await readBody(message, { bytesMax, idleMsMax: limits.bodyIdleMsMax });
  if (kind === 'text') return textOfBody(bytes);
  return stringOf(objectOf(parseJson(bytes), 'a policy', ['text']), 'text', 'a policy');
}

/** A dry run answers with the errors that the write would answer with, else with its effect. */
async function writeOrTry(
  context: ApiContext,
  request: ApiRequest,
  text: string | null,
): Promise<Answer> {
  const { replica } = context;
  const write = { name: request.parameters['name'] as string, text };
  try {
    if (isDryRun(request)) return await dryRun(context, write);
    const { revision, token, pending } = await replica.writePolicies([write]);
    if (pending === true) return { status: 202, body: jsonOf({ token, pending }) };
    return { status: 200, body: jsonOf({ revision, token }) };
  } catch (error) {
    throw await withPolicyDiagnostics(context, write, error);
  }
}

/** Other policies may be what is wrong with a write: each diagnostic shows the text it is of. */
async function withPolicyDiagnostics(
  context: ApiContext,
  write: PolicyWrite,
  error: unknown,
): Promise<unknown> {
  const diagnostics = error instanceof CaucusError ? error.details['diagnostics'] : undefined;
  if (!Array.isArray(diagnostics)) return error;
  return withDiagnostics(error, '', await renderOf(context, write, diagnostics as Diagnostic[]));
}

async function renderOf(
  { replica, renderDiagnostic }: ApiContext,
  { name, text }: PolicyWrite,
  diagnostics: readonly Diagnostic[],
): Promise<RenderDiagnostic | undefined> {
  if (renderDiagnostic === undefined) return undefined;
  const texts = new Map([[name, text]]);
  for (const { source = name } of diagnostics) {
    if (texts.has(source)) continue;
    const policy = await replica.readPolicy(source).catch(() => undefined);
    texts.set(source, policy?.text ?? null);
  }
  return (diagnostic) => {
    const shown = texts.get(diagnostic.source ?? name) ?? undefined;
    return shown === undefined ? undefined : renderDiagnostic(diagnostic, shown);
  };
}

async function dryRun(context: ApiContext, write: PolicyWrite): Promise<Answer> {
  const { diagnostics, deltas } = await context.replica.dryRun(write);
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    const count = errors.length === 1 ? 'an error' : `${errors.length} errors`;
    throw new CaucusError('invalid_policy', `policy \`${write.name}\` has ${count}`, {
      remedy: 'see `diagnostics`',
      details: { diagnostics },
    });
  }
  const changes = Object.fromEntries(deltas.map((delta) => [delta.table, changeOf(delta)]));
  const render = await renderOf(context, write, diagnostics);
  const warnings = diagnosticsOf(diagnostics, '', render);
  return { status: 200, body: jsonOf({ changes, diagnostics: warnings }) };
}

function changeOf(delta: TableDelta): Record<string, unknown> {
  return {
    insert: new RawJson(blockToJson(delta.insert)),
    delete: new RawJson(blockToJson(delta.delete)),
  };
}

function isDryRun({ query }: ApiRequest): boolean {
  const values = query.getAll('dryRun');
  const [value = 'false'] = values;
  if (values.length > 1 || (value !== 'true' && value !== 'false')) {
    throw invalid(`\`?dryRun=${values.join('&dryRun=')}\` is no answer`, 'use `true` or `false`');
  }
  return value === 'true';
}
