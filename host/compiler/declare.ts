/**
 * First pass over the policies: declarations, definitions and mentions of tables → the registry.
 */
import { isBuiltinName, systemAtom } from './builtins.ts';
import { RESERVED_OWNERS } from './catalog.ts';
import type { CatalogSource } from './catalog.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { nearestName } from './nearest-name.ts';
import type { Column, ColumnType, TableKey } from './stratified.ts';
import type { AtomNode, DeclarationNode, PolicyTree } from './syntax-tree.ts';
import { TableRegistry } from './table-registry.ts';
import type { Origin, TableEntry } from './table-registry.ts';

export interface ParsedPolicy {
  readonly name: string;
  readonly tree: PolicyTree;
  readonly diagnostics: DiagnosticList;
}

const TYPES: ReadonlySet<string> = new Set<ColumnType>(['string', 'int', 'float', 'bool', 'any']);

/** Names of body atoms that are no tables. */
export function isTableAtom(atom: AtomNode): boolean {
  const { owner, name } = atom.name;
  if (owner !== undefined) return owner !== 'builtin';
  return !isBuiltinName(name) && name !== 'true' && name !== 'false' && name !== 'null';
}

/** The table of a head; undefined where the head cannot have one. */
export function headTable(head: AtomNode, policy: string): [owner: string, name: string] {
  const { owner, name } = head.name;
  if (head.modal === 'execute') return ['execute', `${owner ?? policy}:${name}`];
  return [owner ?? policy, name];
}

/** `policies` in the order of their names. */
export function declareTables(
  policies: readonly ParsedPolicy[],
  sources: readonly CatalogSource[],
  external: ReadonlySet<TableKey>,
): TableRegistry {
  const names = new Set(policies.map((policy) => policy.name));
  const registry = new TableRegistry(names, sources, external);
  for (const policy of policies) {
    for (const statement of policy.tree.statements) {
      if (statement.kind === 'declaration') declare(statement, policy, names, policies, registry);
    }
  }
  const foreign: [AtomNode, ParsedPolicy][] = [];
  for (const policy of policies) mentionTables(policy, registry, foreign);
  for (const [atom, { name }] of foreign) {
    const origin: Origin = { kind: 'used', policy: name, span: atom.span };
    registry.mention(atom.name.owner ?? name, atom, origin, false);
  }
  return registry;
}

/** A policy's own tables at once, those of others later: the owner's use of a table comes first. */
function mentionTables(
  policy: ParsedPolicy,
  registry: TableRegistry,
  foreign: [AtomNode, ParsedPolicy][],
): void {
  for (const statement of policy.tree.statements) {
    if (statement.kind !== 'rule') continue;
    const { head, body } = statement;
    const isOwn = head.modal === 'execute' || head.name.owner === undefined;
    if (isOwn && (head.modal === 'execute' || isTableAtom(head))) {
      const [owner, name] = headTable(head, policy.name);
      const origin: Origin = { kind: 'used', policy: policy.name, span: head.span };
      registry.define(owner, name, head.arguments.length, origin);
    }
    for (const literal of body) {
      if (literal.kind !== 'atom' || literal.atom.modal !== undefined) continue;
      const atom = systemAtom(literal.atom) ?? literal.atom;
      if (!isTableAtom(atom)) continue;
      const owner = atom.name.owner ?? policy.name;
      if (owner !== policy.name) foreign.push([atom, policy]);
      else
        registry.mention(owner, atom, { kind: 'used', policy: policy.name, span: atom.span }, true);
    }
  }
}

function declare(
  node: DeclarationNode,
  policy: ParsedPolicy,
  policyNames: ReadonlySet<string>,
  policies: readonly ParsedPolicy[],
  registry: TableRegistry,
): void {
  const { diagnostics } = policy;
  const owner = node.name.owner ?? policy.name;
  const { name, span } = node.name;
  if (owner !== policy.name && policyNames.has(owner)) {
    return diagnostics.error(
      'foreign-declaration',
      span,
      `\`${owner}:${name}\` belongs to the policy \`${owner}\``,
      'declare it there; here only own tables and those of sources can be declared',
    );
  }
  const reserved = node.name.owner === undefined && !isTableAtom({ ...node, arguments: [] });
  if (reserved || RESERVED_OWNERS.has(owner)) {
    const shown = reserved ? name : owner;
    return diagnostics.error('reserved-name', span, `\`${shown}\` is a name of the language`);
  }
  const columns = declaredColumns(node, diagnostics);
  if (columns === undefined) return;
  const entry = registry.get(owner, name);
  const origin: Origin = { kind: 'declared', policy: policy.name, span: node.span };
  if (entry?.origin !== undefined && !refine(entry, columns, node, policy, policies)) return;
  registry.declare(
    owner,
    name,
    columns,
    entry?.columns === undefined ? origin : (entry.origin ?? origin),
  );
}

/** Whether a table that is known already may be declared so. */
function refine(
  entry: TableEntry,
  columns: readonly Column[],
  node: DeclarationNode,
  policy: ParsedPolicy,
  policies: readonly ParsedPolicy[],
): boolean {
  const { span } = node.name;
  const shown = `\`${entry.owner}:${entry.name}\``;
  const { origin } = entry;
  if (origin?.kind === 'catalog' && entry.columns === undefined) {
    if (entry.arity === columns.length) return true;
    const message = `${shown} is declared with ${columns.length} columns, but has ${entry.arity}`;
    policy.diagnostics.error('arity', span, message, 'declare the columns that its rows have');
    return false;
  }
  const where = origin === undefined ? '' : describeOrigin(origin, policies);
  const again = origin?.kind === 'declared' && origin.policy === policy.name;
  if (!again && sameColumns(entry.columns ?? [], columns)) return true;
  policy.diagnostics.error(
    'duplicate-declaration',
    span,
    again ? `${shown} is declared twice` : `${shown} is declared with other columns elsewhere`,
    again ? `the other declaration is at ${where}` : `it is ${where}; declare it there only`,
  );
  return false;
}

function sameColumns(a: readonly Column[], b: readonly Column[]): boolean {
  return (
    a.length === b.length &&
    a.every((column, index) => column.name === b[index]?.name && column.type === b[index]?.type)
  );
}

function declaredColumns(node: DeclarationNode, diagnostics: DiagnosticList): Column[] | undefined {
  const seen = new Set<string>();
  const errors = diagnostics.errorCount;
  const columns = node.columns.map(({ name, type, span }): Column => {
    if (seen.has(name)) {
      diagnostics.error('duplicate-column', span, `the column \`${name}\` is there twice`);
    }
    seen.add(name);
    if (type === undefined) return { name, type: 'any' };
    if (!TYPES.has(type.name)) {
      const nearest = nearestName(type.name, TYPES) ?? COMMON_TYPES[type.name.toLowerCase()];
      diagnostics.error(
        'unknown-type',
        type.span,
        `there is no type \`${type.name}\``,
        nearest === undefined
          ? 'types are `string`, `int`, `float`, `bool` and `any`'
          : `did you mean \`${nearest}\`?`,
      );
    }
    return { name, type: type.name as ColumnType };
  });
  return diagnostics.errorCount === errors ? columns : undefined;
}

const COMMON_TYPES: Readonly<Record<string, ColumnType>> = {
  str: 'string',
  text: 'string',
  symbol: 'string',
  number: 'int',
  unsigned: 'int',
  long: 'int',
  double: 'float',
  real: 'float',
  json: 'any',
};

/** `net:3:1`, after `declared at` where it is no place of its own. */
export function describeOrigin(origin: Origin, policies: readonly ParsedPolicy[]): string {
  if (origin.kind === 'catalog') return 'known from its source';
  const policy = policies.find((one) => one.name === origin.policy);
  const position = policy?.diagnostics.source.position(origin.span.start);
  return `${origin.policy}:${position?.line ?? 1}:${position?.column ?? 1}`;
}
