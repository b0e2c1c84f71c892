/** What the shell works on: a program in this process, or a server. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { SYSTEM_TABLES } from '../compiler/catalog.ts';
import type { Catalog } from '../compiler/catalog.ts';
import { lower, lowerQuery } from '../compiler/lower.ts';
import { compileQuery } from '../compiler/query.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { StratifiedProgram, TableKey } from '../compiler/stratified.ts';
import type { Engine, TableChange } from '../engine/engine.ts';
import { ROWS_PER_TABLE_MAX } from '../limits.ts';
import { NOW_TABLE, nowTableChange } from '../replica/now-row.ts';
import { stringifyJson } from '../value/json.ts';
import { decodeRows } from '../value/row-block.ts';
import type { Value } from '../value/value.ts';
import { request, textOf } from './client.ts';
import { compileTexts, problemsOfDiagnostics } from './compile-files.ts';
import { createEngine } from './core-engine.ts';
import { readFactsFile } from './facts-file.ts';
import { readPolicyTexts } from './policy-imports.ts';
import type { PolicyText } from './policy-file.ts';
import { ProblemsError } from './problem.ts';
import { answerOf, ask } from './query.ts';
import { expectSuccess } from './run-failure.ts';
import { externalTables, FACTS_SUFFIX } from './run-facts.ts';
import { TableNames } from './table-names.ts';
import { renderTable } from './terminal.ts';
import type { Colors } from './terminal.ts';

export interface ReplAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
  /** The answer for machines. */
  readonly json: string;
}

/** All reject with problems; then nothing has changed. */
export interface ReplSession {
  readonly title: string;
  /** Resolves with what to say about it; may be empty. */
  define(text: string): Promise<string>;
  ask(text: string): Promise<ReplAnswer>;
  list(): Promise<string>;
  tables(colors: Colors): Promise<string>;
  undo(): Promise<string>;
  usePolicy(name: string | undefined): Promise<string>;
  close(): void;
}

/** Policy of what is typed where no file is given. */
const SCRATCH_POLICY = 'repl';

export async function openLocalSession(
  files: readonly string[],
  facts: string | undefined,
): Promise<ReplSession> {
  const sources = await readPolicyTexts(files);
  const first = sources[0] ?? { file: 'repl', name: SCRATCH_POLICY, text: '' };
  const session = new LocalSession([first, ...sources.slice(1)], await createEngine());
  await session.start(facts);
  return session;
}

/** Definitions go to the first policy; the whole is compiled again with each. */
class LocalSession implements ReplSession {
  readonly title: string;
  private readonly engine: Engine;
  private texts: readonly PolicyText[];
  private readonly before: (readonly PolicyText[])[] = [];
  private external: ReadonlySet<TableKey> = new Set();
  private facts: readonly string[] = [];
  private program: StratifiedProgram = { tables: [], rules: [], strata: [] };

  constructor(texts: readonly PolicyText[], engine: Engine) {
    this.texts = texts;
    this.engine = engine;
    this.title = `policy \`${texts[0]?.name ?? SCRATCH_POLICY}\``;
  }

  async start(directory: string | undefined): Promise<void> {
    const policy = this.texts[0]?.name ?? SCRATCH_POLICY;
    if (directory !== undefined) {
      const names = await readdir(directory);
      this.facts = names
        .filter((name) => name.endsWith(FACTS_SUFFIX))
        .map((name) => path.join(directory, name));
      this.external = externalTables(policy, this.facts);
    }
    await this.install(this.texts, await this.compile(this.texts));
  }

  async define(text: string): Promise<string> {
    const [first, ...rest] = this.texts;
    if (first === undefined) throw new Error('a session has a policy');
    const statement = /[.;]\s*$/.test(text) || !text.includes('(') ? text : `${text}.`;
    const separator = first.text === '' || first.text.endsWith('\n') ? '' : '\n';
    const next = [{ ...first, text: `${first.text}${separator}${statement}\n` }, ...rest];
    const lineOffset = first.text.split('\n').length - (separator === '' ? 1 : 0);
    const program = await this.compile(next, { text, lineOffset });
    const before = this.texts;
    await this.install(next, program);
    this.before.push(before);
    return '';
  }

  async ask(text: string): Promise<ReplAnswer> {
    const policy = this.texts[0]?.name ?? SCRATCH_POLICY;
    const { query, diagnostics } = compileQuery(this.program, this.catalog(this.texts), text, {
      policy,
      externalTables: this.external,
    });
    if (query === undefined) {
      throw new ProblemsError(
        problemsOfDiagnostics(diagnostics, [{ file: 'query', name: '', text }]),
      );
    }
    const plan = lower(this.program, {});
    await this.engine.transact({ changes: [nowTableChange(Date.now())] });
    const result = await this.engine.query(lowerQuery(plan, query));
    const rows = decodeRows(result.rows);
    const json = stringifyJson({ columns: query.columns, rows: rows.map((row) => [...row]) });
    return { columns: query.columns, rows, json };
  }

  async list(): Promise<string> {
    return this.texts.map(({ text }) => text).join('\n');
  }

  async tables(colors: Colors): Promise<string> {
    const names = new TableNames(this.program, this.texts[0]?.name ?? SCRATCH_POLICY);
    const rows = names.tables
      .filter((table) => table.kind !== 'system')
      .map((table) => [`${table.printed}/${table.arity}`, String(this.engine.count(table.key))]);
    return renderTable(['table', 'rows'], rows, colors, { align: ['left', 'right'] });
  }

  async undo(): Promise<string> {
    const before = this.before.pop();
    if (before === undefined) return 'nothing to take back';
    await this.install(before, await this.compile(before));
    return 'taken back';
  }

  async usePolicy(): Promise<string> {
    throw new UsageOfShell('`:policy` is for a server', 'start with `caucus repl --url URL`');
  }

  close(): void {
    this.engine.close();
  }

  private catalog(texts: readonly PolicyText[]): Catalog {
    return { policies: texts.map(({ name, text }) => ({ name, text })), sources: [] };
  }

  /** `added`: the statement to show errors in, instead of the whole policy. */
  private async compile(
    texts: readonly PolicyText[],
    added?: { readonly text: string; readonly lineOffset: number },
  ): Promise<StratifiedProgram> {
    const { program, problems } = compileTexts(texts, this.external);
    if (program !== undefined) return withTime(program);
    const errors = problems.filter((problem) => problem.severity === 'error');
    if (added === undefined) throw new ProblemsError(problems);
    throw new ProblemsError(
      errors.map((problem) => {
        const line = (problem.line ?? 1) - added.lineOffset;
        return line < 1 ? problem : { ...problem, file: 'input', line };
      }),
    );
  }

  private async install(texts: readonly PolicyText[], program: StratifiedProgram): Promise<void> {
    const names = new TableNames(program, texts[0]?.name ?? SCRATCH_POLICY);
    const changes: TableChange[] = [];
    for (const file of this.facts) {
      const table = names.findByFile(path.basename(file, FACTS_SUFFIX));
      if (table === undefined || table.kind === 'system') continue;
      const shape = { name: table.printed, arity: table.arity };
      const columns = table.columns === undefined ? {} : { columns: table.columns };
      const read = await readFactsFile(file, { ...shape, ...columns });
      if (read.problems.some(({ severity }) => severity === 'error'))
        throw new ProblemsError(read.problems);
      changes.push({ table: table.key, replace: true, insert: read.content });
    }
    changes.push(nowTableChange(Date.now()));
    const result = await this.engine.transact({ plan: lower(program, {}), changes });
    expectSuccess(result, { names, rowsMax: () => ROWS_PER_TABLE_MAX });
    this.texts = texts;
    this.program = program;
  }
}

/** A query may read the time where no rule does. */
function withTime(program: StratifiedProgram): StratifiedProgram {
  if (program.tables.some((table) => tableKey(table) === NOW_TABLE)) return program;
  const now = SYSTEM_TABLES.find(({ name }) => name === 'now');
  if (now === undefined) return program;
  return { ...program, tables: [...program.tables, { owner: 'system', ...now, kind: 'system' }] };
}

class UsageOfShell extends ProblemsError {
  constructor(message: string, note: string) {
    super([{ severity: 'error', code: 'usage', message, note }]);
  }
}

export async function openRemoteSession(url: string): Promise<ReplSession> {
  const session = new RemoteSession(url);
  await session.start();
  return session;
}

/** Definitions are appended to the text of the policy chosen with `:policy`. */
class RemoteSession implements ReplSession {
  readonly title: string;
  private readonly url: string;
  private policy: string | undefined;
  private readonly before: string[] = [];

  constructor(url: string) {
    this.url = url;
    this.title = `server ${url}`;
  }

  async start(): Promise<void> {
    await request(this.url, { method: 'GET', path: '/v1/status' });
  }

  async define(text: string): Promise<string> {
    const policy = this.chosen();
    const before = await this.text(policy);
    const separator = before === '' || before.endsWith('\n') ? '' : '\n';
    const statement = /[.;]\s*$/.test(text) || /^table\s/.test(text) ? text : `${text}.`;
    const revision = await this.write(policy, `${before}${separator}${statement}\n`);
    this.before.push(before);
    return `${policy} at revision ${revision}`;
  }

  async ask(text: string): Promise<ReplAnswer> {
    const options =
      this.policy === undefined ? { url: this.url } : { url: this.url, policy: this.policy };
    const body = await ask(text, options);
    const { columns, rows } = answerOf(body, this.url);
    return { columns, rows, json: stringifyJson(body) };
  }

  async list(): Promise<string> {
    return this.text(this.chosen());
  }

  async tables(colors: Colors): Promise<string> {
    const state = await request(this.url, { method: 'GET', path: '/v1/status' });
    const sources = Array.isArray(state['sources']) ? state['sources'] : [];
    const rows = sources.flatMap((source) => {
      const { name, tables } = source as unknown as {
        name: string;
        tables: Record<string, bigint>;
      };
      return Object.entries(tables).map(([table, count]) => [`${name}:${table}`, String(count)]);
    });
    return renderTable(['table', 'rows'], rows, colors, { align: ['left', 'right'] });
  }

  async undo(): Promise<string> {
    const before = this.before.pop();
    if (before === undefined) return 'nothing to take back';
    const policy = this.chosen();
    return `${policy} at revision ${await this.write(policy, before)}`;
  }

  async usePolicy(name: string | undefined): Promise<string> {
    if (name === undefined) {
      return this.policy === undefined ? 'no policy is chosen' : `policy \`${this.policy}\``;
    }
    this.policy = name;
    this.before.length = 0;
    return `definitions go to policy \`${name}\``;
  }

  close(): void {}

  private chosen(): string {
    if (this.policy !== undefined) return this.policy;
    throw new UsageOfShell(
      'no policy is chosen',
      'choose one with `:policy NAME`; it is made where it does not exist',
    );
  }

  private async text(policy: string): Promise<string> {
    try {
      const answer = await request(this.url, { method: 'GET', path: policyPath(policy) });
      return textOf(answer['text']) ?? '';
    } catch (error) {
      const unknown =
        error instanceof ProblemsError && error.problems[0]?.code === 'unknown_policy';
      if (unknown) return '';
      throw error;
    }
  }

  private async write(policy: string, text: string): Promise<string> {
    const answer = await request(this.url, {
      method: 'PUT',
      path: policyPath(policy),
      body: { text },
      text: { name: policy, content: text },
    });
    return String(answer['revision']);
  }
}

function policyPath(policy: string): string {
  return `/v1/policies/${encodeURIComponent(policy)}/text`;
}
