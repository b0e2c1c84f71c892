/**
 * `caucus run PROGRAM --facts DIR`: one program over files, evaluated once, then batch by batch.
 * The formats are in docs/CLI.md; nothing here knows a policy engine beyond `Engine`.
 */
import { stat } from 'node:fs/promises';
import { KEY_VIOLATIONS_TABLE } from '../compiler/key-violations.ts';
import { policyNameOfPath } from '../compiler/import-path.ts';
import { lower } from '../compiler/lower.ts';
import type { Plan } from '../compiler/plan.ts';
import { nearestName } from '../compiler/nearest-name.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { StratifiedProgram, TableKey } from '../compiler/stratified.ts';
import type { Layout } from '../engine/engine-options.ts';
import type { Engine, EngineStats, TableChange, TableDelta } from '../engine/engine.ts';
import { NOW_TABLE, nowTableChange } from '../replica/now-row.ts';
import { compileProgram } from './compile-files.ts';
import type { PolicyText } from './policy-file.ts';
import { readPolicyTexts } from './policy-imports.ts';
import { createEngine } from './core-engine.ts';
import { ProblemsError, UsageError } from './problem.ts';
import type { Problem } from './problem.ts';
import { ChangeExplainer } from './run-changes.ts';
import { explainRow } from './run-explain.ts';
import type { ExplainRequest } from './run-explain.ts';
import {
  externalTables,
  listFacts,
  percent,
  readFacts,
  shapeOf,
  systemTable,
} from './run-facts.ts';
import { expectSuccess } from './run-failure.ts';
import { rowsMaxOf, showGrowth } from './run-limits.ts';
import type { RowsMaxOf } from './run-limits.ts';
import { OutputDirectory, writeDeltas, writeTable } from './run-output.ts';
import { renderRunStats, runStatsJson } from './run-stats.ts';
import { TableNames } from './table-names.ts';
import type { NamedTable } from './table-names.ts';
import type { Progress, Terminal } from './terminal.ts';
import { readUpdatesFile } from './updates-file.ts';
import type { FindTable, UpdateBatch } from './updates-file.ts';

export interface RunOptions {
  readonly facts: string;
  readonly out?: string;
  /** Names of tables, as given. */
  readonly output?: readonly string[];
  readonly updates?: string;
  readonly stats?: boolean;
  readonly batchOnly?: boolean;
  /** Rows that any table may have. Absent: see `run-limits.ts`. */
  readonly maxRows?: number;
  /** How recursive tables are evaluated from scratch. */
  readonly layout?: Layout;
  /** A row that is there, one that is not, as literals of constants and `_`. */
  readonly explain?: string;
  readonly whyNot?: string;
  /** Prints what made rows come and go, batch by batch. */
  readonly explainChanges?: boolean;
}

export interface RunResult {
  readonly plan: Plan;
  /** Wall time of the first evaluation, without start-up and reading of files, ms. */
  readonly evaluateMs: number;
  readonly updateMs: readonly number[];
  readonly strata: StratifiedProgram['strata'];
  /** Sizes at the end; `strata` of the first evaluation. */
  readonly stats: EngineStats;
}

/** Makes the engine; replaced in tests. */
export type EngineFactory = (rowsPerTableMax: RowsMaxOf, layout?: Layout) => Promise<Engine>;

export async function run(
  programFile: string,
  options: RunOptions,
  terminal: Terminal,
  engineFactory: EngineFactory = createEngine,
): Promise<void> {
  if (options.batchOnly === true && options.updates !== undefined) {
    throw new UsageError(
      '`--batch-only` and `--updates` exclude each other',
      'a program evaluated with `--batch-only` cannot be kept up to date; leave one of them out',
    );
  }
  if (options.batchOnly === true && (options.explain ?? options.whyNot) !== undefined) {
    throw new UsageError(
      '`--batch-only` keeps nothing that explains a row',
      'leave out `--batch-only`, or `--explain` and `--why-not`',
    );
  }
  if (options.explainChanges === true && options.updates === undefined) {
    throw new UsageError('`--explain-changes` needs `--updates`', 'name the file of batches');
  }
  const progress = terminal.progress();
  try {
    await new Run(programFile, options, terminal, progress).execute(engineFactory);
  } finally {
    progress.done();
  }
}

class Run {
  private readonly programFile: string;
  private readonly options: RunOptions;
  private readonly terminal: Terminal;
  private readonly progress: Progress;

  constructor(programFile: string, options: RunOptions, terminal: Terminal, progress: Progress) {
    this.programFile = programFile;
    this.options = options;
    this.terminal = terminal;
    this.progress = progress;
  }

  async execute(engineFactory: EngineFactory): Promise<void> {
    const { options, terminal } = this;
    const files = await listFacts(options.facts);
    const sources = await readPolicyTexts([this.programFile]);
    const source = sources[0] as PolicyText;
    const compiled = compileProgram(sources, externalTables(source.name, files));
    terminal.problems(this.worthSaying(compiled.warnings));
    const names = new TableNames(compiled.program, source.name);
    const shown = shownTables(names, options.output);
    names.checkFiles(shown);
    const output = options.out === undefined ? undefined : await OutputDirectory.open(options.out);

    const facts = await this.readFacts(files, names);
    const batches = await this.readUpdates(names);
    const rowsMax = rowsMaxOf(names.program, options.maxRows);
    const engine = await engineFactory(rowsMax, options.layout);
    const abandon = (): void => output?.discardNow();
    process.once('exit', abandon);
    try {
      const result = await this.evaluate(engine, names, shown, facts, batches, output);
      this.warnOfFailures(engine);
      this.warnOfKeys(engine);
      if (output !== undefined) {
        for (const table of shown) await writeTable(output, table, await engine.rows(table.key));
        await output.commit();
      }
      this.report(result, names);
      await this.explain(engine, result.plan, sources);
    } catch (error) {
      await output?.discard();
      throw error;
    } finally {
      process.off('exit', abandon);
      engine.close();
    }
  }

  private async evaluate(
    engine: Engine,
    names: TableNames,
    shown: readonly NamedTable[],
    facts: readonly TableChange[],
    batches: readonly UpdateBatch[],
    output: OutputDirectory | undefined,
  ): Promise<RunResult> {
    const { program } = names;
    const rowsMax = rowsMaxOf(program, this.options.maxRows);
    const isExplained = this.options.explainChanges === true;
    const keys = this.options.updates === undefined ? [] : shown.map((table) => table.key);
    const watched = isExplained ? 'all' : new Set(keys);
    const sizes = new Map(facts.map(({ table, insert }) => [table, insert?.count ?? 0]));
    const batchOnly = this.options.batchOnly === true;
    const plan = lower(program, { watched, sizes, batchOnly });
    const stopShowing = showGrowth(this.progress, engine, 'evaluating');
    const start = performance.now();
    const changes = [...facts, ...timeOf(program)];
    const first = await engine
      .transact({ plan, changes, withoutDeltas: true })
      .finally(stopShowing);
    const evaluateMs = performance.now() - start;
    expectSuccess(first, { file: this.programFile, names, rowsMax });
    const { strata } = engine.stats();

    const policy = policyNameOfPath(this.programFile);
    const { terminal } = this;
    const explainer = isExplained
      ? new ChangeExplainer({ engine, plan, policy, shown, terminal })
      : undefined;
    const deltas =
      this.options.updates === undefined ? undefined : await output?.create('deltas.tsv');
    const updateMs: number[] = [];
    try {
      for (const [index, changes] of batches.entries()) {
        const batch = index + 1;
        const what = `batch ${batch} of ${batches.length}`;
        const stopShowingBatch = showGrowth(this.progress, engine, what);
        const startMs = performance.now();
        const transacted = explainer?.transact(changes) ?? engine.transact({ changes });
        const result = await transacted.finally(stopShowingBatch);
        updateMs.push(performance.now() - startMs);
        const changed = expectSuccess(result, {
          file: this.options.updates ?? '',
          names,
          rowsMax,
          batch,
        });
        if (deltas !== undefined) await writeDeltas(deltas, batch, inNameOrder(changed, shown));
      }
    } finally {
      await deltas?.close();
    }
    const stats = { ...engine.stats(), strata };
    return { plan, evaluateMs, updateMs, strata: program.strata, stats };
  }

  private async explain(engine: Engine, plan: Plan, sources: readonly PolicyText[]): Promise<void> {
    const { explain, whyNot } = this.options;
    const requests: ExplainRequest[] = [
      ...(explain === undefined ? [] : [{ kind: 'explain', text: explain } as const]),
      ...(whyNot === undefined ? [] : [{ kind: 'why-not', text: whyNot } as const]),
    ];
    for (const one of requests) await explainRow(one, engine, plan, sources, this.terminal);
  }

  private async readFacts(files: readonly string[], names: TableNames): Promise<TableChange[]> {
    const { changes, problems } = await readFacts(this.options.facts, files, names, (text) => {
      this.progress.update(text);
    });
    this.checkProblems(problems);
    return changes;
  }

  private async readUpdates(names: TableNames): Promise<readonly UpdateBatch[]> {
    const file = this.options.updates;
    if (file === undefined) return [];
    const { size } = await stat(file);
    const find: FindTable = (name) => {
      const table = names.find(name);
      if (table === undefined) {
        return {
          message: `the program has no table \`${name}\``,
          note: nearestNote(name, names.tables, 'name a table that the program declares or uses'),
        };
      }
      if (table.kind === 'system') return systemTable(table, {});
      return { ...shapeOf(table), key: table.key };
    };
    const read = await readUpdatesFile(file, find, (bytes) => {
      this.progress.update(`reading ${file} ${percent(bytes, size)}`);
    });
    this.checkProblems(read.problems);
    return read.content;
  }

  private checkProblems(problems: readonly Problem[]): void {
    const errors = problems.filter((problem) => problem.severity === 'error');
    if (errors.length > 0) throw new ProblemsError(problems);
    this.progress.done();
    this.terminal.problems(problems);
  }

  /** With updates a table without a definition or file is still to be filled. */
  private worthSaying(warnings: readonly Problem[]): readonly Problem[] {
    if (this.options.updates === undefined) return warnings;
    return warnings.filter(({ code }) => code !== 'unknown-table' && code !== 'unresolved-table');
  }

  /** Calls that failed give no row; said here, or nobody would look. */
  private warnOfFailures(engine: Engine): void {
    const failures = engine.count(ERRORS_TABLE);
    if (failures === 0 || this.options.output?.some((name) => name === ERRORS_TABLE)) return;
    this.progress.done();
    this.terminal.problems([
      {
        severity: 'warning',
        code: 'failed-calls',
        message: `${failures} ${failures === 1 ? 'call' : 'calls'} failed (overflow, division by zero or no number) and gave no row`,
        note: `see which with \`--output ${ERRORS_TABLE}\`; guard the call with a comparison`,
      },
    ]);
  }

  /** Rows with equal keys are all there; said here, or nobody would look. */
  private warnOfKeys(engine: Engine): void {
    const keys = engine.count(KEY_VIOLATIONS_TABLE);
    if (keys === 0 || this.options.output?.includes(KEY_VIOLATIONS_TABLE) === true) return;
    this.progress.done();
    this.terminal.problems([
      {
        severity: 'warning',
        code: 'key-violations',
        message: `${keys} ${keys === 1 ? 'key has' : 'keys have'} several rows`,
        note: `see which with \`--output ${KEY_VIOLATIONS_TABLE}\``,
      },
    ]);
  }

  private report(result: RunResult, names: TableNames): void {
    const { options, terminal, progress } = this;
    progress.done();
    if (options.stats !== true) return;
    const withUpdates = options.updates !== undefined;
    if (terminal.json) terminal.print(runStatsJson(result, names, withUpdates));
    else terminal.print(renderRunStats(result, names, withUpdates, terminal.out));
  }
}

/** There is no log whose time counts: it is that of the start. */
function timeOf(program: StratifiedProgram): TableChange[] {
  const isRead = program.tables.some((table) => tableKey(table) === NOW_TABLE);
  return isRead ? [nowTableChange(Date.now())] : [];
}

const ERRORS_TABLE: TableKey = 'system:errors';

/**
 * Tables with rules or facts in the text and those of `--output`, in the order of their printed
 * names.
 */
function shownTables(names: TableNames, output: readonly string[] | undefined): NamedTable[] {
  if (output === undefined) return inPrintedOrder(names.tables.filter((table) => table.defined));
  const shown = new Set<NamedTable>();
  const problems: Problem[] = [];
  for (const name of output) {
    const table = names.find(name);
    if (table !== undefined) shown.add(table);
    else {
      problems.push({
        severity: 'error',
        code: 'unknown-table',
        message: `\`--output\` names \`${name}\`, which is no table of the program`,
        note: nearestNote(name, names.tables, 'name tables that the program declares or uses'),
      });
    }
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return inPrintedOrder([...shown]);
}

function inPrintedOrder(tables: NamedTable[]): NamedTable[] {
  return tables.sort((a, b) => Buffer.compare(Buffer.from(a.printed), Buffer.from(b.printed)));
}

function inNameOrder(
  deltas: readonly TableDelta[],
  shown: readonly NamedTable[],
): { readonly printed: string; readonly delta: TableDelta }[] {
  const byKey = new Map(deltas.map((delta) => [delta.table, delta]));
  return shown.flatMap((table) => {
    const delta = byKey.get(table.key);
    return delta === undefined ? [] : [{ printed: table.printed, delta }];
  });
}

function nearestNote(name: string, tables: readonly NamedTable[], otherwise: string): string {
  const nearest = nearestName(
    name,
    tables.map((table) => table.printed),
  );
  return nearest === undefined ? otherwise : `did you mean \`${nearest}\`?`;
}
