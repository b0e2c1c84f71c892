/**
 * The front end: texts → a stratified program, or what is wrong with them. Pure: the same catalog
 * gives the same program, whatever the order of its policies and sources.
 */
import { POLICY_BYTES_MAX } from '../limits.ts';
import { ownerNameProblem } from './catalog.ts';
import type { Catalog } from './catalog.ts';
import { changingActions } from './changing-actions.ts';
import type { ChangingArgument } from './changing-actions.ts';
import { CompileMemory } from './compile-memory.ts';
import { declareTables } from './declare.ts';
import type { ParsedPolicy } from './declare.ts';
import { dependencyGraph } from './dependency-graph.ts';
import type { Reports } from './dependency-graph.ts';
import { DiagnosticList } from './diagnostic.ts';
import type { Diagnostic } from './diagnostic.ts';
import { checkImports, withoutAliases } from './imports.ts';
import { KEY_VIOLATIONS_TABLE, keyColumns } from './key-violations.ts';
import { monotoneComponents } from './monotone.ts';
import type { MonotoneProblem } from './monotone.ts';
import { policyInfo } from './policy-info.ts';
import { printExpression } from './printer.ts';
import { limitProblems } from './plan-limits.ts';
import { resolveRules } from './resolve.ts';
import { exceedsUtf8 } from './source-text.ts';
import { tableKey } from './stratified.ts';
import type { Rule, StratifiedProgram, Table, TableKey } from './stratified.ts';
import { typeConflicts } from './type-conflicts.ts';
import { cycleText, stratify, strictCycles } from './stratify.ts';
import type { StrictCycle } from './stratify.ts';
import type { PolicyTree } from './syntax-tree.ts';

export interface CompileOptions {
  /**
   * Tables that are filled from elsewhere, for example from files: they exist without a
   * definition.
   */
  readonly externalTables?: ReadonlySet<TableKey>;
  /** Of former compilations, so that what did not change is not compiled again. */
  readonly memory?: CompileMemory;
}

export interface Compilation {
  /** Undefined if and only if a diagnostic is an error. */
  readonly program: StratifiedProgram | undefined;
  /** By policy name, then in text order; `source` is the policy. */
  readonly diagnostics: readonly Diagnostic[];
}

export function compile(catalog: Catalog, options: CompileOptions = {}): Compilation {
  const memory = options.memory ?? new CompileMemory();
  const policies = parsePolicies(catalog, memory);
  checkImports(policies);
  const registry = declareTables(policies, catalog.sources, options.externalTables ?? new Set());
  const tables = registry.finish();
  const rules = policies.flatMap((policy) => resolveRules(policy, registry, policies, memory));
  const graph = dependencyGraph(tables.length, rules, reportsIn(tables));
  const monotone = monotoneComponents(graph, rules, tables);
  for (const problem of monotone.problems) reportMonotone(problem, rules, policies);
  for (const cycle of strictCycles(graph, monotone.candidates))
    reportCycle(cycle, rules, tables, policies);
  for (const action of changingActions(tables, rules)) reportChanging(action, policies);
  const hasErrors = (): boolean => policies.some((policy) => policy.diagnostics.errorCount > 0);
  if (!hasErrors()) reportTypes(tables, rules, options.externalTables ?? new Set(), policies);
  let program: StratifiedProgram | undefined;
  if (!hasErrors()) {
    const infos = policies.map((policy) => policy.info);
    program = { tables, rules, strata: stratify(graph, rules, monotone.best), policies: infos };
    reportLimits(program, policies);
  }
  const diagnostics = policies.flatMap((policy) => policy.diagnostics.finish());
  return { program: hasErrors() ? undefined : program, diagnostics };
}

function reportsIn(tables: readonly Table[]): Reports {
  const numberOf = (key: TableKey): number => tables.findIndex((one) => tableKey(one) === key);
  const keyed = tables.flatMap((table, index) => (keyColumns(table).length > 0 ? [index] : []));
  return {
    errors: numberOf('system:errors'),
    violations: numberOf(KEY_VIOLATIONS_TABLE),
    keyed: new Set(keyed),
  };
}

/** In the order of their names; of several with one name the first. */
function parsePolicies(catalog: Catalog, memory: CompileMemory): ParsedPolicy[] {
  const sorted = [...catalog.policies].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : 0,
  );
  const sources = new Set(catalog.sources.map((source) => source.name));
  const parsed: ParsedPolicy[] = [];
  const start = { start: 0, end: 0 };
  for (const { name, text } of sorted) {
    const last = parsed.at(-1);
    if (last?.name === name) {
      const message = `there are two policies \`${name}\``;
      last.diagnostics.error('duplicate-name', start, message, 'rename one of them');
      continue;
    }
    const diagnostics = new DiagnosticList(text, name);
    const problem = ownerNameProblem(name);
    if (problem !== undefined) {
      diagnostics.error('bad-policy-name', start, problem, 'give the policy another name');
    } else if (sources.has(name)) {
      diagnostics.error(
        'duplicate-name',
        start,
        `\`${name}\` is both a policy and a source`,
        'their tables could not be told apart; rename the policy',
      );
    }
    const tree = readPolicy(name, text, diagnostics, memory);
    const info = policyInfo(name, tree, diagnostics);
    parsed.push({ name, info, tree: withoutAliases(tree), diagnostics });
  }
  memory.keep(new Set(parsed.map((policy) => policy.name)));
  return parsed;
}

function readPolicy(
  name: string,
  text: string,
  diagnostics: DiagnosticList,
  memory: CompileMemory,
): PolicyTree {
  if (!exceedsUtf8(text, POLICY_BYTES_MAX)) return memory.parse(name, text, diagnostics);
  diagnostics.error(
    'limit-exceeded',
    { start: 0, end: 0 },
    `the policy is longer than ${POLICY_BYTES_MAX} bytes`,
    'facts in such numbers belong into a source',
  );
  return { statements: [], endComments: [], hasErrors: true };
}

function reportChanging(
  { rule, argument }: ChangingArgument,
  policies: readonly ParsedPolicy[],
): void {
  const policy = policies.find((one) => one.name === rule.policy);
  const node = policy?.tree.statements.find(
    (one) => one.kind === 'rule' && one.span.start === rule.span.start,
  );
  if (policy === undefined || node?.kind !== 'rule') return;
  const written = node.head.arguments[argument];
  const shown = written === undefined ? argument : printExpression(written.value);
  policy.diagnostics.error(
    'now-in-action',
    written?.span ?? node.head.span,
    `the argument \`${shown}\` of the action comes from \`now\``,
    'the action would be requested anew each second; compare with `now` in the body, ' +
      'and give the action what stays the same',
  );
}

function reportTypes(
  tables: readonly Table[],
  rules: readonly Rule[],
  external: ReadonlySet<TableKey>,
  policies: readonly ParsedPolicy[],
): void {
  const byName = new Map(policies.map((policy) => [policy.name, policy.diagnostics]));
  for (const { severity, rule, span, message, note } of typeConflicts(tables, rules, external)) {
    byName.get(rule.policy)?.[severity]('type-conflict', span, message, note);
  }
}

function reportLimits(program: StratifiedProgram, policies: readonly ParsedPolicy[]): void {
  for (const { rule, message, note } of limitProblems(program)) {
    const policy = policies.find((one) => one.name === rule?.policy) ?? policies[0];
    const span = rule?.span ?? { start: 0, end: 0 };
    policy?.diagnostics.error('limit-exceeded', span, message, note);
  }
}

function reportMonotone(
  { rule, span, message, note }: MonotoneProblem,
  rules: readonly Rule[],
  policies: readonly ParsedPolicy[],
): void {
  const policy = policies.find((one) => one.name === rules[rule]?.policy);
  policy?.diagnostics.error('not-monotone', span, message, note);
}

function reportCycle(
  cycle: StrictCycle,
  rules: readonly Rule[],
  tables: readonly Table[],
  policies: readonly ParsedPolicy[],
): void {
  const { closing } = cycle;
  const policyOf = (rule: number): ParsedPolicy | undefined =>
    policies.find((policy) => policy.name === rules[rule]?.policy);
  const owner = policyOf(closing.rule);
  if (owner === undefined) return;
  const kind = closing.strict === 'negation' ? 'negation' : 'aggregate';
  const places = cycle.path.slice(1, 6).map((edge) => {
    const policy = policyOf(edge.rule);
    const position = policy?.diagnostics.source.position(edge.span.start);
    return `${policy?.name}:${position?.line}:${position?.column}`;
  });
  const via = places.length === 0 ? '' : `the way back leads through ${places.join(', ')}; `;
  const needed = kind === 'negation' ? 'negated' : 'aggregated';
  owner.diagnostics.error(
    'negative-cycle',
    closing.span,
    `a table depends on its own ${kind}: \`${cycleText(cycle, tables, owner.name)}\``,
    `${via}break the cycle: what is ${needed} must be complete before`,
  );
}
