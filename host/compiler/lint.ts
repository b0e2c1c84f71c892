/**
 * What is allowed and probably not meant. Findings are warnings beside those of the compiler; a
 * comment `// lint: allow code` at a statement keeps them quiet there.
 */
import type { Catalog } from './catalog.ts';
import { compileWithTests } from './compile-tests.ts';
import { variableOrConstant, variablesOfTerms } from './core-rule.ts';
import { DiagnosticList } from './diagnostic.ts';
import type { Diagnostic, DiagnosticCode } from './diagnostic.ts';
import { parsePolicy } from './parser.ts';
import { printLiteral } from './printer.ts';
import type { Span } from './source-text.ts';
import { tableKey } from './stratified.ts';
import type { Literal, Rule, StratifiedProgram, Term } from './stratified.ts';
import type { RuleNode, StatementNode } from './syntax-tree.ts';

interface LintedPolicy {
  readonly name: string;
  readonly statements: readonly StatementNode[];
  readonly diagnostics: DiagnosticList;
}

/** Diagnostics of the compiler and findings, by policy in the order of the catalog and text. */
export function lint(catalog: Catalog): readonly Diagnostic[] {
  const { program, diagnostics } = compileWithTests(catalog);
  if (program === undefined) return diagnostics;
  const policies = catalog.policies.map(({ name, text }): LintedPolicy => {
    const { statements } = parsePolicy(text, new DiagnosticList(text));
    return { name, statements, diagnostics: new DiagnosticList(text, name) };
  });
  for (const policy of policies) {
    lintTables(policy, program);
    lintRules(policy, program);
  }
  return policies.flatMap(({ name, statements, diagnostics: found }) => {
    const own = diagnostics.filter((one) => one.source === name);
    return [...own, ...found.finish()]
      .filter((one) => one.severity === 'error' || !isAllowed(statements, one))
      .sort((a, b) => a.span.start - b.span.start);
  });
}

/** `// lint: allow cross-product, singleton-variable` before a statement or behind it. */
function isAllowed(statements: readonly StatementNode[], { code, span }: Diagnostic): boolean {
  const statement = statements.find(
    (one) => one.span.start <= span.start && span.end <= one.span.end,
  );
  const literals = statement?.kind === 'rule' ? statement.body : [];
  const comments = [statement, ...literals].flatMap((one) => [
    ...(one?.comments?.leading ?? []),
    ...(one?.comments?.trailing ?? []),
  ]);
  return comments.some(({ text }) => {
    const allowed = /\blint:\s*allow\s+([a-z, -]+)/.exec(text)?.[1] ?? '';
    return allowed.split(/[\s,]+/).includes(code);
  });
}

/** Declarations of tables that nothing defines or reads. */
function lintTables(
  { name, statements, diagnostics }: LintedPolicy,
  program: StratifiedProgram,
): void {
  const used = new Set<string>();
  for (const { head, body } of program.rules) {
    for (const table of [
      head,
      ...body.flatMap((one) => (one.kind === 'atom' ? [one.table] : [])),
    ]) {
      const found = program.tables[table];
      if (found !== undefined) used.add(tableKey(found));
    }
  }
  for (const statement of statements) {
    if (statement.kind !== 'declaration') continue;
    const { owner = name, name: table, span } = statement.name;
    if (used.has(`${owner}:${table}`)) continue;
    const note = 'leave the declaration out, or read the table in a rule';
    diagnostics.warning('unused-table', span, `no rule reads or defines \`${table}\``, note);
  }
}

function lintRules(
  { name, statements, diagnostics }: LintedPolicy,
  program: StratifiedProgram,
): void {
  const nodes = statements.filter((one): one is RuleNode => one.kind === 'rule');
  const warn = (code: DiagnosticCode, span: Span, message: string, note: string): void => {
    diagnostics.warning(code, span, message, note);
  };
  for (const rule of program.rules) {
    if (rule.policy !== name || rule.body.length === 0) continue;
    lintLiterals(rule, warn);
    lintProduct(rule, program, warn);
    lintRecursion(rule, program, warn);
  }
  lintSubsumed(nodes, diagnostics);
}

type Warn = (code: DiagnosticCode, span: Span, message: string, note: string) => void;

const NEVER = 'the rule gives no row; leave it out, or mend the literal';

/** Literals that no binding satisfies, and pairs that exclude each other. */
function lintLiterals(rule: Rule, warn: Warn): void {
  const values = new Map<number, unknown>();
  const atoms = new Map<string, boolean>();
  for (const literal of rule.body) {
    const { span } = literal;
    if (literal.kind === 'comparison') {
      const { left, right, operator } = literal;
      const isStrict = operator === '<' || operator === '>' || operator === '!=';
      if (isStrict && sameTerm(left, right)) {
        warn('never-holds', span, 'the comparison never holds: both sides are the same', NEVER);
      }
      if (operator !== '=') continue;
      const [variable, value] = left.kind === 'variable' ? [left, right] : [right, left];
      if (value.kind !== 'constant') continue;
      if (variable.kind === 'constant') {
        if (variable.value !== value.value) {
          warn('never-holds', span, 'the literal never holds: two values that differ', NEVER);
        }
      } else if (values.has(variable.index) && values.get(variable.index) !== value.value) {
        const shown = rule.variables[variable.index] ?? '';
        warn('never-holds', span, `\`${shown}\` cannot have two values`, NEVER);
      } else values.set(variable.index, value.value);
    } else if (literal.kind === 'atom') {
      const key = JSON.stringify([literal.table, literal.terms], (_, part: unknown) =>
        typeof part === 'bigint' ? `int ${part}` : part,
      );
      const negated = atoms.get(key);
      if (negated !== undefined && negated !== literal.negated) {
        warn('never-holds', span, 'the body asks for a row and for its absence', NEVER);
      }
      atoms.set(key, literal.negated);
    }
  }
}

function sameTerm(a: Term, b: Term): boolean {
  if (a.kind === 'variable' && b.kind === 'variable') return a.index === b.index;
  return a.kind === 'constant' && b.kind === 'constant' && a.value === b.value;
}

/** Literals that share no variable with the others, while the head needs values of both. */
function lintProduct(rule: Rule, program: StratifiedProgram, warn: Warn): void {
  const groups: { variables: Set<number>; literals: Literal[] }[] = [];
  for (const literal of rule.body) {
    const own = new Set(variablesOfLiteral(literal));
    const joined = groups.filter((group) => [...own].some((one) => group.variables.has(one)));
    const merged = { variables: own, literals: [literal] };
    for (const group of joined) {
      for (const one of group.variables) merged.variables.add(one);
      merged.literals.unshift(...group.literals);
      groups.splice(groups.indexOf(group), 1);
    }
    groups.push(merged);
  }
  const head = new Set(
    rule.headTerms.flatMap((term) => {
      const value = term.kind === 'aggregate' ? term.argument : term;
      return value?.kind === 'variable' ? [value.index] : [];
    }),
  );
  // `system:now` has one row, and constants bind one value.
  const wide = groups.filter(({ variables, literals }) => {
    const isTable = literals.some(
      (one) => one.kind === 'atom' && program.tables[one.table]?.kind !== 'system',
    );
    return isTable && [...variables].some((one) => head.has(one));
  });
  const second = wide[1]?.literals.find((one) => one.kind === 'atom');
  if (second === undefined) return;
  warn(
    'cross-product',
    second.span,
    'nothing joins this literal with those before it: each of its rows meets each of theirs',
    'share a variable between them, or compare their columns',
  );
}

function variablesOfLiteral(literal: Literal): number[] {
  return variablesOfTerms(variableOrConstant(literal));
}

function lintRecursion(rule: Rule, program: StratifiedProgram, warn: Warn): void {
  const stratum = program.strata.find((one) => one.recursive && one.tables.includes(rule.head));
  const recursive = rule.body.filter(
    (one) => one.kind === 'atom' && !one.negated && stratum?.tables.includes(one.table) === true,
  );
  const second = recursive[1];
  if (second === undefined) return;
  warn(
    'non-linear-recursion',
    second.span,
    `the rule is recursive in ${recursive.length} literals`,
    'if one of them may read what the recursion begins with, the same rows cost less',
  );
}

/** Rules whose bodies ask for all that another rule with the same head asks for, and more. */
function lintSubsumed(nodes: readonly RuleNode[], diagnostics: DiagnosticList): void {
  const byHead = new Map<string, { node: RuleNode; literals: ReadonlySet<string> }[]>();
  for (const node of nodes) {
    if (node.body.length === 0) continue;
    const head = printLiteral({ kind: 'atom', negated: false, atom: node.head, span: node.span });
    const entry = { node, literals: new Set(node.body.map(printLiteral)) };
    const known = byHead.get(head);
    if (known === undefined) byHead.set(head, [entry]);
    else known.push(entry);
  }
  for (const rules of byHead.values()) {
    for (const { node, literals } of rules) {
      const other = rules.find(
        (one) =>
          one.literals.size < literals.size && [...one.literals].every((l) => literals.has(l)),
      );
      if (other === undefined) continue;
      const { line } = diagnostics.source.position(other.node.span.start);
      const message = `the rule on line ${line} gives every row that this one gives`;
      diagnostics.warning('unused-rule', node.span, message, 'leave one of them out');
    }
  }
}
