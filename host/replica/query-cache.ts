/**
 * Compiled queries of one generation of the program: by what their texts have in common, where that
 * can be told, else by the text itself. Those that were not used for longest go first.
 */
import { cutText, QueryTemplate } from '../compiler/query-template.ts';
import type { CutLiteral } from '../compiler/query-template.ts';
import type { QueryPlan } from '../compiler/plan.ts';
import type { ConstantNode } from '../compiler/syntax-tree.ts';
import { QUERY_CACHE_COUNT_MAX } from '../limits.ts';
import type { Value } from '../value/value.ts';
import type { CompiledQuery } from './planner.ts';

/** What a text was compiled to, with parameters. */
export interface FreshQuery {
  readonly query: CompiledQuery;
  readonly plan: QueryPlan;
  readonly parameters: readonly ConstantNode[];
}
/** What a text asks: `plan` is for its own constants, which are `values`. */
export interface PreparedQuery {
  readonly template: QueryTemplate<CompiledQuery>;
  readonly values: readonly Value[];
}

export class QueryCache {
  /** Oldest use first. */
  readonly #templates = new Map<string, QueryTemplate<CompiledQuery>>();
  #generation = -1;
  #compilations = 0;

  /** How many texts were compiled. */
  get compilations(): number {
    return this.#compilations;
  }

  /** `compile` is called, and may throw, where nothing that is known fits. */
  prepare(
    generation: number,
    policy: string | undefined,
    text: string,
    compile: () => FreshQuery,
  ): PreparedQuery {
    if (generation !== this.#generation) this.#templates.clear();
    this.#generation = generation;
    const cut = cutText(text);
    // A text that cannot be cut is no shape, whatever is in it.
    const key = `${cut === undefined ? 'text' : 'shape'} ${policy ?? ''}\n${cut?.shape ?? text}`;
    const known = this.#templates.get(key);
    const literals = cut?.literals ?? [];
    const values = known?.valuesOf(literals);
    if (known !== undefined && values !== undefined) {
      this.#keep(key, known);
      return { template: known, values };
    }
    return this.#compile(key, literals, compile);
  }

  #compile(key: string, literals: readonly CutLiteral[], compile: () => FreshQuery): PreparedQuery {
    const { query, plan, parameters } = compile();
    this.#compilations++;
    const template = new QueryTemplate(query, plan, literals, parameters);
    this.#keep(key, template);
    return { template, values: parameters.map(({ value }) => value) };
  }

  #keep(key: string, template: QueryTemplate<CompiledQuery>): void {
    this.#templates.delete(key);
    this.#templates.set(key, template);
    if (this.#templates.size <= QUERY_CACHE_COUNT_MAX) return;
    for (const oldest of this.#templates.keys()) {
      this.#templates.delete(oldest);
      break;
    }
  }
}
