/**
 * Baselines: transitive closure as somebody writes it by hand for one graph. Measured in the same
 * run as the engine, so that a ratio says something on any machine.
 */
import type { Cells } from './generate.ts';

export interface Graph {
  readonly nodes: number;
  /** Successors of each node. */
  readonly successors: readonly (readonly number[])[];
}

export function graphOf(edges: readonly Cells[]): Graph {
  const successors: number[][] = [];
  for (const [from, to] of edges as readonly (readonly [number, number])[]) {
    while (successors.length <= Math.max(from, to)) successors.push([]);
    successors[from]?.push(to);
  }
  return { nodes: successors.length, successors };
}

/**
 * Semi-naive over a `Set` of pairs: what a program without an engine does. The count of pairs.
 */
export function closureWithSet({ nodes, successors }: Graph): number {
  const reached = new Set<number>();
  let recent: number[] = [];
  for (let from = 0; from < nodes; from++) {
    for (const to of successors[from] ?? []) {
      const pair = from * nodes + to;
      if (!reached.has(pair)) {
        reached.add(pair);
        recent.push(pair);
      }
    }
  }
  while (recent.length > 0) {
    const next: number[] = [];
    for (const pair of recent) {
      const middle = pair % nodes;
      const row = pair - middle;
      for (const to of successors[middle] ?? []) {
        const found = row + to;
        if (!reached.has(found)) {
          reached.add(found);
          next.push(found);
        }
      }
    }
    recent = next;
  }
  return reached.size;
}

/**
 * One depth-first search a node over a bit row: about the least that must be done, with nothing
 * stored that could be asked, updated or explained.
 */
export function closureWithBits({ nodes, successors }: Graph): number {
  const seen = new Uint32Array((nodes + 31) >> 5);
  const stack: number[] = [];
  let count = 0;
  for (let from = 0; from < nodes; from++) {
    seen.fill(0);
    stack.push(from);
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      for (const to of successors[node] ?? []) {
        const bit = 1 << (to & 31);
        const word = to >> 5;
        if (((seen[word] ?? 0) & bit) !== 0) continue;
        seen[word] = (seen[word] ?? 0) | bit;
        count++;
        stack.push(to);
      }
    }
  }
  return count;
}
