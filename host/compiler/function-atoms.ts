/**
 * Bare literals with the name of a function that is none of Congress': the table of that name if
 * there is one, the function otherwise; and where it cannot be the function, a table that is not
 * there yet. Each literal is looked at by itself, so that one never changes what another means.
 */
import { functionInputs, looksLikeFunction } from './builtins.ts';
import type { AtomNode, ExpressionNode, LiteralNode } from './syntax-tree.ts';

/** `hasTable`: a rule, fact, declaration or file gives the policy a table of this name. */
export function isFunctionAtom(
  atom: AtomNode,
  body: readonly LiteralNode[],
  hasTable: (name: string) => boolean,
): boolean {
  const { owner, name } = atom.name;
  if (owner !== undefined || atom.modal !== undefined || !looksLikeFunction(atom)) return false;
  return !hasTable(name) && hasInputs(atom, body);
}

/** Whether other literals name the variables of all inputs: no function finds them by itself. */
function hasInputs(atom: AtomNode, body: readonly LiteralNode[]): boolean {
  const others = body.flatMap((literal) => {
    if (literal.kind === 'comparison') return [literal.left, literal.right];
    const isSame = literal.atom === atom;
    return isSame ? [] : literal.atom.arguments.map((one) => one.value);
  });
  const known = new Set(others.flatMap(variableNames));
  return functionInputs(atom)
    .flatMap(variableNames)
    .every((name) => known.has(name));
}

function variableNames(node: ExpressionNode): string[] {
  switch (node.kind) {
    case 'variable':
      return [node.name];
    case 'negate':
      return variableNames(node.operand);
    case 'binary':
      return [node.left, node.right].flatMap(variableNames);
    case 'call':
      return node.arguments.flatMap(variableNames);
    case 'list':
      return node.items.flatMap(variableNames);
    case 'document':
      return node.members.flatMap((one) => variableNames(one.value));
    default:
      return [];
  }
}
