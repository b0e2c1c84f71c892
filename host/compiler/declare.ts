/**
 * First pass over the policies: declarations, definitions and mentions of tables → the registry.
 */
import { isBuiltinName, systemAtom } from './builtins.ts';
import { RESERVED_OWNERS } from './catalog.ts';
import type { CatalogSource } from './catalog.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { isFunctionAtom } from './function-atoms.ts';
import { nearestName } from './nearest-name.ts';
import { descriptionOf } from './policy-info.ts';
import type { PolicyInfo } from './policy-info.ts';
import { printName } from './printer.ts';
import { COLUMN_TYPES } from '../value/column-type.ts';
import type { ColumnType } from '../value/column-type.ts';
import type { Column, TableKey } from './stratified.ts';
import type { AtomNode, ColumnNode, DeclarationNode, PolicyTree } from './syntax-tree.ts';
import { TableRegistry } from './table-registry.ts';
import type { Origin, TableEntry } from './table-registry.ts';

export interface ParsedPolicy {
  readonly name: string;
  readonly info: PolicyInfo;
  readonly tree: PolicyTree;
  readonly diagnostics: DiagnosticList;
}

const TYPES: ReadonlySet<string> = new Set(COLUMN_TYPES);

/** Names of body atoms that are no tables. */
export function isTableAtom(atom: AtomNode): boolean {
  const { owner, name } = atom.name;
  if (owner !== undefined) return owner !== 'builtin';
  return !isBuiltinName(name) && name !== 'true' && name !== 'false' && name !== 'null';
}

/** An atom of a body with its sign as part of the name: `p+(x)` is the table `p+`. */
export function plainAtom(atom: AtomNode): AtomNode {
  const { sign, ...rest } = atom;
  if (sign === undefined) return atom;
  return { ...rest, name: { ...atom.name, name: `${atom.name.name}${sign}` } };
}

/** The table of a head; undefined where the head cannot have one. */
export function headTable(head: AtomNode, policy: string): [owner: string, name: string] {
  const { owner, name } = head.name;
  if (head.modal === 'execute') return ['execute', `${owner ?? policy}:${name}`];
  // Effects are tables of the policy that describes them: `act:nova:servers+`.
  if (head.sign !== undefined) return [policy, `${printName(head.name)}${head.sign}`];
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

/** A head that gives the policy rows of a table of its name. */
function isOwnHead({ modal, sign, name }: AtomNode): boolean {
  return modal === undefined && sign === undefined && name.owner === undefined;
}

/** A policy's own tables at once, those of others later: the owner's use of a table comes first. */
function mentionTables(
  policy: ParsedPolicy,
  registry: TableRegistry,
  foreign: [AtomNode, ParsedPolicy][],
): void {
  const heads = new Set(
    policy.tree.statements.flatMap((one) =>
      one.kind === 'rule' && isOwnHead(one.head) ? [one.head.name.name] : [],
    ),
  );
  const hasTable = (name: string): boolean =>
    heads.has(name) || registry.isDefined(policy.name, name);
  for (const statement of policy.tree.statements) {
    if (statement.kind !== 'rule') continue;
    const { head, body } = statement;
    const isOther = head.modal === 'execute' || head.sign !== undefined;
    if (isOther || (head.name.owner === undefined && isTableAtom(head))) {
      const [owner, name] = headTable(head, policy.name);
      const origin: Origin = { kind: 'used', policy: policy.name, span: head.span };
      if (head.sign !== undefined && head.name.owner !== undefined) {
        // An effect has the columns of the table that it changes.
        registry.mention(head.name.owner, head, origin, head.name.owner === policy.name);
        const changed = registry.get(head.name.owner, head.name.name);
        if (changed?.columns !== undefined) registry.shape(owner, name, changed.columns, origin);
      }
      registry.define(owner, name, head.arguments.length, origin);
    }
    for (const literal of body) {
      if (literal.kind !== 'atom' || literal.atom.modal !== undefined) continue;
      const atom = systemAtom(literal.atom) ?? plainAtom(literal.atom);
      if (!isTableAtom(atom) || isFunctionAtom(atom, body, hasTable)) continue;
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
    const message = `\`${shown}\` is a name of the language`;
    return diagnostics.error('reserved-name', span, message, 'choose another name');
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
    descriptionOf(node.annotations),
  );
  if (node.onDemand !== true) return;
  if (owner === policy.name) return registry.putOnDemand(owner, name);
  const message = `the rows of \`${owner}:${name}\` come from a source`;
  const note = 'leave out `on demand`: no rule computes them';
  diagnostics.error('foreign-declaration', node.span, message, note);
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

/** Descriptions do not count. */
export function sameColumns(a: readonly Column[], b: readonly Column[]): boolean {
  const same = (one: Column, other: Column | undefined): boolean =>
    one.name === other?.name &&
    one.type === other.type &&
    one.key === other.key &&
    one.nullable === other.nullable;
  return a.length === b.length && a.every((column, index) => same(column, b[index]));
}

function declaredColumns(node: DeclarationNode, diagnostics: DiagnosticList): Column[] | undefined {
  const seen = new Set<string>();
  const errors = diagnostics.errorCount;
  const columns = node.columns.map((column): Column => {
    const { name, key, nullable, description, span } = column;
    if (seen.has(name)) {
      const message = `the column \`${name}\` is there twice`;
      diagnostics.error('duplicate-column', span, message, 'rename one of them');
    }
    seen.add(name);
    if (key === true && nullable === true) {
      const message = `the key column \`${name}\` is nullable`;
      diagnostics.error(
        'nullable-key',
        span,
        message,
        'a row without its key cannot be told apart',
      );
    }
    return {
      name,
      type: columnType(column, diagnostics),
      ...(key === true ? { key } : {}),
      ...(nullable === true ? { nullable } : {}),
      ...(description === undefined ? {} : { description }),
    };
  });
  return diagnostics.errorCount === errors ? columns : undefined;
}

function columnType({ type }: ColumnNode, diagnostics: DiagnosticList): ColumnType {
  if (type === undefined) return 'any';
  if (TYPES.has(type.name)) return type.name as ColumnType;
  const nearest = nearestName(type.name, TYPES) ?? COMMON_TYPES[type.name.toLowerCase()];
  diagnostics.error(
    'unknown-type',
    type.span,
    `there is no type \`${type.name}\``,
    nearest === undefined
      ? `types are ${COLUMN_TYPES.map((one) => `\`${one}\``).join(', ')}`
      : `did you mean \`${nearest}\`?`,
  );
  return 'any';
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
  array: 'list',
  object: 'document',
  cidr: 'network',
  inet: 'ip',
  timestamp: 'datetime',
  time: 'datetime',
};

/** `net:3:1`, after `declared at` where it is no place of its own. */
export function describeOrigin(origin: Origin, policies: readonly ParsedPolicy[]): string {
  if (origin.kind === 'catalog') return 'known from its source';
  const policy = policies.find((one) => one.name === origin.policy);
  const position = policy?.diagnostics.source.position(origin.span.start);
  return `${origin.policy}:${position?.line ?? 1}:${position?.column ?? 1}`;
}
