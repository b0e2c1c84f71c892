/**
 * Loaded into every process of a coverage run (`--import`): whoever compiles the core gets the core
 * with markers instead, and at exit the process writes which statements ran.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { threadId } from 'node:worker_threads';
import { COVERAGE_FOLDER, HITS_SUFFIX, STATEMENTS_FILE } from './coverage-files.ts';

const root = process.env['CAUCUS_COVERAGE_ROOT'] ?? '.';
const fromRoot = (file: string): string => path.join(root, file);
const cores = ['build/core.wasm', 'build/core.debug.wasm'].map((file) =>
  readFileSync(fromRoot(file)),
);
const marked = readFileSync(fromRoot('build/core.coverage.wasm'));
const statements = JSON.parse(readFileSync(fromRoot(STATEMENTS_FILE), 'utf8')) as unknown[];
const hits = new Uint8Array(statements.length);

const coverage: Record<string, unknown> = {
  hit(statement: number): void {
    hits[statement] = 1;
  },
};

type Source = ArrayBuffer | ArrayBufferView;
type Imports = Record<string, Record<string, unknown>>;

function swap(source: Source): Source {
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
  return cores.some((core) => core.equals(bytes)) ? marked : source;
}

/** The part of the interface that is replaced; a `Module` stays what `instanceof` says it is. */
interface WebAssemblyInterface {
  Module: new (source: Source) => object;
  Instance: new (module: object, imports?: Imports) => object;
  compile(source: Source): Promise<object>;
  instantiate(source: object, imports?: Imports): Promise<object>;
}
const { WebAssembly: replaced } = globalThis as unknown as { WebAssembly: WebAssemblyInterface };
const native: WebAssemblyInterface = {
  Module: replaced.Module,
  Instance: replaced.Instance,
  compile: replaced.compile.bind(replaced),
  instantiate: replaced.instantiate.bind(replaced),
};

replaced.Module = new Proxy(native.Module, {
  construct: (target, [source]: [Source]) => new target(swap(source)),
});
replaced.Instance = new Proxy(native.Instance, {
  construct: (target, [module, imports]: [object, Imports?]) =>
    new target(module, { ...imports, coverage }),
});
replaced.compile = (source) => native.compile(swap(source));
replaced.instantiate = (source, imports) =>
  native.instantiate(source instanceof native.Module ? source : swap(source as Source), {
    ...imports,
    coverage,
  });

process.on('exit', () => {
  const name = `${process.pid}-${threadId}${HITS_SUFFIX}`;
  if (hits.includes(1)) writeFileSync(path.join(fromRoot(COVERAGE_FOLDER), name), hits);
});
