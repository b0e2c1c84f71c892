/**
 * Imports between policies: each names a policy that has to be there, none leads back to itself. A
 * name after `as` stands for the policy in the text that imports it, and nowhere else.
 */
import type { ParsedPolicy } from './declare.ts';
import type {
  AtomNode,
  ExpectNode,
  GivenNode,
  ImportNode,
  LiteralNode,
  NameNode,
  PolicyTree,
  StatementNode,
} from './syntax-tree.ts';

export function importsOf(tree: PolicyTree): ImportNode[] {
  return tree.statements.filter((statement) => statement.kind === 'import');
}

/** Reports imports of policies that are not there, and cycles, each at one import. */
export function checkImports(policies: readonly ParsedPolicy[]): void {
  const byName = new Map(policies.map((policy) => [policy.name, policy]));
  for (const { name, tree, diagnostics } of policies) {
    for (const { policy, path, targetSpan } of importsOf(tree)) {
      if (policy === name || byName.has(policy)) continue;
      diagnostics.error(
        'unknown-import',
        targetSpan,
        `there is no policy \`${policy}\``,
        path === undefined
          ? 'write it before this one, or together with it'
          : `write the policy of \`${path}\` before this one, or together with it`,
      );
    }
  }
  for (const cycle of importCycles(byName)) reportCycle(cycle, byName);
}

/** Names of policies on a way that ends where it begins, one for each import that closes one. */
function importCycles(byName: ReadonlyMap<string, ParsedPolicy>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  for (const start of byName.keys()) {
    const path: { name: string; next: string[] }[] = [];
    const enter = (name: string): void => {
      const tree = byName.get(name)?.tree;
      if (tree === undefined || done.has(name)) return;
      const at = path.findIndex((one) => one.name === name);
      if (at >= 0) cycles.push(path.slice(at).map((one) => one.name));
      else path.push({ name, next: importsOf(tree).map((one) => one.policy) });
    };
    enter(start);
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const next = last.next.shift();
      if (next === undefined) {
        done.add(last.name);
        path.pop();
      } else if (next !== last.name) enter(next);
    }
  }
  return cycles;
}

function reportCycle(cycle: readonly string[], byName: ReadonlyMap<string, ParsedPolicy>): void {
  const [first] = cycle;
  const last = byName.get(cycle.at(-1) ?? '');
  if (last === undefined || first === undefined) return;
  const closing = importsOf(last.tree).find((one) => one.policy === first);
  const shown = [...cycle, first].map((name) => `\`${name}\``).join(' → ');
  last.diagnostics.error(
    'import-cycle',
    closing?.targetSpan ?? { start: 0, end: 0 },
    `the policies import each other: ${shown}`,
    'leave out one of the imports; rules may refer to any policy without one',
  );
}

/** The tree with the policies' own names where the names after `as` stood. */
export function withoutAliases(tree: PolicyTree): PolicyTree {
  const aliases = new Map<string, string>();
  for (const { policy, alias } of importsOf(tree)) {
    if (alias !== undefined) aliases.set(alias.name, policy);
  }
  if (aliases.size === 0) return tree;
  const renamed = (name: NameNode): NameNode => {
    const policy = name.owner === undefined ? undefined : aliases.get(name.owner);
    return policy === undefined ? name : { ...name, owner: policy };
  };
  const atom = (node: AtomNode): AtomNode =>
    node.modal === undefined ? { ...node, name: renamed(node.name) } : node;
  const literal = (node: LiteralNode): LiteralNode =>
    node.kind === 'atom' ? { ...node, atom: atom(node.atom) } : node;
  const step = (node: GivenNode | ExpectNode): GivenNode | ExpectNode =>
    node.kind === 'given'
      ? { ...node, rows: node.rows.map(atom) }
      : { ...node, body: node.body.map(literal) };
  const statement = (node: StatementNode): StatementNode => {
    if (node.kind === 'declaration') return { ...node, name: renamed(node.name) };
    if (node.kind === 'test') return { ...node, steps: node.steps.map(step) };
    if (node.kind !== 'rule') return node;
    return { ...node, head: atom(node.head), body: node.body.map(literal) };
  };
  return { ...tree, statements: tree.statements.map(statement) };
}
