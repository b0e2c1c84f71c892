/**
 * What compiling one catalog leaves for the next, so that one rule more costs what it changes: the
 * statements of each policy as far as its text is as before, and what their names came to. A cache
 * and nothing else: the program is the same with it and without it. Only texts and rules without
 * any diagnostic are kept, so that each finds its place anew.
 */
import { headTable, sameColumns } from './declare.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { isFunctionAtom } from './function-atoms.ts';
import { parsePolicy } from './parser.ts';
import type { PolicyScope } from './policy-scope.ts';
import { printAtom, printLiteral, printRule } from './printer.ts';
import type { Column, Rule } from './stratified.ts';
import type { PolicyTree, RuleNode, SharedStatements, StatementNode } from './syntax-tree.ts';
import type { TableEntry } from './table-registry.ts';

interface KnownText {
  readonly text: string;
  readonly tree: PolicyTree;
}

/** A table as it was when a rule was resolved. */
interface KnownTable {
  readonly owner: string;
  readonly name: string;
  readonly index: number;
  readonly arity: number | undefined;
  readonly columns: readonly Column[] | undefined;
}

interface KnownRule {
  readonly rule: Rule;
  /** Names of bare literals that were functions, for no table has them. */
  readonly functions: readonly string[];
  /** Those that it names. */
  readonly tables: readonly KnownTable[];
}

export class CompileMemory {
  readonly #texts = new Map<string, KnownText>();
  readonly #printed = new WeakMap<RuleNode, string>();
  readonly #identities = new WeakMap<RuleNode, string>();
  readonly #rules = new WeakMap<RuleNode, KnownRule>();

  parse(policy: string, text: string, diagnostics: DiagnosticList): PolicyTree {
    const known = this.#texts.get(policy);
    if (known?.text === text) return known.tree;
    const before = diagnostics.count;
    const tree = parsePolicy(text, diagnostics, sharedStatements(known, text));
    if (diagnostics.count === before) this.#texts.set(policy, { text, tree });
    return tree;
  }

  /** Forgets policies that are not there any more. */
  keep(policies: ReadonlySet<string>): void {
    for (const name of this.#texts.keys()) if (!policies.has(name)) this.#texts.delete(name);
  }

  /** The rule as printed. */
  print(node: RuleNode): string {
    let text = this.#printed.get(node);
    if (text === undefined) this.#printed.set(node, (text = printRule(node)));
    return text;
  }

  /** Equal for rules that differ in the order of their bodies or in metadata only. */
  identity(node: RuleNode): string {
    if (node.body.length < 2) return this.print(node);
    let text = this.#identities.get(node);
    if (text === undefined) {
      text = [printAtom(node.head), ...node.body.map(printLiteral).sort()].join('\n');
      this.#identities.set(node, text);
    }
    return text;
  }

  /** The rule of a statement that was resolved before, if its tables are as they were. */
  find(node: RuleNode, ordinal: number, scope: PolicyScope): Rule | undefined {
    const { registry } = scope;
    const known = this.#rules.get(node);
    if (known?.functions.some((name) => scope.hasTable(name)) !== false) return undefined;
    const entries: TableEntry[] = [];
    let isSame = known.rule.ordinal === ordinal;
    for (const table of known.tables) {
      const entry = registry.get(table.owner, table.name);
      if (entry === undefined || !isAsBefore(entry, table)) return undefined;
      entries.push(entry);
      isSame &&= entry.index === table.index;
    }
    if (isSame) return known.rule;
    const numberOf = (table: number): number => {
      const place = known.tables.findIndex((one) => one.index === table);
      return entries[place]?.index ?? table;
    };
    const rule = renumbered(known.rule, ordinal, numberOf);
    const tables = known.tables.map((one, place) => {
      return { ...one, index: entries[place]?.index ?? one.index };
    });
    this.#rules.set(node, { rule, functions: known.functions, tables });
    return rule;
  }

  /** A rule that was resolved without a diagnostic. */
  note(node: RuleNode, rule: Rule, scope: PolicyScope): void {
    const { registry, policy } = scope;
    // An effect is checked against the table that it changes, which is none of the rule's own.
    if (node.head.sign !== undefined) return;
    const [owner, name] = headTable(node.head, policy.name);
    if (registry.get(owner, name)?.index === rule.head) this.#note(node, rule, scope);
  }

  #note(node: RuleNode, rule: Rule, scope: PolicyScope): void {
    const { registry } = scope;
    const read = rule.body.flatMap((literal) => (literal.kind === 'atom' ? [literal.table] : []));
    const tables: KnownTable[] = [];
    for (const number of new Set([rule.head, ...read])) {
      const entry = registry.at(number);
      // Each policy that reads a missing table is told so, whichever of its rules does.
      if (entry?.exists !== true) return;
      const { owner, name, index, arity, columns } = entry;
      tables.push({ owner, name, index, arity, columns });
    }
    const functions = node.body.flatMap((one) =>
      one.kind === 'atom' && isFunctionAtom(one.atom, node.body, (name) => scope.hasTable(name))
        ? [one.atom.name.name]
        : [],
    );
    this.#rules.set(node, { rule, functions, tables });
  }
}

function isAsBefore(entry: TableEntry, { arity, columns }: KnownTable): boolean {
  if (!entry.exists || entry.arity !== arity) return false;
  if (entry.columns === columns) return true;
  return (
    entry.columns !== undefined && columns !== undefined && sameColumns(entry.columns, columns)
  );
}

function renumbered(rule: Rule, ordinal: number, numberOf: (table: number) => number): Rule {
  const body = rule.body.map((literal) =>
    literal.kind === 'atom' ? { ...literal, table: numberOf(literal.table) } : literal,
  );
  return { ...rule, ordinal, head: numberOf(rule.head), body };
}

/**
 * All but the last of the statements that both texts begin with: the last may go on in another way
 * now. They end at the end of a line, with no comment behind the last.
 */
function sharedStatements(known: KnownText | undefined, text: string): SharedStatements {
  const none = { statements: [], end: 0 };
  if (known === undefined) return none;
  const shared = sharedLength(known.text, text);
  const { statements } = known.tree;
  let count = countWithin(statements, shared) - 1;
  for (; count > 0; count--) {
    const last = (statements[count - 1] as StatementNode).span;
    const next = (statements[count] as StatementNode).span;
    const lineEnd = text.indexOf('\n', last.end);
    if (lineEnd < 0 || lineEnd >= next.start) continue;
    if (text.slice(last.end, lineEnd).trim() !== '') continue;
    return { statements: statements.slice(0, count), end: lineEnd + 1 };
  }
  return none;
}

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

/** Statements that end before the offset. */
function countWithin(statements: readonly StatementNode[], offset: number): number {
  let low = 0;
  let high = statements.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((statements[middle] as StatementNode).span.end < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
