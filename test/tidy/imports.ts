/**
 * Who may import whom, as data, and what checks a tree against it. `docs/ARCHITECTURE.md` says why.
 */
import path from 'node:path';
import ts from 'typescript';
import { isInside, type Findings, type SourceTree } from './source-tree.ts';

export interface Layer {
  /** A folder or a file; the longest that fits a file is its layer. */
  readonly place: string;
  /** Folders and files that may be imported, besides the layer itself and `EVERYBODY`. */
  readonly imports: readonly string[];
  /** Folders and files of which only types may be imported. */
  readonly types?: readonly string[];
  /** May import `node:` modules, that is do I/O, read clocks and randomness. */
  readonly node: boolean;
}

/** May be imported by everybody, and import nothing but each other. */
export const EVERYBODY = ['host/value', 'host/errors.ts', 'host/limits.ts'];

/** Functions of the language: called by the compiler for constants, by the core for rows. */
const FUNCTIONS = 'host/functions';

const CORE_LAYOUT = 'engine-as/abi.ts';
const PLAN = ['host/compiler/plan.ts', 'host/compiler/stratified.ts'];
const ANYTHING = ['host', 'drivers', CORE_LAYOUT];

export const LAYERS: readonly Layer[] = [
  { place: 'engine-as', imports: [], node: false },
  ...EVERYBODY.map((place) => ({ place, imports: [], node: false })),
  { place: FUNCTIONS, imports: [], node: false },
  { place: 'host/compiler', imports: [CORE_LAYOUT, FUNCTIONS], node: false },
  { place: 'host/engine', imports: [CORE_LAYOUT, FUNCTIONS, ...PLAN], node: false },
  { place: 'host/explain', imports: ['host/compiler', 'host/engine'], node: false },
  {
    place: 'host/policy-tests',
    imports: ['host/compiler', 'host/engine', 'host/explain', 'host/replica/now-row.ts'],
    node: false,
  },
  { place: 'host/log', imports: [], node: true },
  { place: 'host/store', imports: ['host/log'], node: true },
  {
    place: 'host/replica',
    imports: ['host/compiler', 'host/engine', 'host/explain', 'host/log', 'host/store'],
    node: false,
  },
  {
    place: 'host/subscriptions',
    imports: ['host/log', 'host/store'],
    types: ['host/compiler', 'host/engine', 'host/replica'],
    node: false,
  },
  {
    place: 'host/actions',
    imports: ['host/log', 'host/store'],
    types: ['host/compiler', 'host/engine', 'host/replica'],
    node: false,
  },
  // Writers of source topics, which have no fold of their own.
  { place: 'host/sources', imports: ['host/log', 'host/store', 'host/replica'], node: false },
  { place: 'host/observe', imports: [], node: true },
  {
    place: 'host/api',
    imports: ['host/replica', 'host/subscriptions', 'host/actions', 'host/observe'],
    types: ['host/compiler', 'host/engine', 'drivers/driver.ts'],
    node: true,
  },
  // The parts meet here.
  { place: 'host/cli', imports: ANYTHING, node: true },
  { place: 'host/main.ts', imports: ANYTHING, node: true },
  { place: 'host/parts', imports: ANYTHING, node: true },
  { place: 'host/config.ts', imports: ['host/config'], node: true },
  {
    place: 'host/config',
    imports: [
      'host/compiler/nearest-name.ts',
      'host/compiler/source-text.ts',
      'drivers/driver-options.ts',
      'drivers/limits.ts',
    ],
    node: true,
  },
  { place: 'host/index.ts', imports: ANYTHING, node: false },
  {
    place: 'drivers',
    imports: ['host/log', 'host/store', 'host/sources', 'host/observe'],
    node: true,
  },
  // Starts components and replicas as processes; knows of them what a user does.
  { place: 'deploy', imports: ['host/log/data-lock.ts'], node: true },
  { place: 'bench', imports: [...ANYTHING, 'deploy', 'test/support'], node: true },
  { place: 'test', imports: [...ANYTHING, 'deploy', 'bench'], node: true },
];

/** Packages, and the only places that may import them. Tests and benches may import all. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@assemblyscript/loader': ['host/engine'],
  'cli-table3': ['host/cli'],
  commander: ['host/cli'],
  'csv-parse': ['drivers/file'],
  kafkajs: ['host/log/kafka/broker-connection.ts'],
  mariadb: ['host/store/mariadb-store.ts', 'drivers/sql'],
  'node-sqlite3-wasm': ['host/store'],
  picocolors: ['host/cli'],
  'string-width': ['host/cli'],
  ws: ['host/api/websocket.ts', 'host/cli'],
  yaml: ['host/config'],
  benny: [],
  typescript: [],
};

export interface Import {
  readonly from: string;
  /** A path of the tree, a package or a `node:` module. */
  readonly to: string;
  readonly typeOnly: boolean;
}

/** Every import of the TypeScript files of a tree, those of types and dynamic ones included. */
export function importsOf(tree: SourceTree): Import[] {
  const imports: Import[] = [];
  for (const [from, text] of tree) {
    if (!from.endsWith('.ts')) continue;
    const source = ts.createSourceFile(from, text, ts.ScriptTarget.ESNext, false);
    const add = (specifier: ts.Node | undefined, typeOnly: boolean): void => {
      if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
      imports.push({ from, to: resolve(from, specifier.text), typeOnly });
    };
    // AssemblyScript has no `import type`; there the use of the names tells.
    const values = isInside(from, 'engine-as') ? valueNames(source) : undefined;
    const visit = (node: ts.Node): void => {
      if (ts.isImportDeclaration(node)) {
        add(node.moduleSpecifier, isTypeOnly(node.importClause, values));
      } else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
      else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
        add(node.argument.literal, true);
      } else if (
        ts.isCallExpression(node) &&
        node.expression.kind === ts.SyntaxKind.ImportKeyword
      ) {
        add(node.arguments[0], false);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return imports;
}

/** Names that occur outside types and imports. */
function valueNames(source: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) return;
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
    if (ts.isIdentifier(node)) names.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}

function isTypeOnly(
  clause: ts.ImportClause | undefined,
  values: ReadonlySet<string> | undefined,
): boolean {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const { name, namedBindings } = clause;
  if (name !== undefined || namedBindings === undefined) return false;
  return (
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.every((one) => one.isTypeOnly || values?.has(one.name.text) === false)
  );
}

function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  const target = path.posix.normalize(path.posix.join(path.posix.dirname(from), specifier));
  // AssemblyScript writes no extension.
  return isInside(from, 'engine-as') && !target.endsWith('.ts') ? `${target}.ts` : target;
}

function layerOf(file: string): Layer | undefined {
  const fitting = LAYERS.filter((layer) => isInside(file, layer.place));
  return fitting.toSorted((a, b) => b.place.length - a.place.length)[0];
}

/** Imports that the table does not allow, each with what would be allowed. */
export function forbiddenImports(tree: SourceTree): Findings {
  const findings: string[] = [];
  for (const { from, to, typeOnly } of importsOf(tree)) {
    const layer = layerOf(from);
    if (layer === undefined) {
      if (isInside(from, 'host')) findings.push(`${from} is in no layer of the table`);
      continue;
    }
    if (to.startsWith('node:')) {
      if (!layer.node) findings.push(`${from} imports ${to}, but ${layer.place} does no I/O`);
    } else if (packageOf(to) in PACKAGES || !/^[\w.-]+\/.*\.ts$/.test(to)) {
      const places = PACKAGES[packageOf(to)];
      const free = isInside(from, 'test') || isInside(from, 'bench');
      if (places === undefined) findings.push(`${from} imports ${to}, a package of no table`);
      else if (!free && !places.some((place) => isInside(from, place))) {
        findings.push(`${from} imports ${to}, allowed in ${places.join(', ') || 'tests only'}`);
      }
    } else if (!mayImport(layer, to, typeOnly)) {
      const types = (layer.types ?? []).map((place) => `types of ${place}`);
      const allowed = [...layer.imports, ...types, layer.place].join(', ');
      findings.push(`${from} imports ${to}; ${layer.place} may import ${allowed}`);
    }
  }
  return findings;
}

/** Of a file inside a package, too. */
function packageOf(specifier: string): string {
  return /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
}

function mayImport(layer: Layer, to: string, typeOnly: boolean): boolean {
  const fits = (place: string): boolean => isInside(to, place);
  if (fits(layer.place)) return true;
  if (layer.place !== 'engine-as' && EVERYBODY.some(fits)) return true;
  if (layer.imports.some(fits)) return true;
  return typeOnly && (layer.types ?? []).some(fits);
}

/**
 * A driver's folder knows the contract and itself, not its neighbours; `drivers/*.ts` know the
 * folders.
 */
export function driverNeighbours(tree: SourceTree): Findings {
  const folderOf = (file: string): string | undefined => /^drivers\/([^/]+)\//.exec(file)?.[1];
  return importsOf(tree)
    .filter(({ from, to }) => {
      const [own, other] = [folderOf(from), folderOf(to)];
      return own !== undefined && other !== undefined && own !== other;
    })
    .map(({ from, to }) => `${from} imports ${to}, another driver`);
}

/** Cycles among files, types left out: they are gone at run time. Each cycle once, as a path. */
export function importCycles(tree: SourceTree): Findings {
  const edges = new Map<string, string[]>();
  for (const { from, to, typeOnly } of importsOf(tree)) {
    if (!typeOnly && tree.has(to)) edges.set(from, [...(edges.get(from) ?? []), to]);
  }
  const findings: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (file: string): void => {
    const start = trail.indexOf(file);
    if (start >= 0) findings.push([...trail.slice(start), file].join(' → '));
    if (start >= 0 || done.has(file)) return;
    trail.push(file);
    for (const next of edges.get(file) ?? []) visit(next);
    trail.pop();
    done.add(file);
  };
  for (const file of edges.keys()) visit(file);
  return findings;
}
