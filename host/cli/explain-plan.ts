/** `caucus explain --plan [FILE…]`: how the rules of policy files, or of a server, are run. */
import { lower } from '../compiler/lower.ts';
import type { PlanOptions } from '../compiler/plan.ts';
import type { Layout } from '../engine/engine-options.ts';
import type { TableChange } from '../engine/engine.ts';
import { planDocument } from '../explain/plan-document.ts';
import type { Evaluated, PlanDocument } from '../explain/plan-document.ts';
import { planLines } from '../explain/plan-lines.ts';
import { NOW_TABLE, nowTableChange } from '../replica/now-row.ts';
import { stringifyJson } from '../value/json.ts';
import type { JsonInput } from '../value/json.ts';
import { tableKey } from '../compiler/stratified.ts';
import { compileProgram } from './compile-files.ts';
import { createEngine } from './core-engine.ts';
import type { PolicyText } from './policy-file.ts';
import { readPolicyTexts } from './policy-imports.ts';
import { ProblemsError } from './problem.ts';
import { expectSuccess } from './run-failure.ts';
import { externalTables, listFacts, readFacts } from './run-facts.ts';
import { rowsMaxOf } from './run-limits.ts';
import { readServerPolicies } from './server-policies.ts';
import { TableNames } from './table-names.ts';
import type { Terminal } from './terminal.ts';

export interface ExplainPlanOptions {
  /** Directory of facts: sizes are theirs, and the plan is evaluated once. */
  readonly facts?: string;
  /** Shows what updates run, too. */
  readonly updates?: boolean;
  readonly layout?: Layout;
}

/** Of the policies of a server, as it has them: their sizes are not known to its planner. */
export async function explainServerPlan(
  url: string,
  options: Pick<ExplainPlanOptions, 'updates'>,
  terminal: Terminal,
): Promise<void> {
  const { sources, tables } = await readServerPolicies(url);
  const { program } = compileProgram(sources, tables);
  const plan = lower(program, { watched: new Set(), leavesOut: true, isExplained: true });
  print(planDocument(plan, { policies: sources }), options, terminal);
}

function print(
  document: PlanDocument,
  options: Pick<ExplainPlanOptions, 'updates'>,
  terminal: Terminal,
): void {
  if (terminal.json) terminal.print(stringifyJson(document as unknown as JsonInput));
  else for (const line of planLines(document, options)) terminal.print(line);
}

export async function explainPlan(
  files: readonly string[],
  options: ExplainPlanOptions,
  terminal: Terminal,
): Promise<void> {
  const factFiles = options.facts === undefined ? [] : await listFacts(options.facts);
  const sources = await readPolicyTexts(files);
  const [first] = sources as readonly [PolicyText];
  const compiled = compileProgram(sources, externalTables(first.name, factFiles));
  terminal.problems(compiled.warnings);
  const names = new TableNames(compiled.program, first.name);
  const facts = await factsOf(options.facts, factFiles, names, terminal);
  const sizes = new Map(facts.map(({ table, insert }) => [table, insert?.count ?? 0]));
  const planOptions: PlanOptions = { watched: new Set(), sizes, isExplained: true };
  const plan = lower(names.program, planOptions);
  const evaluated =
    options.facts === undefined
      ? undefined
      : await evaluate(names, facts, { planOptions, file: first.file, layout: options.layout });
  print(planDocument(plan, { policies: sources }, evaluated), options, terminal);
}

async function factsOf(
  directory: string | undefined,
  files: readonly string[],
  names: TableNames,
  terminal: Terminal,
): Promise<readonly TableChange[]> {
  if (directory === undefined) return [];
  const { changes, problems } = await readFacts(directory, files, names, () => undefined);
  if (problems.some(({ severity }) => severity === 'error')) throw new ProblemsError(problems);
  terminal.problems(problems);
  return changes;
}

async function evaluate(
  names: TableNames,
  facts: readonly TableChange[],
  {
    planOptions,
    file,
    layout,
  }: {
    readonly planOptions: PlanOptions;
    readonly file: string;
    readonly layout: Layout | undefined;
  },
): Promise<Evaluated> {
  const { program } = names;
  const rowsMax = rowsMaxOf(program, undefined);
  const engine = await createEngine(rowsMax, layout);
  try {
    const readsNow = program.tables.some((table) => tableKey(table) === NOW_TABLE);
    const changes = [...facts, ...(readsNow ? [nowTableChange(Date.now())] : [])];
    const plan = lower(program, planOptions);
    const result = await engine.transact({ plan, changes, withoutDeltas: true });
    expectSuccess(result, { file, names, rowsMax });
    const { strata } = engine.stats();
    const counts = new Map(plan.relations.map(({ name }) => [name, engine.count(name)]));
    return {
      rowsOf: (table) => counts.get(table) ?? 0,
      isOverBits: (table) => strata.find(({ tables }) => tables.includes(table))?.overBits,
    };
  } finally {
    engine.close();
  }
}
