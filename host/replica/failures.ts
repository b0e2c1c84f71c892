/**
 * Policies that are failed: their derived rows exceeded a limit, or what they read changed so that
 * they no longer compile. Their rules are left out of the plan, and so are those of every policy
 * that reads their tables; base rows go on. Pure functions of the replicated state.
 */
import type { Rule, StratifiedProgram, Stratum, Table, TableKey } from '../compiler/stratified.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { Row } from '../value/value.ts';

/** A policy that failed by itself. The policies that read it are derived from the program. */
export interface FailureRoot {
  readonly policy: string;
  /** The table to blame, where one is known. */
  readonly table: TableKey | null;
  /** `rows_per_table`, `values`, `steps`, `bad_program` or `invalid_policy`. */
  readonly code: string;
  readonly message: string;
  readonly failedAt: number;
  /** Retries that failed so far: the next is at `failedAt + 2^retries`, or at a change after it. */
  readonly retries: number;
  /**
   * What it reads has changed since it was tried last. Without a change it would fail again, and
   * every try delays what else the cut has.
   */
  readonly inputsChanged?: boolean;
}

export type FailureRoots = ReadonlyMap<string, FailureRoot>;

export interface FailedTable {
  readonly policy: string;
  readonly table: TableKey;
  /** The root's code, or `policy_failed` where the policy only reads what failed. */
  readonly code: string;
}

export interface Failures {
  /** Every failed policy with the policy that is the cause. */
  readonly policies: ReadonlyMap<string, { readonly code: string; readonly cause: string }>;
  readonly tables: ReadonlyMap<TableKey, FailedTable>;
}

export function retryRevision(root: FailureRoot): number {
  return root.failedAt + 2 ** root.retries;
}

/** What a cut changes, as far as it can be known before the engine has computed it. */
export interface InputChanges {
  /** Policies that were written or deleted. */
  readonly policies: ReadonlySet<string>;
  /** Base tables of accepted batches. */
  readonly tables: ReadonlySet<TableKey>;
  /** Some batch takes rows away. */
  readonly hasDeletes: boolean;
}

/** Failures of what all policies share: any policy that goes and any row that goes may help. */
const SHARED_LIMITS: ReadonlySet<string> = new Set(['out_of_memory', 'values']);

/** Whether `changes` may let the policy succeed. `program` has the failed policies, too. */
export function touchesInputs(
  root: FailureRoot,
  program: StratifiedProgram,
  changes: InputChanges,
): boolean {
  if (changes.policies.size === 0 && changes.tables.size === 0) return false;
  // It is not in the program: what made it wrong is not known.
  if (root.code === 'invalid_policy') return true;
  if (SHARED_LIMITS.has(root.code) && (changes.policies.size > 0 || changes.hasDeletes)) {
    return true;
  }
  const inputs = inputsOf(program, root.policy);
  return (
    inputs.readsSystem ||
    [...changes.policies].some((policy) => inputs.owners.has(policy)) ||
    [...changes.tables].some((table) => inputs.tables.has(table))
  );
}

interface Inputs {
  readonly tables: ReadonlySet<TableKey>;
  /** Owners of these tables. */
  readonly owners: ReadonlySet<string>;
  /** A table of the engine itself, which anything may change. */
  readonly readsSystem: boolean;
}

/** All that the rules of `policy` read, through the rules of other policies as well. */
function inputsOf(program: StratifiedProgram, policy: string): Inputs {
  const bodies = new Map<number, Rule[]>();
  for (const rule of program.rules) {
    const rules = bodies.get(rule.head);
    if (rules === undefined) bodies.set(rule.head, [rule]);
    else rules.push(rule);
  }
  const seen = new Set<number>();
  const rules = program.rules.filter((rule) => rule.policy === policy);
  for (let rule = rules.pop(); rule !== undefined; rule = rules.pop()) {
    for (const literal of rule.body) {
      if (literal.kind !== 'atom' || seen.has(literal.table)) continue;
      seen.add(literal.table);
      rules.push(...(bodies.get(literal.table) ?? []));
    }
  }
  const tables = [...seen].flatMap((table) => program.tables[table] ?? []);
  return {
    tables: new Set(tables.map(tableKey)),
    owners: new Set(tables.map((table) => table.owner)),
    readsSystem: tables.some((table) => table.kind === 'system'),
  };
}

/** The failed policies and tables of `program`, transitively. */
export function failuresOf(program: StratifiedProgram, roots: FailureRoots): Failures {
  const policies = new Map<string, { code: string; cause: string }>();
  const tables = new Map<TableKey, FailedTable>();
  const sorted = [...roots.values()].sort((a, b) => (a.policy < b.policy ? -1 : 1));
  for (const { policy, table, code } of sorted) {
    policies.set(policy, { code, cause: policy });
    if (table !== null) tables.set(table, { policy, table, code });
  }
  for (let changed = roots.size > 0; changed;) {
    changed = false;
    for (const rule of program.rules) {
      if (!policies.has(rule.policy)) {
        const cause = failedInput(program, rule, policies, tables);
        if (cause === undefined) continue;
        policies.set(rule.policy, { code: 'policy_failed', cause });
        changed = true;
      }
      const head = program.tables[rule.head];
      if (head === undefined || head.kind === 'execute') continue;
      const table = tableKey(head);
      if (tables.has(table)) continue;
      const code = policies.get(rule.policy)?.code ?? 'policy_failed';
      tables.set(table, { policy: rule.policy, table, code });
      changed = true;
    }
  }
  return { policies, tables };
}

/** The policy that is the cause of a failed table in the body of `rule`. */
function failedInput(
  program: StratifiedProgram,
  rule: Rule,
  policies: Failures['policies'],
  tables: Failures['tables'],
): string | undefined {
  for (const literal of rule.body) {
    if (literal.kind !== 'atom') continue;
    const table = program.tables[literal.table];
    if (table === undefined) continue;
    // A policy that does not compile has no tables in the program; its name stands for them.
    const owner = tables.get(tableKey(table))?.policy ?? table.owner;
    const failed = policies.get(owner);
    if (failed !== undefined) return failed.cause;
  }
  return undefined;
}

/** The program without the rules of failed policies and tables. Tables keep their numbers. */
export function programWithout(program: StratifiedProgram, failures: Failures): StratifiedProgram {
  if (failures.policies.size === 0) return program;
  const rules: Rule[] = [];
  const renumbered = new Map<number, number>();
  for (const [index, rule] of program.rules.entries()) {
    const head = program.tables[rule.head];
    if (failures.policies.has(rule.policy)) continue;
    if (head !== undefined && failures.tables.has(tableKey(head))) continue;
    renumbered.set(index, rules.length);
    rules.push(rule);
  }
  const strata: Stratum[] = [];
  for (const stratum of program.strata) {
    const kept = stratum.rules.flatMap((index) => renumbered.get(index) ?? []);
    if (kept.length === 0) continue;
    const heads = new Set(kept.map((index) => rules[index]?.head));
    strata.push({
      tables: stratum.tables.filter((table) => heads.has(table)),
      recursive: stratum.recursive,
      rules: kept,
    });
  }
  return { tables: program.tables, rules, strata };
}

/** The failed table that a query reads, if it reads one. */
export function failedTableOf(
  query: { readonly body: Rule['body']; readonly tables: readonly Table[] },
  failures: Failures,
): FailedTable | undefined {
  if (failures.policies.size === 0) return undefined;
  for (const literal of query.body) {
    if (literal.kind !== 'atom') continue;
    const table = query.tables[literal.table];
    if (table === undefined) continue;
    const known = failures.tables.get(tableKey(table));
    if (known !== undefined) return known;
    const owner = failures.policies.get(table.owner);
    if (owner !== undefined) {
      return { policy: table.owner, table: tableKey(table), code: owner.code };
    }
  }
  return undefined;
}

/** The rows of `system:failed(policy, table, code)`. */
export function failedRows(failures: Failures): Row[] {
  const rows: Row[] = [];
  const named = new Set<string>();
  for (const { policy, table, code } of failures.tables.values()) {
    rows.push([policy, table, code]);
    named.add(policy);
  }
  for (const [policy, { code }] of failures.policies) {
    if (!named.has(policy)) rows.push([policy, null, code]);
  }
  return rows;
}
