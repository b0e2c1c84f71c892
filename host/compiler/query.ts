/** The text of a query or subscription → its body over the tables of a program. */
import { argumentCount, columnCount } from './policy-scope.ts';
import { ARITY_MAX, QUERY_UNITS_MAX } from '../limits.ts';
import { isBuiltinName } from './builtins.ts';
import type { Catalog } from './catalog.ts';
import { SYSTEM_TABLES } from './catalog.ts';
import { plainAtom } from './declare.ts';
import { DiagnosticList } from './diagnostic.ts';
import type { Diagnostic } from './diagnostic.ts';
import { isFunctionAtom } from './function-atoms.ts';
import { nearestName } from './nearest-name.ts';
import { parseQuery } from './parser.ts';
import { printLiteral, printName } from './printer.ts';
import { shapeText } from './query-shape.ts';
import { BodyResolver } from './resolve-body.ts';
import type { ScopeTable, TableScope } from './resolve-body.ts';
import { orderBody, unboundVariables } from './safety.ts';
import { tableKey } from './stratified.ts';
import type { StratifiedProgram, StratifiedQuery, Table, TableKey } from './stratified.ts';
import type { AtomNode, ConstantNode, LiteralNode, QueryTree } from './syntax-tree.ts';
import { queryConflicts } from './type-conflicts.ts';

export interface QueryOptions {
  /** Where unqualified names are looked for first. */
  readonly policy?: string;
  /** Tables of the program that have rows from outside, though no text tells of them. */
  readonly externalTables?: ReadonlySet<TableKey>;
  /** Constants are parameters where they can be (`query-template.ts`). */
  readonly areParameters?: boolean;
}

export interface QueryCompilation {
  /** Undefined if and only if a diagnostic is an error. */
  readonly query?: StratifiedQuery & {
    readonly tables: readonly Table[];
    /** By their numbers; empty unless they were asked for. */
    readonly parameters: readonly ConstantNode[];
  };
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * A body such as `inv:t(x, 3), not p(x)`, with an optional `.`, `;` or `?` behind it. An
 * unqualified name is a table of `options.policy`, else of the only policy that has it. Tables
 * that are not there yet are appended to those of the program. `catalog` is the one that
 * `program` was compiled from.
 */
export function compileQuery(
  program: StratifiedProgram,
  catalog: Catalog,
  text: string,
  options: QueryOptions = {},
): QueryCompilation {
  const diagnostics = new DiagnosticList(text);
  if (text.length > QUERY_UNITS_MAX) {
    const message = `the query is longer than ${QUERY_UNITS_MAX} characters`;
    const note = 'make a part of it a rule of a policy, and constants its rows';
    diagnostics.error('limit-exceeded', { start: 0, end: 0 }, message, note);
    return { diagnostics: diagnostics.finish() };
  }
  checkPolicy(catalog, options.policy, diagnostics);
  const tree = parseQuery(text, diagnostics);
  if (tree === undefined) return { diagnostics: diagnostics.finish() };
  const query = resolveQuery(program, catalog, tree, options, diagnostics);
  const found = diagnostics.finish();
  const isWrong = query === undefined || diagnostics.errorCount > 0;
  return isWrong ? { diagnostics: found } : { query, diagnostics: found };
}

/** A body that was read already; undefined once the reasons are in `diagnostics`. */
export function resolveQuery(
  program: StratifiedProgram,
  catalog: Catalog,
  tree: QueryTree,
  options: QueryOptions,
  diagnostics: DiagnosticList,
): QueryCompilation['query'] {
  const errors = diagnostics.errorCount;
  const scope = new QueryScope(program, catalog, options, diagnostics);
  const resolver = new BodyResolver(scope, diagnostics, options.areParameters);
  resolver.body(tree.body);
  const order = orderBody(resolver.literals, resolver.assumedBound);
  for (const index of unboundVariables(order).roots) {
    const place = resolver.occurrences.find((one) => one.variable === index);
    diagnostics.error(
      'unbound-variable',
      place?.span ?? tree.span,
      `variable \`${resolver.variables[index] ?? ''}\` is not bound by a positive literal`,
      'use it in a positive literal; inside `not`, `_` stands for any value',
    );
  }
  if (diagnostics.errorCount > errors) return undefined;
  const outputs = [...new Set(resolver.occurrences.map((one) => one.variable))];
  if (outputs.length > ARITY_MAX) {
    diagnostics.error(
      'limit-exceeded',
      resolver.occurrences.find((one) => one.variable === outputs[ARITY_MAX])?.span ?? tree.span,
      `the query has ${outputs.length} variables, at most ${ARITY_MAX} can be columns`,
      'write `_` for those that are used once and not wanted',
    );
    return undefined;
  }
  const resolved = { body: order.ordered, variables: resolver.variables };
  for (const conflict of queryConflicts(program, scope.tables, resolved)) {
    const { severity, span, message, note } = conflict;
    diagnostics[severity]('type-conflict', span, message, note);
  }
  if (diagnostics.errorCount > errors) return undefined;
  const body = tree.body.map((literal) => scope.qualified(literal, tree.body));
  return {
    columns: outputs.map((index) => resolver.variables[index] ?? ''),
    outputs,
    ...resolved,
    text: body.map(printLiteral).join(', '),
    shape: shapeText(body),
    tables: scope.tables,
    parameters: resolver.parameters,
  };
}

function checkPolicy(
  catalog: Catalog,
  name: string | undefined,
  diagnostics: DiagnosticList,
): void {
  if (name === undefined || catalog.policies.some((policy) => policy.name === name)) return;
  const names = catalog.policies.map((policy) => policy.name).sort();
  const nearest = nearestName(name, names);
  diagnostics.error(
    'unknown-policy',
    { start: 0, end: 0 },
    `there is no policy \`${name}\``,
    nearest === undefined
      ? 'see `caucus status` for those that there are'
      : `did you mean \`${nearest}\`?`,
  );
}

interface Indexes {
  /** Key → index. */
  readonly byKey: ReadonlyMap<string, number>;
  /** Bare name → tables of policies. */
  readonly byName: ReadonlyMap<string, readonly Table[]>;
  /** Keys of tables with rules, facts or a declaration. */
  readonly defined: ReadonlySet<TableKey>;
}

/** Made once a program, for its queries. */
const indexesOf = new WeakMap<StratifiedProgram, Indexes>();

function indexes(program: StratifiedProgram): Indexes {
  const known = indexesOf.get(program);
  if (known !== undefined) return known;
  const byKey = new Map(program.tables.map((table, index) => [tableKey(table), index]));
  const byName = new Map<string, Table[]>();
  for (const table of program.tables) {
    if (table.kind !== 'policy') continue;
    const named = byName.get(table.name);
    if (named === undefined) byName.set(table.name, [table]);
    else named.push(table);
  }
  const heads = new Set(program.rules.map((rule) => rule.head));
  const defined = new Set(
    program.tables
      .filter((table, index) => table.columns !== undefined || heads.has(index))
      .map(tableKey),
  );
  const made = { byKey, byName, defined };
  indexesOf.set(program, made);
  return made;
}

class QueryScope implements TableScope {
  readonly #program: StratifiedProgram;
  readonly #catalog: Catalog;
  readonly #policy: string | undefined;
  readonly #external: ReadonlySet<TableKey>;
  readonly #diagnostics: DiagnosticList;
  readonly #indexes: Indexes;
  readonly #appended = new Map<string, Table>();
  readonly #reported = new Set<string>();

  constructor(
    program: StratifiedProgram,
    catalog: Catalog,
    { policy, externalTables = new Set() }: QueryOptions,
    diagnostics: DiagnosticList,
  ) {
    this.#program = program;
    this.#catalog = catalog;
    this.#policy = policy;
    this.#external = externalTables;
    this.#diagnostics = diagnostics;
    this.#indexes = indexes(program);
  }

  get tables(): readonly Table[] {
    if (this.#appended.size === 0) return this.#program.tables;
    return [...this.#program.tables, ...this.#appended.values()];
  }

  /** The literal with the owner of its table. */
  qualified(literal: LiteralNode, body: readonly LiteralNode[]): LiteralNode {
    if (literal.kind === 'comparison' || literal.atom.name.owner !== undefined) return literal;
    const { atom } = literal;
    const isFunction = isFunctionAtom(atom, body, (name) => this.hasTable(name));
    const owner =
      atom.modal === undefined && !isWord(atom.name.name) && !isFunction
        ? this.#owner(plainAtom(atom))
        : undefined;
    if (owner === undefined) return literal;
    return { ...literal, atom: { ...atom, name: { ...atom.name, owner } } };
  }

  hasTable(name: string): boolean {
    const { byName, defined } = this.#indexes;
    const named = (byName.get(name) ?? []).map(tableKey);
    const keys = this.#policy === undefined ? named : [`${this.#policy}:${name}`];
    return keys.some((key) => defined.has(key) || this.#external.has(key));
  }

  table(atom: AtomNode): ScopeTable | undefined {
    const owner = atom.modal === 'execute' ? 'execute' : this.#ownerOrError(atom);
    if (owner === undefined) return undefined;
    const name = atom.modal === 'execute' ? printName(atom.name) : atom.name.name;
    const key = `${owner}:${name}`;
    const index = this.#indexes.byKey.get(key);
    const table = index === undefined ? undefined : this.#program.tables[index];
    if (index !== undefined && table !== undefined) {
      return {
        index,
        arity: table.arity,
        columns: table.columns,
        unresolved: table.kind === 'unresolved',
      };
    }
    const added = this.#appended.get(key) ?? this.#append(atom, owner, name);
    if (added === undefined) return undefined;
    const position = [...this.#appended.keys()].indexOf(key);
    return {
      index: this.#program.tables.length + position,
      arity: added.arity,
      columns: added.columns,
      unresolved: added.kind === 'unresolved',
    };
  }

  wrongArity(atom: AtomNode, table: ScopeTable, found: number): void {
    const [first] = table.columns ?? [];
    const shown = printName(atom.name);
    this.#diagnostics.error(
      'arity',
      atom.span,
      `\`${shown}\` has ${columnCount(table.arity)}, found ${argumentCount(found)}`,
      found < table.arity && first !== undefined
        ? `columns are left out by naming the others, as in \`${shown}(${first.name}=…)\``
        : `give it ${argumentCount(table.arity)}`,
    );
  }

  #owner(atom: AtomNode): string | undefined {
    const { owner, name } = atom.name;
    if (owner !== undefined) return owner;
    if (this.#policy !== undefined && this.#indexes.byKey.has(`${this.#policy}:${name}`)) {
      return this.#policy;
    }
    const candidates = this.#indexes.byName.get(name) ?? [];
    return candidates.length === 1 ? candidates[0]?.owner : undefined;
  }

  #ownerOrError(atom: AtomNode): string | undefined {
    const owner = this.#owner(atom);
    if (owner !== undefined) return owner;
    const { name, span } = atom.name;
    const candidates = this.#indexes.byName.get(name) ?? [];
    if (candidates.length > 1) {
      const keys = candidates.map((table) => `\`${tableKey(table)}\``);
      this.#diagnostics.error(
        'ambiguous',
        span,
        `\`${name}\` is a table of ${candidates.length} policies`,
        `write one of ${keys.slice(0, 20).join(', ')}`,
      );
      return undefined;
    }
    this.#unknown(atom, `no policy has a table \`${name}\``, this.#suggestion(name));
    return undefined;
  }

  /** A table of that name elsewhere, else one with a near name. */
  #suggestion(name: string): string | undefined {
    const elsewhere = this.#program.tables.find((table) => table.name === name);
    if (elsewhere !== undefined) return tableKey(elsewhere);
    return nearestName(name, this.#indexes.byName.keys());
  }

  /** A table that the program does not have: empty, unless its owner says that it never will be. */
  #append(atom: AtomNode, owner: string, name: string): Table | undefined {
    const own = this.#program.tables.filter((table) => table.owner === owner);
    const isPolicy = this.#catalog.policies.some((policy) => policy.name === owner);
    const source = this.#catalog.sources.find((one) => one.name === owner);
    const declared = source?.declared === true || own.some((table) => table.columns !== undefined);
    const nearest = nearestName(
      name,
      own.map((table) => table.name),
    );
    const hint = nearest === undefined ? undefined : `${owner}:${nearest}`;
    const system = owner === 'system' ? SYSTEM_TABLES.find((one) => one.name === name) : undefined;
    if (system !== undefined) {
      return this.#add({ owner, ...system, kind: 'system' });
    }
    if (isPolicy || owner === 'system') {
      const whose = isPolicy ? `the policy \`${owner}\`` : 'the system';
      return this.#unknown(atom, `${whose} has no table \`${name}\``, hint);
    }
    if (declared)
      return this.#unknown(atom, `the source \`${owner}\` has no table \`${name}\``, hint);
    const missing =
      owner === 'execute'
        ? `no rule has the action \`${name}\``
        : source === undefined
          ? `there is no policy or source \`${owner}\` yet`
          : `the source \`${owner}\` has no table \`${name}\` yet`;
    this.#diagnostics.warning(
      'unresolved-table',
      atom.name.span,
      missing,
      hint === undefined ? 'it is empty until it appears' : `did you mean \`${hint}\`?`,
    );
    const kind = owner === 'execute' ? 'execute' : 'unresolved';
    return this.#add({ owner, name, arity: atom.arguments.length, kind });
  }

  #add(table: Table): Table {
    this.#appended.set(tableKey(table), table);
    return table;
  }

  #unknown(atom: AtomNode, message: string, suggestion: string | undefined): undefined {
    if (this.#reported.has(message)) return undefined;
    this.#reported.add(message);
    const note =
      suggestion === undefined
        ? 'tables of a source are written `source:table(…)`, those of a policy `policy:table(…)`'
        : `did you mean \`${suggestion}\`?`;
    this.#diagnostics.error('unknown-table', atom.name.span, message, note);
    return undefined;
  }
}

function isWord(name: string): boolean {
  return isBuiltinName(name) || name === 'true' || name === 'false';
}
