/** Queries that differ in constants only have one shape. */
import { printLiteral } from './printer.ts';
import { constantOf } from './resolve-call.ts';
import type { ArgumentNode, ExpressionNode, LiteralNode } from './syntax-tree.ts';

/** The text of a body with `?` for each constant. Names are resolved by the caller. */
export function shapeText(body: readonly LiteralNode[]): string {
  return body.map((literal) => printLiteral(withoutConstants(literal))).join(', ');
}

function withoutConstants(literal: LiteralNode): LiteralNode {
  if (literal.kind === 'comparison') {
    return { ...literal, left: unknown(literal.left), right: unknown(literal.right) };
  }
  const { atom } = literal;
  const open = (one: ArgumentNode): ArgumentNode => ({ ...one, value: unknown(one.value) });
  return { ...literal, atom: { ...atom, arguments: atom.arguments.map(open) } };
}

function unknown(node: ExpressionNode): ExpressionNode {
  // No variable is written so. What is called here and now is a constant like others.
  if (constantOf(node) !== undefined) return { kind: 'variable', name: '?', span: node.span };
  switch (node.kind) {
    case 'list':
      return { ...node, items: node.items.map(unknown) };
    case 'document': {
      const members = node.members.map((one) => ({ ...one, value: unknown(one.value) }));
      return { ...node, members };
    }
    case 'negate':
      return { ...node, operand: unknown(node.operand) };
    case 'binary':
      return { ...node, left: unknown(node.left), right: unknown(node.right) };
    case 'call':
      return { ...node, arguments: node.arguments.map(unknown) };
    default:
      return node;
  }
}
