/**
 * What planning one program leaves for the next, so that one rule more costs what it changes:
 * numbers of relations and places of indexes stay, and hence the versions of rules that are as they
 * were. A cache and nothing else: a plan made with it differs from one made without it in the
 * numbers of relations and the places of indexes only (a test compares them), so it may be used for
 * plans that nobody runs, and thrown away at any time.
 *
 * Numbers are dense in every plan. Where relations or indexes went, they are numbered anew and the
 * program is planned once more: what the new numbers touch is made again, the rest found.
 */
import type { SplitBody } from './body-parts.ts';
import type { CoreRule } from './core-rule.ts';
import type { Version } from './plan.ts';

/** An index that versions use: asking again must give the same place. */
export interface IndexRequest {
  readonly relation: number;
  readonly columns: readonly number[];
  /** Undefined: the relation has its fill of others. */
  readonly place: number | undefined;
}

/** What was found out about a rule over numbered relations. */
export interface RuleEntry {
  /** The plan that used it last. */
  run: number;
  /** Null: it is not split. */
  split?: SplitBody | null;
  planned?: { readonly versions: readonly Version[]; readonly requests: readonly IndexRequest[] };
  /** Of its definition, made from the names and fingerprints of what it reads. */
  hash?: { readonly reads: readonly string[]; readonly hash: string };
  /** Of a unit that has this rule alone, by the rule's own. */
  unit?: { readonly hash: string; readonly fingerprint: string };
}

/** Entries of fewer plans ago than this are kept: plans for a dry run or a view come in between. */
const RUNS_KEPT = 4;

export class PlanMemory {
  readonly #numbers = new Map<string, number>();
  /** By a text of all that the entry depends on. */
  readonly #rules = new Map<string, RuleEntry>();
  readonly #objects = new WeakMap<
    CoreRule,
    { readonly names: readonly string[]; readonly key: string; readonly entry: RuleEntry }
  >();
  /** By number of the relation: the columns of each index. */
  #places: number[][][] = [];
  #run = 0;

  begin(): void {
    this.#run++;
  }

  /**
   * `print` gives the text of all that the entry depends on; it is the same for one object while
   * the names are.
   */
  ruleOf(rule: CoreRule, names: readonly string[], print: () => string): RuleEntry {
    const known = this.#objects.get(rule);
    const isSame =
      known?.names.length === names.length && names.every((one, at) => one === known.names[at]);
    if (known !== undefined && isSame && this.#rules.get(known.key) === known.entry) {
      known.entry.run = this.#run;
      return known.entry;
    }
    const key = print();
    const entry = this.rule(key);
    this.#objects.set(rule, { names, key, entry });
    return entry;
  }

  rule(key: string): RuleEntry {
    let entry = this.#rules.get(key);
    if (entry === undefined) this.#rules.set(key, (entry = { run: this.#run }));
    entry.run = this.#run;
    return entry;
  }

  /** The number that the relation has or gets. */
  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(name, number);
    this.#places[number] = [];
    return number;
  }

  placesOf(relation: number): number[][] {
    return this.#places[relation] as number[][];
  }

  /**
   * After a plan: drops what it did not use. `isUsed`: by relation, whether each of its indexes
   * is. True where numbers or places have changed, so that the plan has to be made again.
   */
  settle(names: ReadonlyMap<string, number>, isUsed: (relation: number) => boolean[]): boolean {
    let hasChanged = false;
    for (const relation of names.values()) {
      const used = isUsed(relation);
      const places = this.placesOf(relation);
      const kept = places.filter((_, place) => used[place] === true);
      hasChanged ||= kept.some((columns, place) => columns !== places[place]);
      if (kept.length < places.length) this.#places[relation] = kept;
    }
    for (const [key, { run }] of this.#rules) {
      if (run <= this.#run - RUNS_KEPT) this.#rules.delete(key);
    }
    return this.#compact(names) || hasChanged;
  }

  /** The last relations take the numbers of those that went. */
  #compact(names: ReadonlyMap<string, number>): boolean {
    if (names.size === this.#numbers.size) return false;
    const count = names.size;
    const taken = new Set(names.values());
    let free = 0;
    const places: number[][][] = [];
    this.#numbers.clear();
    for (const [name, number] of names) {
      let moved = number;
      if (number >= count) {
        while (taken.has(free)) free++;
        moved = free++;
      }
      this.#numbers.set(name, moved);
      places[moved] = this.placesOf(number);
    }
    this.#places = places;
    return [...taken].some((number) => number >= count);
  }
}
