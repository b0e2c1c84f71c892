/** What no tool sees in AssemblyScript: exports and declarations that nothing uses. */
import ts from 'typescript';
import { isInside, type Findings, type SourceTree } from './source-tree.ts';

/** The file whose exports are the ABI. */
const ENTRY = 'engine-as/index.ts';

interface Uses {
  /** Top-level names of a file, and whether they are exported. */
  readonly declared: ReadonlyMap<string, boolean>;
  /** How often each identifier occurs in a file, its declaration included. */
  readonly counts: ReadonlyMap<string, number>;
}

function usesOf(file: string, text: string): Uses {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, false);
  const declared = new Map<string, boolean>();
  for (const statement of source.statements) {
    const exported =
      ts.canHaveModifiers(statement) &&
      (ts.getModifiers(statement) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) {
        if (ts.isIdentifier(name)) declared.set(name.text, exported);
      }
    } else if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
      if (statement.name !== undefined) declared.set(statement.name.text, exported);
    }
  }
  const counts = new Map<string, number>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) counts.set(node.text, (counts.get(node.text) ?? 0) + 1);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { declared, counts };
}

/**
 * Exports that no other file names, and private declarations that their own file names only once.
 */
export function unusedInCore(tree: SourceTree): Findings {
  const core = [...tree].filter(([file]) => isInside(file, 'engine-as') && file.endsWith('.ts'));
  const uses = new Map(core.map(([file, text]) => [file, usesOf(file, text)]));
  const outside = [...tree].filter(
    ([file]) => /^(host|test|bench)\//.test(file) && file.endsWith('.ts'),
  );
  const findings: string[] = [];
  for (const [file, { declared, counts }] of uses) {
    for (const [name, exported] of declared) {
      const own = (counts.get(name) ?? 0) > 1;
      if (!exported) {
        if (!own) findings.push(`${file} declares \`${name}\` and never uses it`);
      } else if (file !== ENTRY) {
        const others = [...uses].some(([other, use]) => other !== file && use.counts.has(name));
        const host = (): boolean =>
          file === 'engine-as/abi.ts' && outside.some(([, text]) => text.includes(name));
        if (!others && !host()) {
          findings.push(`${file} exports \`${name}\`, which no other file uses`);
        }
      }
    }
  }
  return findings;
}

/** Files of the core that the entry does not reach. */
export function unreachedInCore(
  tree: SourceTree,
  edges: readonly { from: string; to: string }[],
): Findings {
  const reached = new Set([ENTRY, 'engine-as/abi.ts']);
  for (const file of reached) {
    for (const { from, to } of edges) if (from === file) reached.add(to);
  }
  return [...tree.keys()]
    .filter((file) => isInside(file, 'engine-as') && file.endsWith('.ts') && !reached.has(file))
    .map((file) => `${file} is not reached from ${ENTRY}`);
}

/** AssemblyScript's types as JavaScript sees them. */
const SEEN_AS: Readonly<Record<string, string>> = {
  bool: 'number',
  i32: 'number',
  u32: 'number',
  usize: 'number',
  f64: 'number',
  i64: 'bigint',
  u64: 'bigint',
  void: 'void',
};

/** Name → `(number, bigint) => void`, of what the core's entry exports. */
export function exportedByCore(text: string): Map<string, string> {
  const source = ts.createSourceFile('index.ts', text, ts.ScriptTarget.ESNext, true);
  const signatures = new Map<string, string>();
  for (const statement of source.statements) {
    if (!ts.isFunctionDeclaration(statement) || statement.name === undefined) continue;
    const isExported = statement.modifiers?.some(
      ({ kind }) => kind === ts.SyntaxKind.ExportKeyword,
    );
    if (isExported !== true) continue;
    const seen = (type: ts.TypeNode | undefined): string => {
      const name = type?.getText(source) ?? 'void';
      return SEEN_AS[name] ?? name;
    };
    signatures.set(statement.name.text, signatureText(statement, seen));
  }
  return signatures;
}

/** The same of the methods of an interface. */
export function methodsOf(text: string, interfaceName: string): Map<string, string> {
  const source = ts.createSourceFile('exports.ts', text, ts.ScriptTarget.ESNext, true);
  const signatures = new Map<string, string>();
  for (const statement of source.statements) {
    if (!ts.isInterfaceDeclaration(statement) || statement.name.text !== interfaceName) continue;
    for (const member of statement.members) {
      if (!ts.isMethodSignature(member)) continue;
      const seen = (type: ts.TypeNode | undefined): string => type?.getText(source) ?? 'void';
      signatures.set(member.name.getText(source), signatureText(member, seen));
    }
  }
  return signatures;
}

function signatureText(
  { parameters, type }: ts.SignatureDeclaration,
  seen: (type: ts.TypeNode | undefined) => string,
): string {
  return `(${parameters.map((parameter) => seen(parameter.type)).join(', ')}) => ${seen(type)}`;
}
