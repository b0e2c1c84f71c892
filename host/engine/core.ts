/**
 * The WASM core as typed calls: instantiates it through AssemblyScript's loader, and is the one
 * place that makes views over its memory (growth detaches them, so a view is made for each use).
 */
import { instantiate } from '@assemblyscript/loader';
import { ABI_VERSION, STATUS_OUT_OF_MEMORY } from '../../engine-as/abi.ts';
import { CaucusError } from '../errors.ts';
import { workSteps } from '../functions/regex/regex.ts';
import { callNumber } from '../functions/registry.ts';
import { stringifyJson } from '../value/json.ts';
import { RowBlockReader } from '../value/row-block-reader.ts';
import { formatFloat } from '../value/value.ts';

const encoder = new TextEncoder();
const CALL_FAILED = -1;

/** What of the global `WebAssembly` is used; Node's types do not declare it. */
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<object> };

/** The bytes of the core, or the module compiled from them. */
export type CoreSource = Uint8Array | object;

/** Compiled modules by their bytes: one compilation serves all engines of a process. */
const modules = new WeakMap<Uint8Array, Promise<object>>();

async function compileOnce(wasm: CoreSource): Promise<object> {
  if (!(wasm instanceof Uint8Array)) return wasm;
  let compiled = modules.get(wasm);
  if (compiled === undefined) {
    compiled = WebAssembly.compile(wasm);
    modules.set(wasm, compiled);
  }
  return compiled;
}

/**
 * Exports of engine-as/index.ts. u32 results are signed: `>>> 0` before use as an address or
 * handle.
 */
export interface CoreExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  abiVersion(): number;
  start(pagesMax: number): number;
  requestArea(bytes: number): number;
  shrinkRequestArea(): void;
  createRelation(arity: number, flags: number, rowsMax: number, seed: bigint): number;
  destroyRelation(handle: number): void;
  liveRows(handle: number): number;
  relationBytes(handle: number): number;
  setDigest(handle: number, flags: number): void;
  limitRows(handle: number, rowsMax: number): void;
  changedRelation(place: number): number;
  deltaRows(handle: number): number;
  digestLane(handle: number, lane: number): bigint;
  isOpen(): number;
  begin(): number;
  setProgram(pointer: number, bytes: number): number;
  clearBaseRows(handle: number, from: number): number;
  copyBaseRows(handle: number, to: number, from: number): number;
  expectRows(handle: number, rows: number): number;
  changeBaseRows(
    handle: number,
    pointer: number,
    bytes: number,
    rows: number,
    insert: number,
  ): number;
  rowsTaken(): number;
  bytesTaken(): number;
  isCutShort(): number;
  step(budget: number): number;
  commit(): number;
  rollBack(): number;
  unitUnderWay(): number;
  roundUnderWay(): number;
  limitedRelation(): number;
  openOutput(kind: number, handle: number, other: number): number;
  prepareRows(output: number): number;
  rowCount(output: number): number;
  readRows(output: number, to: number, room: number, rows: number): number;
  rowsRead(): number;
  rowBytesNext(output: number): number;
  closeOutput(output: number): void;
  openQuery(pointer: number, bytes: number): number;
  queryFailure(): number;
  boundQueryRank(query: number, rankBelow: number): void;
  bodyRankFound(): number;
  runQuery(query: number, budget: number): number;
  isTruncated(query: number): number;
  closeQuery(query: number): void;
  checkArea(): number;
  findText(length: number): number;
  findValue(pointer: number, length: number): number;
  hasRow(handle: number): number;
  commitCount(): number;
  collectValues(rows: number): number;
  fitTables(ids: number): number;
  collectionCount(): number;
  valueCount(): number;
  internedCount(): bigint;
  memoryInUse(): bigint;
  derivationCount(): bigint;
  stepsDone(): bigint;
  touchedCount(): bigint;
  relationSlots(): number;
  /** 0 auto, 1 rows, 2 bits, 3 bits for one round, then rows. */
  chooseLayout(choice: number): void;
  /** 0 auto, 1 never, 2 wherever they can be. */
  chooseIntersections(choice: number): void;
  intersectionCount(): bigint;
  denseUnitCount(): number;
  sweepCount(): number;
  keptTableCount(): number;
  sabotage(kind: number): void;
}

/** Functions of the language, as the core calls them. */
function callImports(buffer: () => ArrayBuffer): Record<string, unknown> {
  let value: Uint8Array = new Uint8Array(0);
  const takeValue = (to: number): void => {
    new Uint8Array(buffer(), to >>> 0, value.length).set(value);
  };
  return {
    callFunction(
      number: number,
      count: number,
      from: number,
      length: number,
      to: number,
      room: number,
    ): number {
      const inputs = new Uint8Array(buffer(), from >>> 0, length);
      const answer = callNumber(number, inputs, count);
      if (answer === undefined) return CALL_FAILED;
      value = answer;
      if (value.length <= room) takeValue(to);
      return value.length;
    },
    takeValue,
    callWork: workSteps,
  };
}

export class Core {
  readonly exports: CoreExports;

  private constructor(exports: CoreExports) {
    this.exports = exports;
  }

  /** `pagesMax`: bound of the memory in pages of 64 KiB; 0: up to 4 GiB. */
  static async create(wasm: CoreSource, pagesMax: number): Promise<Core> {
    let memory: CoreExports['memory'] | undefined;
    const formatInto = (value: number, to: number): number => {
      const text = formatFloat(value);
      const bytes = new Uint8Array((memory as CoreExports['memory']).buffer, to >>> 0, text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      return text.length;
    };
    const formatEncoded = (from: number, length: number, to: number): number => {
      const { buffer } = memory as CoreExports['memory'];
      const bytes = new Uint8Array(buffer, from >>> 0, length).slice();
      const value = new RowBlockReader({ arity: 1, count: 1, bytes }).readValue();
      const text = encoder.encode(stringifyJson(value));
      new Uint8Array(buffer, to >>> 0, text.length).set(text);
      return text.length;
    };
    // The module `env` is the core's env.ts; the loader's own type knows only AssemblyScript's.
    const calls = callImports(() => (memory as CoreExports['memory']).buffer);
    const env: Record<string, unknown> = {
      formatFloat: formatInto,
      formatEncoded,
      ...calls,
      abort,
    };
    const compiled = (await compileOnce(wasm)) as Parameters<typeof instantiate>[0];
    const { exports } = await instantiate<Record<string, unknown>>(compiled, { env });
    const core = exports as unknown as CoreExports;
    memory = core.memory;
    if (core.abiVersion() !== ABI_VERSION) {
      throw new CaucusError(
        'internal',
        `the core has version ${core.abiVersion()}, not ${ABI_VERSION}`,
        {
          remedy: 'build the core and the host together: npm run build',
        },
      );
    }
    if (core.start(pagesMax) === STATUS_OUT_OF_MEMORY) throw outOfMemory();
    return new Core(core);
  }

  /** Copies bytes into the request area; its address, valid until the next call that copies. */
  write(bytes: Uint8Array): number {
    const pointer = this.area(bytes.length);
    this.view(pointer, bytes.length).set(bytes);
    return pointer;
  }

  /** The request area with room for `length` bytes. */
  area(length: number): number {
    const pointer = this.exports.requestArea(Math.max(length, 1)) >>> 0;
    if (pointer === 0) throw outOfMemory();
    return pointer;
  }

  /** Bytes where they are. When memory grows the view has none any more, and a new one is due. */
  view(pointer: number, length: number): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer, pointer, length);
  }

  /** A copy of bytes of the core's memory. */
  read(pointer: number, length: number): Uint8Array {
    return this.view(pointer, length).slice();
  }
}

export function outOfMemory(): CaucusError {
  return new CaucusError('out_of_memory', 'the engine has no memory left', {
    remedy: 'remove rows or rules, or give the engine more memory; one engine holds at most 4 GiB',
  });
}

/** A defect of the core: its assertions are compiled into the debug target only. */
function abort(_message: number, _file: number, line: number, column: number): never {
  throw new Error(`the core aborted at ${line}:${column}`);
}
