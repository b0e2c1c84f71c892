/** The engines that there are to test: the core as it ships, the core with its assertions. */
import { readFile } from 'node:fs/promises';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import type { Step } from '../../host/compiler/plan.ts';
import { prove } from '../../host/explain/proof.ts';
import type { ProofNode } from '../../host/explain/proof.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import type { Engine } from '../../host/engine/engine.ts';
import type { EngineKind } from './engine-kind.ts';

const CORES = [
  { name: 'wasm', file: 'build/core.wasm' },
  { name: 'wasm-debug', file: 'build/core.debug.wasm' },
];

export async function engineKinds(): Promise<EngineKind[]> {
  const kinds: EngineKind[] = [];
  for (const { name, file } of CORES) {
    const core = await readFile(file);
    kinds.push({
      name,
      create: () => createWasmEngine(core, { yield: async () => undefined }),
      lower,
      lowerQuery,
      prove,
    });
  }
  return kinds;
}

/**
 * The core with bits wherever they can be, however small a table is: to the end; for one round of
 * each evaluation, which rounds of rows take over; anew at every other update, while the rows
 * stand; or, in a batch, from the second round on.
 */
export async function bitsKinds(): Promise<EngineKind[]> {
  const bytes = await readFile('build/core.debug.wasm');
  const kindOf = (name: string, choice: number): EngineKind => ({
    name,
    create: async () => {
      const engine = await createWasmEngine(bytes, { yield: async () => undefined });
      engine.core.exports.chooseLayout(choice);
      return engine;
    },
    lower,
    lowerQuery,
    prove,
  });
  return [
    kindOf('wasm-bits', 2),
    kindOf('wasm-bits-left', 3),
    kindOf('wasm-bits-again', 4),
    kindOf('wasm-bits-late', 5),
  ];
}

/** The core that intersects groups wherever it can, however few rows they have. */
export async function intersectingKind(): Promise<EngineKind> {
  return intersecting('wasm-intersecting', 0);
}

/** And the same with marks that are kept when the key changes. */
export async function staleMarksKind(): Promise<EngineKind> {
  return intersecting('stale marks', 11);
}

async function intersecting(name: string, sabotage: number): Promise<EngineKind> {
  const bytes = await readFile('build/core.debug.wasm');
  const create = async (): Promise<Engine> => {
    const engine = await createWasmEngine(bytes, { yield: async () => undefined });
    engine.core.exports.chooseIntersections(2);
    engine.core.exports.sabotage(sabotage);
    return engine;
  };
  return { name, create, lower, lowerQuery, prove };
}

/** The core with proofs in which something is not as the rules have it. */
export async function wrongProofsKind(
  name: string,
  change: (node: ProofNode) => ProofNode,
): Promise<EngineKind> {
  const [kind] = await engineKinds();
  if (kind === undefined) throw new Error('no engine');
  return {
    ...kind,
    name,
    prove: async (evidence, table, row) => {
      const proof = await prove(evidence, table, row);
      return proof === undefined ? undefined : { nodes: proof.nodes.map(change) };
    },
  };
}

/** The core with one mechanism broken (engine-as/sabotage.ts), in one layout (dense.ts). */
export async function sabotagedKind(
  name: string,
  sabotage: number,
  layout = 0,
): Promise<EngineKind> {
  const bytes = await readFile('build/core.wasm');
  const create = async (): Promise<Engine> => {
    const engine = await createWasmEngine(bytes, { yield: async () => undefined });
    engine.core.exports.sabotage(sabotage);
    engine.core.exports.chooseLayout(layout);
    return engine;
  };
  return { name, create, lower, lowerQuery };
}

/** The core with plans in which rows that matter to nobody are not counted, but passed once. */
export async function uncountedKind(): Promise<EngineKind> {
  const [kind] = await engineKinds();
  if (kind === undefined) throw new Error('no engine');
  const withoutCount = (step: Step): Step =>
    (step.op === 'scan' || step.op === 'lookup') && step.match === 'each' && step.binds.length === 0
      ? { ...step, match: 'once' }
      : step;
  return {
    ...kind,
    name: 'uncounted',
    lower: (program, options) => {
      const plan = lower(program, options);
      const units = plan.units.map((unit) => ({
        ...unit,
        versions: unit.versions.map((version) => ({
          ...version,
          steps: version.purpose === 'delta' ? version.steps.map(withoutCount) : version.steps,
        })),
      }));
      return { ...plan, units };
    },
  };
}
