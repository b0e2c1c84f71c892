/**
 * Second pass over the policies: names → tables, variables → numbers; and everything one rule can
 * do wrong.
 */
import { checkConstant } from './check-constant.ts';
import { isAggregate, isBuiltinName, isFunctionCall } from './builtins.ts';
import type { CompileMemory } from './compile-memory.ts';
import { headTable } from './declare.ts';
import type { ParsedPolicy } from './declare.ts';
import { ARITY_MAX } from '../limits.ts';
import { nearestName } from './nearest-name.ts';
import { PolicyScope } from './policy-scope.ts';
import { printExpression, printName } from './printer.ts';
import { ruleMetadata } from './policy-info.ts';
import { BodyResolver } from './resolve-body.ts';
import { orderBody, unboundVariables } from './safety.ts';
import type { BodyOrder } from './safety.ts';
import type { Span } from './source-text.ts';
import { isNullable } from './stratified.ts';
import { variablesOfHead } from './core-rule.ts';
import type { Aggregate, HeadTerm, Rule } from './stratified.ts';
import type { AtomNode, CallNode, ExpressionNode, RuleNode } from './syntax-tree.ts';
import type { TableEntry, TableRegistry } from './table-registry.ts';

interface AggregateShape {
  readonly least: number;
  readonly most: number;
  readonly takes: string;
  readonly note?: string;
}

const ONE: AggregateShape = { least: 1, most: 1, takes: 'one argument' };
const argumentOfBest = (which: string): AggregateShape => ({
  least: 2,
  most: 2,
  takes: 'two arguments',
  note: `the first is the value that is wanted, the second what must be ${which}`,
});

const AGGREGATE_SHAPES: Readonly<Record<Aggregate['function'], AggregateShape>> = {
  count: {
    least: 0,
    most: 1,
    takes: 'no argument or one',
    note: '`count()` counts the distinct solutions of the body',
  },
  sum: ONE,
  avg: ONE,
  min: ONE,
  max: ONE,
  argmin: argumentOfBest('smallest'),
  argmax: argumentOfBest('largest'),
  collect: ONE,
};

/** The rules of a policy; those in error are left out. `policies` are named in notes. */
export function resolveRules(
  policy: ParsedPolicy,
  registry: TableRegistry,
  policies: readonly ParsedPolicy[],
  memory: CompileMemory,
): Rule[] {
  const scope = new PolicyScope(policy, registry, policies);
  const seen = new Map<string, number>();
  const rules: Rule[] = [];
  let ordinal = 0;
  let joinable: RuleNode | undefined;
  for (const node of policy.tree.statements) {
    if (node.kind !== 'rule') continue;
    ordinal++;
    const text = memory.print(node);
    const identity = memory.identity(node);
    const first = seen.get(identity);
    if (first !== undefined) {
      const { line } = policy.diagnostics.source.position(first);
      const kind = node.body.length === 0 ? 'fact' : 'rule';
      policy.diagnostics.warning(
        'duplicate-rule',
        node.span,
        `the ${kind} is already on line ${line}`,
        'leave out one of them',
      );
      continue;
    }
    seen.set(identity, node.span.start);
    const follows = joinable !== undefined && !joinable.terminated && node.sharesLine;
    joinable = node;
    const known = memory.find(node, ordinal, scope);
    if (known !== undefined) {
      rules.push(known);
      continue;
    }
    const before = policy.diagnostics.count;
    const rule = new RuleResolver(node, text, ordinal, scope, follows).resolve();
    if (rule === undefined) continue;
    rules.push(rule);
    if (policy.diagnostics.count === before) memory.note(node, rule, scope);
  }
  return rules;
}

class RuleResolver {
  readonly #node: RuleNode;
  readonly #text: string;
  readonly #ordinal: number;
  readonly #scope: PolicyScope;
  /** The statement before it stands on the same line and has no end: perhaps a `,` is missing. */
  readonly #follows: boolean;
  readonly #body: BodyResolver;
  readonly #countArguments: number[] = [];

  constructor(node: RuleNode, text: string, ordinal: number, scope: PolicyScope, follows: boolean) {
    this.#node = node;
    this.#text = text;
    this.#ordinal = ordinal;
    this.#scope = scope;
    this.#follows = follows;
    this.#body = new BodyResolver(scope, scope.policy.diagnostics);
  }

  resolve(): Rule | undefined {
    const { diagnostics } = this.#scope.policy;
    const errors = diagnostics.errorCount;
    const { head, body, span, annotations } = this.#node;
    if (!this.#checkHeadName() || (body.length === 0 && !this.#checkFact())) return undefined;
    this.#body.body(body);
    const headTerms = this.#headTerms();
    const order = orderBody(this.#body.literals, this.#body.assumedBound);
    this.#reportUnbound(order, headTerms);
    if (diagnostics.errorCount > errors) return undefined;
    if (headTerms.some((term) => term.kind === 'aggregate')) {
      if (!this.#checkSolutionWidth(headTerms)) return undefined;
    } else this.#warnSingletons();
    const [owner, name] = headTable(head, this.#scope.policy.name);
    return {
      policy: this.#scope.policy.name,
      ordinal: this.#ordinal,
      text: this.#text,
      ...(annotations === undefined ? {} : { metadata: ruleMetadata(annotations) }),
      head: this.#scope.registry.get(owner, name)?.index ?? -1,
      headTerms,
      body: order.ordered,
      variables: this.#body.variables,
      span,
    };
  }

  /** An aggregate keeps its distinct solutions as rows. */
  #checkSolutionWidth(headTerms: readonly HeadTerm[]): boolean {
    const inHead = new Set(headTerms.flatMap(variablesOfHead));
    const count = this.#body.variables.filter(
      (name, index) => inHead.has(index) || !name.startsWith('$'),
    ).length;
    if (count <= ARITY_MAX) return true;
    this.#scope.policy.diagnostics.error(
      'limit-exceeded',
      this.#node.head.span,
      `the aggregate ranges over ${count} variables, at most ${ARITY_MAX} can be counted apart`,
      'write `_` for those that do not count, or move a part of the body into a rule of its own',
    );
    return false;
  }

  #checkHeadName(): boolean {
    const { head } = this.#node;
    const { diagnostics } = this.#scope.policy;
    if (head.modal === 'execute') return true;
    const { owner, name, span } = head.name;
    if (head.sign !== undefined)
      return owner === undefined || this.#scope.table(unsigned(head)) !== undefined;
    if (owner !== undefined) {
      diagnostics.error(
        'policy-in-head',
        span,
        `\`${owner}:${name}\` cannot be a head: a policy defines its own tables only`,
        'leave out the name of the policy; actions are written `execute[service:action(…)]`',
      );
      return false;
    }
    const isValue = name === 'true' || name === 'false' || name === 'null';
    if (!isValue && !isBuiltinName(name)) return true;
    const what = isValue ? 'a word of the language' : 'a builtin';
    const message = `\`${name}\` is ${what} and cannot be defined`;
    diagnostics.error('reserved-name', span, message, 'choose another name');
    return false;
  }

  /** Of a statement without a body. */
  #checkFact(): boolean {
    const { head } = this.#node;
    const { diagnostics } = this.#scope.policy;
    if (head.modal === 'execute') {
      const shown = `execute[${printName(head.name)}(…)]`;
      diagnostics.error(
        'execute-fact',
        head.span,
        'an action needs a condition',
        `write \`${shown} :- true\` if it is to run always`,
      );
      return false;
    }
    const names: string[] = [];
    let span: Span | undefined;
    const visit = (node: ExpressionNode): void => {
      if (node.kind === 'variable' || node.kind === 'wildcard') {
        span ??= node.span;
        names.push(node.kind === 'wildcard' ? '_' : node.name);
      } else if (node.kind === 'negate') visit(node.operand);
      else if (node.kind === 'binary') [node.left, node.right].forEach(visit);
      else if (node.kind === 'list') node.items.forEach(visit);
      else if (node.kind === 'document') node.members.forEach(({ value }) => visit(value));
      else if (node.kind === 'call') node.arguments.forEach(visit);
    };
    for (const { value } of head.arguments) visit(value);
    if (span === undefined) return true;
    const listed = [...new Set(names)].map((name) => `\`${name}\``).join(', ');
    diagnostics.error(
      'fact-not-ground',
      span,
      `the fact has ${new Set(names).size === 1 ? 'a variable' : 'variables'}: ${listed}`,
      this.#follows
        ? 'a `,` or a `.` is missing before it'
        : 'write strings in quotes, or add a body: `head :- body`',
    );
    return false;
  }

  #headTerms(): HeadTerm[] {
    const { head, body } = this.#node;
    const { diagnostics } = this.#scope.policy;
    const [owner, name] = headTable(head, this.#scope.policy.name);
    const entry = this.#scope.registry.get(owner, name);
    const written = head.arguments.map(({ value, span }): HeadTerm => {
      this.#body.within(span, () => printExpression(value));
      if (value.kind === 'call' && isAggregate(value.name) && !isFunctionCall(value)) {
        if (body.length === 0) {
          const message = `\`${value.name}\` has nothing to range over in a fact`;
          diagnostics.error('misplaced-aggregate', value.span, message, 'add a body');
        }
        return this.#aggregate(value);
      }
      return this.#body.operand(value);
    });
    if (entry === undefined) return written;
    const terms = this.#inColumns(written, entry);
    terms?.forEach(({ term, span }, index) => {
      if (term.kind !== 'constant') return;
      checkConstant(diagnostics, term.value, span, head.name.name, entry.columns?.[index]);
    });
    return terms?.map(({ term }) => term) ?? written;
  }

  /**
   * The terms in the order of the columns; null for nullable columns that column references leave
   * out. Undefined once the reason is reported.
   */
  #inColumns(
    written: readonly HeadTerm[],
    { index, arity = 0, columns }: TableEntry,
  ): { term: HeadTerm; span: Span }[] | undefined {
    const { head } = this.#node;
    const { diagnostics } = this.#scope.policy;
    const shown = { ...head, name: { ...head.name, name: `${head.name.name}${head.sign ?? ''}` } };
    if (head.modal !== undefined && head.arguments.some((one) => one.column !== undefined)) {
      const note = 'write all arguments by position';
      diagnostics.error('column-arguments', head.span, 'an action has no named columns', note);
      return undefined;
    }
    const places = this.#body.places(shown, { index, arity, columns, unresolved: false });
    if (places === undefined) return undefined;
    const missing = columns?.find((_, at) => !places.includes(at) && !isNullable(columns[at]));
    if (missing !== undefined) {
      diagnostics.error(
        'column-arguments',
        head.span,
        `the column \`${missing.name}\` is left out and not nullable`,
        `give it a value, or declare it as \`nullable\``,
      );
      return undefined;
    }
    return Array.from({ length: arity }, (_, column) => {
      const at = places.indexOf(column);
      const term = written[at] ?? { kind: 'constant', value: null };
      return { term, span: head.arguments[at]?.value.span ?? head.span };
    });
  }

  #aggregate(call: CallNode): Aggregate {
    const name = call.name as Aggregate['function'];
    const [argument, key] = call.arguments;
    const shape = AGGREGATE_SHAPES[name];
    const count = call.arguments.length;
    if (count < shape.least || count > shape.most) {
      this.#scope.policy.diagnostics.error(
        'aggregate-arguments',
        call.span,
        `\`${name}\` takes ${shape.takes}, found ${count}`,
        shape.note ?? `write \`${name}\` with ${shape.takes}`,
      );
    }
    if (argument === undefined) return { kind: 'aggregate', function: name };
    const variable = this.#body.asVariable(argument);
    // `count(x)` counts solutions as `count()` does; its variable has to be bound all the same.
    if (name === 'count') {
      this.#countArguments.push(variable.index);
      return { kind: 'aggregate', function: name };
    }
    if (shape.most === 1 || key === undefined) {
      return { kind: 'aggregate', function: name, argument: variable };
    }
    return {
      kind: 'aggregate',
      function: name,
      argument: variable,
      key: this.#body.asVariable(key),
    };
  }

  #reportUnbound(order: BodyOrder, headTerms: readonly HeadTerm[]): void {
    const { diagnostics } = this.#scope.policy;
    const { variables, occurrences } = this.#body;
    const { roots, derived } = unboundVariables(order);
    const unbound = new Set(roots);
    for (const term of headTerms) {
      for (const one of variablesOfHead(term)) unbound.add(one);
    }
    for (const index of this.#countArguments) unbound.add(index);
    const { start, end } = this.#node.head.span;
    for (const index of unbound) {
      if (order.bound.has(index) || derived.has(index)) continue;
      const own = occurrences.filter((one) => one.variable === index);
      const inBody = own.filter(({ span }) => span.start < start || span.end > end);
      const stuck = inBody.find(({ span }) =>
        order.stuck.some((one) => one.span.start <= span.start && span.end <= one.span.end),
      );
      const name = variables[index] ?? '';
      const place = stuck ?? inBody[0];
      if (place !== undefined) {
        diagnostics.error(
          'unbound-variable',
          place.span,
          `variable \`${name}\` is not bound by a positive literal`,
          'use it in a positive literal; inside `not`, `_` stands for any value',
        );
      } else if (own[0] !== undefined) {
        diagnostics.error(
          'unbound-head-variable',
          own[0].span,
          `variable \`${name}\` of the head is not bound in the body`,
          this.#headHint(name),
        );
      }
    }
  }

  #headHint(name: string): string {
    const { start, end } = this.#node.head.span;
    const inBody = this.#body.occurrences
      .filter(({ span }) => span.start < start || span.end > end)
      .map((one) => this.#body.variables[one.variable] ?? '');
    const nearest = nearestName(name, new Set(inBody));
    const literal = /^(true|false|none|null)$/i.exec(name);
    if (literal !== null) return `the value is written \`${valueWord(name)}\``;
    return nearest === undefined
      ? 'use it in a positive literal of the body; a text is written in quotes'
      : `did you mean \`${nearest}\`?`;
  }

  #warnSingletons(): void {
    const counts = new Map<number, number>();
    for (const { variable } of this.#body.occurrences) {
      counts.set(variable, (counts.get(variable) ?? 0) + 1);
    }
    for (const { variable, span } of this.#body.occurrences) {
      const name = this.#body.variables[variable] ?? '';
      if (counts.get(variable) !== 1 || name.startsWith('_')) continue;
      this.#scope.policy.diagnostics.warning(
        'singleton-variable',
        span,
        `variable \`${name}\` is used once`,
        /^(true|false|none|null)$/i.test(name)
          ? `the value is written \`${valueWord(name)}\`; any value is \`_\``
          : 'write `_` if any value will do',
      );
    }
  }
}

function unsigned({ sign: _, ...head }: AtomNode): AtomNode {
  return head;
}

function valueWord(name: string): string {
  const word = name.toLowerCase();
  return word === 'none' ? 'null' : word;
}
