/**
 * Syntax tree → text: the one form that `caucus fmt` writes. Reading it back gives the same tree.
 * A rule stands on one line where it fits and has no comments inside, else one literal a line. Of
 * blank lines between statements one is kept.
 */
import { printValue } from './print-value.ts';
import type { Comment } from './lexer.ts';
import type {
  AnnotationNode,
  ArgumentNode,
  AtomNode,
  ColumnNode,
  CommentsNode,
  DeclarationNode,
  ExpectNode,
  ExpressionNode,
  GivenNode,
  LiteralNode,
  NameNode,
  PolicyTree,
  RuleNode,
  StatementNode,
  TestNode,
} from './syntax-tree.ts';

const WIDTH = 100;
const INDENT = '  ';

export function printPolicy(tree: PolicyTree): string {
  const out: string[] = [];
  for (const statement of tree.statements) {
    if (statement.blankLineBefore && out.length > 0) out.push('');
    const { leading, trailing, detached } = statement.comments ?? NO_COMMENTS;
    printLeading(leading, '', out);
    if (detached) out.push('');
    out.push(...printAnnotations(statement.annotations ?? []));
    const lines = printStatement(statement);
    const last = lines.pop() ?? '';
    out.push(...lines, last + printTrailing(trailing));
  }
  const [first] = tree.endComments;
  if (first?.blankLineBefore === true && out.length > 0) out.push('');
  printLeading(tree.endComments, '', out);
  return out.length === 0 ? '' : `${out.join('\n')}\n`;
}

const NO_COMMENTS: CommentsNode = { leading: [], trailing: [], detached: false };

function printLeading(comments: readonly Comment[], indent: string, out: string[]): void {
  comments.forEach((comment, index) => {
    if (index > 0 && comment.blankLineBefore) out.push('');
    out.push(indent + comment.text);
  });
}

function printTrailing(comments: readonly Comment[]): string {
  return comments.map((comment) => ` ${comment.text}`).join('');
}

function printStatement(statement: StatementNode): string[] {
  switch (statement.kind) {
    case 'rule':
      return printRuleLines(statement);
    case 'declaration':
      return printDeclarationLines(statement);
    case 'import': {
      const { path, policy, alias } = statement;
      const target = path === undefined ? policy : printValue(path);
      return [`import ${target}${alias === undefined ? '' : ` as ${alias.name}`}.`];
    }
    case 'policy':
      return [`policy ${statement.policyKind}.`];
    case 'test':
      return printTestLines(statement);
  }
}

/** On one line where they fit, else one a line. */
function printAnnotations(annotations: readonly AnnotationNode[]): string[] {
  const printed = annotations.map(({ key, value }) => `@${key}(${printValue(value)})`);
  const line = printed.join(' ');
  return printed.length === 0 || line.length > WIDTH ? printed : [line];
}

function printRuleLines(rule: RuleNode): string[] {
  const line = printRule(rule);
  const commented = rule.body.some((literal) => literal.comments !== undefined);
  if (rule.body.length === 0 || (!commented && line.length <= WIDTH)) return [line];
  const lines = [`${printAtom(rule.head)} :-`];
  rule.body.forEach((literal, index) => {
    const { leading, trailing } = literal.comments ?? NO_COMMENTS;
    printLeading(leading, INDENT, lines);
    const end = index === rule.body.length - 1 ? '.' : ',';
    lines.push(`${INDENT}${printLiteral(literal)}${end}${printTrailing(trailing)}`);
  });
  return lines;
}

function printTestLines(test: TestNode): string[] {
  const lines = [`test ${printValue(test.name)} {`];
  for (const [index, step] of test.steps.entries()) {
    const { leading, trailing } = step.comments ?? NO_COMMENTS;
    if (step.blankLineBefore && index > 0) lines.push('');
    printLeading(leading, INDENT, lines);
    const printed = printStepLines(step);
    const last = printed.pop() ?? '';
    lines.push(...printed, last + printTrailing(trailing));
  }
  if (test.endComments[0]?.blankLineBefore === true && test.steps.length > 0) lines.push('');
  printLeading(test.endComments, INDENT, lines);
  return [...lines, '}'];
}

function printStepLines(step: GivenNode | ExpectNode): string[] {
  const line = `${INDENT}${printStep(step)}`;
  const commented =
    step.kind === 'expect' && step.body.some((literal) => literal.comments !== undefined);
  if (!commented && line.length <= WIDTH) return [line];
  if (step.kind === 'given' && step.now !== undefined) return [line];
  const parts =
    step.kind === 'given'
      ? step.rows.map((atom) => ({ text: printAtom(atom), comments: NO_COMMENTS }))
      : step.body.map((literal) => ({
          text: printLiteral(literal),
          comments: literal.comments ?? NO_COMMENTS,
        }));
  const word = step.kind === 'given' ? 'given' : step.only ? 'expect only' : 'expect';
  const lines = [`${INDENT}${word}`];
  const indent = INDENT + INDENT;
  for (const [index, { text, comments }] of parts.entries()) {
    printLeading(comments.leading, indent, lines);
    const end = index === parts.length - 1 ? '.' : ',';
    lines.push(`${indent}${text}${end}${printTrailing(comments.trailing)}`);
  }
  return lines;
}

/** On one line, without comments. */
export function printStep(step: GivenNode | ExpectNode): string {
  if (step.kind === 'given') {
    if (step.now !== undefined) return `given now ${printValue(step.now.text)}.`;
    return `given ${step.rows.map(printAtom).join(', ')}.`;
  }
  return `expect ${step.only ? 'only ' : ''}${step.body.map(printLiteral).join(', ')}.`;
}

function printDeclarationLines(declaration: DeclarationNode): string[] {
  const columns = declaration.columns.map(printColumn);
  const name = printName(declaration.name);
  const end = declaration.onDemand === true ? ' on demand.' : '.';
  if (columns.length === 0) return [`table ${name}${end}`];
  const line = `table ${name}(${columns.join(', ')})${end}`;
  if (line.length <= WIDTH) return [line];
  return [`table ${name}(`, ...columns.map((column) => `${INDENT}${column},`), `)${end}`];
}

function printColumn({ name, type, key, nullable, description }: ColumnNode): string {
  return [
    type === undefined ? name : `${name}: ${type.name}`,
    ...(key === true ? ['key'] : []),
    ...(nullable === true ? ['nullable'] : []),
    ...(description === undefined ? [] : [printValue(description)]),
  ].join(' ');
}

/** On one line, without comments. Rules with equal results are the same rule. */
export function printRule(rule: RuleNode): string {
  if (rule.body.length === 0) return `${printAtom(rule.head)}.`;
  return `${printAtom(rule.head)} :- ${rule.body.map(printLiteral).join(', ')}.`;
}

export function printLiteral(literal: LiteralNode): string {
  const not = literal.negated ? 'not ' : '';
  if (literal.kind === 'atom') return not + printAtom(literal.atom);
  const { left, right, operator } = literal;
  const comparison = `${printExpression(left)} ${operator} ${printExpression(right)}`;
  return literal.negated ? `not (${comparison})` : comparison;
}

export function printName(name: NameNode): string {
  return name.owner === undefined ? name.name : `${name.owner}:${name.name}`;
}

export function printAtom(atom: AtomNode): string {
  const name = `${printName(atom.name)}${atom.sign ?? ''}`;
  const args = atom.arguments.map(printArgument).join(', ');
  // A sign alone would be an operator.
  const bare = atom.arguments.length === 0 && atom.sign === undefined;
  const plain = bare ? name : `${name}(${args})`;
  return atom.modal === undefined ? plain : `${atom.modal}[${plain}]`;
}

function printArgument(argument: ArgumentNode): string {
  const value = printExpression(argument.value);
  return argument.column === undefined ? value : `${argument.column}=${value}`;
}

const SUM = 1;
const PRODUCT = 2;
const SIGNED = 3;
const PRECEDENCE = { '+': SUM, '-': SUM, '*': PRODUCT, '/': PRODUCT, '%': PRODUCT };

/**
 * With the parentheses that its place needs: `place` is the weakest operator that may stand bare.
 */
export function printExpression(node: ExpressionNode, place = SUM): string {
  switch (node.kind) {
    case 'variable':
      return node.name;
    case 'wildcard':
      return '_';
    case 'constant':
      return printValue(node.value);
    case 'call':
      return `${node.name}(${node.arguments.map((one) => printExpression(one)).join(', ')})`;
    case 'list':
      return `[${node.items.map((one) => printExpression(one)).join(', ')}]`;
    case 'document': {
      const members = node.members.map(
        ({ name, value }) => `${printValue(name)}: ${printExpression(value)}`,
      );
      return `{${members.join(', ')}}`;
    }
    case 'negate': {
      // A minus before a bare number would become part of the number.
      const { operand } = node;
      const isNumber = operand.kind === 'constant' && typeof operand.value !== 'string';
      const inner = printExpression(operand, SIGNED);
      return isNumber && !inner.startsWith('-') ? `-(${inner})` : `-${inner}`;
    }
    case 'binary': {
      const own = PRECEDENCE[node.operator];
      const left = printExpression(node.left, own);
      const right = printExpression(node.right, own + 1);
      const text = `${left} ${node.operator} ${right}`;
      return own < place ? `(${text})` : text;
    }
  }
}
