import { functionNamed } from '../functions/registry.ts';
import { looksLikeFunction } from './builtins.ts';
import { describeOrigin, headTable } from './declare.ts';
import type { ParsedPolicy } from './declare.ts';
import { printName } from './printer.ts';
import { signature } from './resolve-call.ts';
import type { ScopeTable, TableScope } from './resolve-body.ts';
import type { AtomNode } from './syntax-tree.ts';
import type { TableEntry, TableRegistry } from './table-registry.ts';

/** The tables that the bodies of a policy see. */
export class PolicyScope implements TableScope {
  readonly policy: ParsedPolicy;
  readonly registry: TableRegistry;
  readonly #policies: readonly ParsedPolicy[];
  readonly #syntaxErrors: ReadonlySet<string>;
  readonly #reported = new Set<TableEntry>();

  constructor(policy: ParsedPolicy, registry: TableRegistry, policies: readonly ParsedPolicy[]) {
    this.policy = policy;
    this.registry = registry;
    this.#policies = policies;
    this.#syntaxErrors = new Set(
      policies.filter((one) => one.tree.hasErrors).map((one) => one.name),
    );
  }

  hasTable(name: string): boolean {
    return this.registry.isDefined(this.policy.name, name);
  }

  table(atom: AtomNode): ScopeTable | undefined {
    if (atom.modal !== undefined) {
      this.policy.diagnostics.error(
        'misplaced-modal',
        atom.span,
        '`execute[…]` cannot stand in a body',
        'an action is the head of a rule',
      );
      return undefined;
    }
    const entry = this.registry.get(atom.name.owner ?? this.policy.name, atom.name.name);
    if (entry === undefined) throw new Error('every table of a body is mentioned');
    if (!this.#checkExistence(atom, entry)) return undefined;
    return {
      index: entry.index,
      arity: entry.arity ?? 0,
      columns: entry.columns,
      unresolved: this.registry.tableKind(entry) === 'unresolved',
    };
  }

  /** Reports a table that is not there, once; whether it may be used all the same. */
  #checkExistence(atom: AtomNode, entry: TableEntry): boolean {
    if (entry.exists) return true;
    const { owner } = entry;
    const kind = this.registry.ownerKind(owner);
    const isOwn = owner === this.policy.name;
    const isError =
      (kind === 'policy' && !isOwn && !entry.mentionedByOwner) ||
      kind === 'system' ||
      (kind === 'source' && this.registry.isComplete(owner));
    if (kind === 'policy' && (this.#syntaxErrors.has(owner) || (!isOwn && !isError))) return true;
    // Unqualified names of an action policy may be tables of the policy that is simulated.
    if (isOwn && this.policy.info.kind === 'action') return true;
    if (this.#reported.has(entry)) return !isError;
    this.#reported.add(entry);
    this.#reportMissing(atom, entry, isError);
    return !isError;
  }

  #reportMissing(atom: AtomNode, { owner, name }: TableEntry, isError: boolean): void {
    const { diagnostics } = this.policy;
    const { span } = atom.name;
    const unqualified = atom.name.owner === undefined;
    const nearest = this.registry.suggestion(owner, name, unqualified);
    const bare = unqualified || nearest?.includes(':') === true;
    const meant = bare ? nearest : `${owner}:${nearest}`;
    const hint = nearest === undefined ? undefined : `did you mean \`${meant}\`?`;
    if (isError) {
      const kind = this.registry.ownerKind(owner);
      const whose =
        kind === 'policy'
          ? `the policy \`${owner}\``
          : kind === 'system'
            ? 'the system'
            : `the source \`${owner}\``;
      const message = `${whose} has no table \`${name}\``;
      return diagnostics.error(
        'unknown-table',
        span,
        message,
        hint ?? 'define or declare it there',
      );
    }
    if (owner === this.policy.name) {
      const message = `nothing defines \`${name}\`: no rule, fact, declaration or file`;
      const remedy = `it is empty; where rows come from elsewhere, declare \`table ${name}(…)\``;
      return diagnostics.warning(
        'unknown-table',
        span,
        message,
        functionNote(name) ?? hint ?? remedy,
      );
    }
    const known = this.registry.ownerKind(owner) === 'source';
    diagnostics.warning(
      'unresolved-table',
      span,
      known
        ? `the source \`${owner}\` has no table \`${name}\` yet`
        : `there is no policy or source \`${owner}\` yet`,
      hint ?? `\`${owner}:${name}\` is empty until it appears`,
    );
  }

  wrongArity(atom: AtomNode, table: ScopeTable, found: number): void {
    const [owner, name] = headTable(atom, this.policy.name);
    const entry = this.registry.get(owner, name);
    const shown = printName(atom.name);
    const notes: string[] = [];
    if (entry?.origin !== undefined) {
      const place = describeOrigin(entry.origin, this.#policies);
      const how = { declared: 'declared at ', used: 'first used at ', catalog: '' }[
        entry.origin.kind
      ];
      notes.push(`it is ${how}${place} with ${columnCount(table.arity)}`);
    }
    const [first] = entry?.columns ?? [];
    if (found < table.arity && first !== undefined) {
      notes.push(`columns are left out by naming the others, as in \`${shown}(${first.name}=…)\``);
    }
    if (looksLikeFunction(atom)) notes.push(`the function is \`builtin:${shown}(…)\``);
    this.policy.diagnostics.error(
      'arity',
      atom.span,
      `\`${shown}\` has ${columnCount(table.arity)}, found ${argumentCount(found)}`,
      notes.length === 0 ? `give it ${argumentCount(table.arity)}` : notes.join('; '),
    );
  }
}

/** Of a table that is not there, and has the name of a function that the literal cannot be. */
function functionNote(name: string): string | undefined {
  const definition = functionNamed(name);
  if (definition === undefined) return undefined;
  return (
    `it is empty; the function \`${signature(definition)}\` it cannot be: that takes ` +
    'as many inputs, each with a value from another literal'
  );
}

export function columnCount(count: number): string {
  return count === 1 ? '1 column' : `${count} columns`;
}

export function argumentCount(count: number): string {
  return count === 1 ? '1 argument' : `${count} arguments`;
}
