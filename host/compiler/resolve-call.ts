/**
 * Calls of functions → literals. In an expression a call has a value; as a literal it is a table of
 * its inputs and outputs:
 *
 *   p(length(s))               call $1 = length(s)
 *   starts_with(s, "a")        call true = starts_with(s, "a")       `not`: false = …
 *   member(l, x)               call $1 = member(l), each x of $1     `not`: false = contains($1, x)
 *   unpack_date(t, y, m, _)    call $1 = unpack_date(t), y = item($1, 0), m = item($1, 1)
 *
 * What is constant is called here and now.
 */
import type { FunctionDefinition } from '../functions/definition.ts';
import { callFunction, functionNamed, takesCount } from '../functions/registry.ts';
import { CALL_INPUTS_MAX } from '../limits.ts';
import { Document, List } from '../value/composite.ts';
import { kindOf } from '../value/value.ts';
import type { Value, ValueKind } from '../value/value.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { printExpression } from './printer.ts';
import type { BodyResolver } from './resolve-body.ts';
import type { Span } from './source-text.ts';
import type { Constant, Operand } from './stratified.ts';
import type { AtomNode, CallNode, DocumentNode, ExpressionNode, ListNode } from './syntax-tree.ts';

const TRUE: Constant = { kind: 'constant', value: true };
const FALSE: Constant = { kind: 'constant', value: false };

export class CallResolver {
  readonly #body: BodyResolver;
  readonly #diagnostics: DiagnosticList;
  /** What is known of the values of temporaries. */
  readonly #kinds = new Map<number, ReadonlySet<ValueKind>>();

  constructor(body: BodyResolver, diagnostics: DiagnosticList) {
    this.#body = body;
    this.#diagnostics = diagnostics;
  }

  /** A list or document with variables in it is a call. */
  literal(node: ListNode | DocumentNode): Operand {
    const constant = constantOf(node);
    if (constant !== undefined) return { kind: 'constant', value: constant };
    const inputs: Operand[] = [];
    if (node.kind === 'list') for (const item of node.items) inputs.push(this.#body.operand(item));
    else {
      for (const { name, value } of node.members) {
        inputs.push({ kind: 'constant', value: name }, this.#body.operand(value));
      }
    }
    if (inputs.length > CALL_INPUTS_MAX) {
      this.#diagnostics.error(
        'limit-exceeded',
        node.span,
        `a list or document with variables has ${inputs.length} values`,
        `at most ${CALL_INPUTS_MAX} are allowed`,
      );
      return this.#body.assumed();
    }
    return this.#call(node.kind, inputs, this.#body.temporary());
  }

  /** The value of a call in an expression. */
  value(node: CallNode): Operand {
    const constant = constantOf(node);
    if (constant !== undefined) return { kind: 'constant', value: constant };
    const inputs = this.#inputs(node);
    return inputs === undefined
      ? this.#body.assumed()
      : this.#call(definitionOf(node).name, inputs, this.#body.temporary());
  }

  /** `output = f(…)`, without a temporary. */
  valueInto(node: CallNode, output: Operand): void {
    const inputs = this.#inputs(node);
    if (inputs !== undefined) this.#call(definitionOf(node).name, inputs, output);
    else if (output.kind === 'variable') this.#body.assumedBound.add(output.index);
  }

  /** A call as a literal: inputs, then outputs. */
  table(atom: AtomNode, definition: FunctionDefinition, negated: boolean): void {
    const outputs = outputNames(definition);
    const args = atom.arguments.map((one) => one.value);
    const inputCount = args.length - outputs.length;
    const hasColumns = atom.arguments.some((one) => one.column !== undefined);
    if (hasColumns || inputCount < 0 || !takesCount(definition, inputCount)) {
      this.#wrongShape(atom, definition, hasColumns);
      return this.#body.assumeBound(atom);
    }
    const inputNodes = args.slice(0, inputCount);
    const inputs = inputNodes.map((one) => this.#body.operand(one));
    if (!this.#checkKinds(definition, inputs, inputNodes)) return this.#body.assumeBound(atom);
    const { name, output } = definition;
    const rest = args.slice(inputCount);
    switch (output.kind) {
      case 'test':
        this.#call(name, inputs, negated ? FALSE : TRUE);
        return;
      case 'value': {
        const [only] = rest;
        if (only === undefined) throw new Error('a value is one output');
        return this.#valueTable(name, inputs, only, negated);
      }
      case 'columns': {
        const row = this.#call(name, inputs, this.#body.temporary());
        return negated ? this.#notRow(row, rest) : this.#row(row, rest);
      }
      case 'rows': {
        const rows = this.#call(name, inputs, this.#body.temporary());
        return negated ? this.#noneOf(rows, rest, atom) : this.#each(rows, rest);
      }
    }
  }

  #valueTable(
    name: string,
    inputs: readonly Operand[],
    output: ExpressionNode,
    negated: boolean,
  ): void {
    if (!negated) {
      const isIgnored = output.kind === 'wildcard';
      this.#call(name, inputs, isIgnored ? this.#body.temporary() : this.#body.operand(output));
      return;
    }
    // Called first, then compared: a failed call has no solution, negated or not.
    const found = this.#call(name, inputs, this.#body.temporary());
    this.#differs(found, output);
  }

  #differs(found: Operand, output: ExpressionNode): void {
    if (output.kind === 'wildcard') return this.#body.never();
    const right = this.#body.operand(output);
    const { span } = this.#body.place;
    this.#body.push({ kind: 'comparison', operator: '!=', left: found, right, span });
  }

  /** The items of a row, which is a list, into the outputs. */
  #row(row: Operand, outputs: readonly ExpressionNode[]): void {
    for (const [index, output] of outputs.entries()) {
      if (output.kind !== 'wildcard') this.#item(row, index, this.#body.operand(output));
    }
  }

  #item(row: Operand, index: number, output: Operand): Operand {
    return this.#call('item', [row, { kind: 'constant', value: BigInt(index) }], output, true);
  }

  /** What is `_` is taken from the row itself. */
  #notRow(row: Operand, outputs: readonly ExpressionNode[]): void {
    if (outputs.every((one) => one.kind === 'wildcard')) return this.#body.never();
    const wanted = outputs.map((output, index) =>
      output.kind === 'wildcard'
        ? this.#item(row, index, this.#body.temporary())
        : this.#body.operand(output),
    );
    const left = this.#call('list', wanted, this.#body.temporary(), true);
    const { span } = this.#body.place;
    this.#body.push({ kind: 'comparison', operator: '!=', left, right: row, span });
  }

  #each(rows: Operand, outputs: readonly ExpressionNode[]): void {
    const [only, ...more] = outputs;
    if (only === undefined) throw new Error('rows have a column');
    const { span } = this.#body.place;
    if (more.length === 0) {
      const output = only.kind === 'wildcard' ? this.#body.temporary() : this.#body.operand(only);
      return this.#body.push({ kind: 'each', list: rows, output, span });
    }
    const row = this.#body.temporary();
    this.#body.push({ kind: 'each', list: rows, output: row, span });
    this.#row(row, outputs);
  }

  #noneOf(rows: Operand, outputs: readonly ExpressionNode[], atom: AtomNode): void {
    const ignored = outputs.filter((one) => one.kind === 'wildcard').length;
    if (ignored === outputs.length) {
      this.#call('length', [rows], { kind: 'constant', value: 0n }, true);
      return;
    }
    if (ignored > 0) {
      this.#diagnostics.error(
        'misplaced-wildcard',
        atom.span,
        'the row that is not there must be given whole',
        'ask for the columns in a rule of its own, and negate that',
      );
      return this.#body.assumeBound(atom);
    }
    const wanted = outputs.map((one) => this.#body.operand(one));
    const [only] = wanted;
    const row =
      wanted.length === 1 && only !== undefined
        ? only
        : this.#call('list', wanted, this.#body.temporary(), true);
    this.#call('contains', [rows, row], FALSE, true);
  }

  #call(name: string, inputs: readonly Operand[], output: Operand, isSafe = false): Operand {
    const { span, text } = this.#body.place;
    this.#body.push({ kind: 'call', function: name, inputs, output, isSafe, text, span });
    const kinds = outputKinds(functionNamed(name)?.output);
    if (output.kind === 'variable' && kinds !== undefined) this.#kinds.set(output.index, kinds);
    return output;
  }

  /** Undefined once what is wrong is reported. */
  #inputs(node: CallNode): Operand[] | undefined {
    const definition = definitionOf(node);
    if (!takesCount(definition, node.arguments.length)) {
      this.#diagnostics.error(
        'arity',
        node.span,
        `the function \`${node.name}\` takes ${countText(definition)}, found ` +
          `${node.arguments.length}`,
        `it is \`${signature(definition)}\``,
      );
      return undefined;
    }
    const inputs = node.arguments.map((one) => this.#body.operand(one));
    return this.#checkKinds(definition, inputs, node.arguments) ? inputs : undefined;
  }

  /** Whether some value could be what the function takes. Congress' own are taken as they are. */
  #checkKinds(
    definition: FunctionDefinition,
    inputs: readonly Operand[],
    nodes: readonly ExpressionNode[],
  ): boolean {
    if (definition.isReserved) return true;
    let isWell = true;
    for (const [index, operand] of inputs.entries()) {
      const input = definition.inputs[Math.min(index, definition.inputs.length - 1)];
      const possible = this.#kindsOf(operand);
      const { kinds } = input?.kind ?? {};
      if (kinds === undefined || possible === undefined) continue;
      if ([...possible].some((kind) => kinds.has(kind))) continue;
      isWell = false;
      this.#wrongKind(definition, input?.kind.name ?? '', nodes[index], possible);
    }
    return isWell;
  }

  #wrongKind(
    definition: FunctionDefinition,
    wanted: string,
    node: ExpressionNode | undefined,
    found: ReadonlySet<ValueKind>,
  ): void {
    const span: Span = node?.span ?? this.#body.place.span;
    const shown = node === undefined ? 'the input' : `\`${printExpression(node).slice(0, 60)}\``;
    this.#diagnostics.error(
      'type-mismatch',
      span,
      `\`${definition.name}\` takes a ${wanted} here, ${shown} is a ${[...found].join(' or ')}`,
      `it is \`${signature(definition)}\``,
    );
  }

  #kindsOf(operand: Operand): ReadonlySet<ValueKind> | undefined {
    if (operand.kind === 'constant') return new Set([kindOf(operand.value)]);
    return this.#kinds.get(operand.index);
  }

  #wrongShape(atom: AtomNode, definition: FunctionDefinition, hasColumns: boolean): void {
    const { name } = atom.name;
    const outputs = outputNames(definition).length;
    const shape =
      outputs === 0 ? '' : `, then ${outputs === 1 ? 'an output' : `${outputs} outputs`}`;
    this.#diagnostics.error(
      'arity',
      atom.span,
      hasColumns
        ? `the builtin \`${name}\` has no named columns`
        : `the builtin \`${name}\` takes ${countText(definition, outputs)} arguments, found ` +
            `${atom.arguments.length}`,
      `it is \`${signature(definition)}\`${shape}`,
    );
  }
}

/**
 * The value of an expression without variables: a constant, a list or document of such, a call of a
 * function that does not fail. Undefined for anything else.
 */
export function constantOf(node: ExpressionNode): Value | undefined {
  switch (node.kind) {
    case 'constant':
      return node.value;
    case 'list': {
      const items = constantsOf(node.items);
      return items === undefined ? undefined : new List(items);
    }
    case 'document': {
      const values = constantsOf(node.members.map((one) => one.value));
      if (values === undefined) return undefined;
      return new Document(node.members.map(({ name }, index) => [name, values[index] as Value]));
    }
    case 'call': {
      const definition = functionNamed(node.name);
      if (definition === undefined || !takesCount(definition, node.arguments.length)) {
        return undefined;
      }
      const inputs = constantsOf(node.arguments);
      return inputs === undefined ? undefined : callFunction(definition.name, inputs);
    }
    default:
      return undefined;
  }
}

function constantsOf(nodes: readonly ExpressionNode[]): Value[] | undefined {
  const values: Value[] = [];
  for (const node of nodes) {
    const value = constantOf(node);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

function definitionOf({ name }: CallNode): FunctionDefinition {
  const definition = functionNamed(name);
  if (definition === undefined) throw new Error(`no function \`${name}\``);
  return definition;
}

function outputNames({ output }: FunctionDefinition): readonly string[] {
  if (output.kind === 'test') return [];
  return output.kind === 'value' ? ['value'] : output.names;
}

function outputKinds(
  output: FunctionDefinition['output'] | undefined,
): ReadonlySet<ValueKind> | undefined {
  switch (output?.kind) {
    case 'test':
      return new Set(['bool']);
    case 'columns':
    case 'rows':
      return new Set(['list']);
    case 'value':
      if (output.of === 'any') return undefined;
      return new Set(output.of === 'number' ? ['int', 'float'] : [output.of]);
    default:
      return undefined;
  }
}

/** `substring(s, start, count?)` */
/** `substring(s, start, count?)` */
export function signature({ name, inputs, optional, isVariadic }: FunctionDefinition): string {
  const names = inputs.map((input, index) =>
    index >= inputs.length - optional ? `${input.name}?` : input.name,
  );
  return `${name}(${names.join(', ')}${isVariadic ? ', …' : ''})`;
}

function countText({ inputs, optional }: FunctionDefinition, more = 0): string {
  const most = inputs.length + more;
  return optional === 0 ? String(most) : `${most - optional} to ${most}`;
}
