/** What the compiler sees of the replicated state. */
import type { Catalog } from '../compiler/catalog.ts';
import type { FailureRoot } from './failures.ts';
import type { PolicyState, SourceState } from './replicated-state.ts';

/** Policies that do not compile are left out; the others take part, failed or not. */
export function catalogOf(
  policies: ReadonlyMap<string, PolicyState>,
  sources: ReadonlyMap<string, SourceState>,
  roots: readonly FailureRoot[],
  arities: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map(),
): Catalog {
  const invalid = new Set(roots.filter(isInvalid).map((root) => root.policy));
  return {
    policies: [...policies.values()].filter(({ name }) => !invalid.has(name)).sort(byName),
    sources: [...sources.values()].sort(byName).map((source) => ({
      name: source.name,
      // More tables may come with any batch.
      declared: false,
      tables: [...source.tables, ...(arities.get(source.name) ?? [])]
        .map(([name, arity]) => ({ name, arity }))
        .sort(byName),
    })),
  };
}

export function isInvalid(root: FailureRoot): boolean {
  return root.code === 'invalid_policy';
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
