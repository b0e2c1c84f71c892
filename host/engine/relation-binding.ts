/**
 * Which relation of the core stands for which relation of the plan. A relation of the former plan
 * with equal name and definition goes on with its rows; the others are made anew and evaluated from
 * scratch.
 */
import * as abi from '../../engine-as/abi.ts';
import type { Plan, PlanRelation, Unit, Version } from '../compiler/plan.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { Core } from './core.ts';
import { outOfMemory } from './core.ts';
import { encodeProgram } from './program-encoder.ts';

export interface BoundRelation {
  readonly relation: PlanRelation;
  readonly handle: number;
  /** What the digest covers; see `digestFlags`. */
  readonly digest: number;
}

export interface Binding {
  readonly plan: Plan;
  /** By place in `plan.relations`. */
  readonly bound: readonly BoundRelation[];
  readonly byName: ReadonlyMap<string, BoundRelation>;
  readonly byHandle: ReadonlyMap<number, BoundRelation>;
  /** Handles made for this binding. */
  readonly fresh: ReadonlySet<number>;
  /** Indexes of each relation in the program, by handle. */
  readonly indexes: ReadonlyMap<number, readonly (readonly number[])[]>;
}

/** Indexes that queries asked for, by table. */
export type WantedIndexes = ReadonlyMap<TableKey, readonly (readonly number[])[]>;

/** Creates what the plan needs and the former binding does not have. */
export function bindRelations(
  core: Core,
  plan: Plan,
  former: Binding | undefined,
  wanted: WantedIndexes,
  rowsMaxOf: (relation: PlanRelation) => number,
): Binding {
  const fresh = new Set<number>();
  const kept = keptRelations(plan, former);
  const bound = plan.relations.map((relation, number): BoundRelation => {
    const known = kept.get(number);
    const digest = digestFlags(plan, relation);
    if (known !== undefined) return { relation, handle: known.handle, digest };
    const handle = createRelation(core, plan, relation, digest, rowsMaxOf(relation));
    if (handle < 0) {
      for (const one of fresh) core.exports.destroyRelation(one);
      throw outOfMemory();
    }
    fresh.add(handle);
    return { relation, handle, digest };
  });
  const indexes = new Map<number, readonly (readonly number[])[]>();
  for (const { relation, handle } of bound) {
    indexes.set(handle, allIndexes(relation, wanted.get(relation.name) ?? []));
  }
  const byName = new Map(bound.map((one) => [one.relation.name, one]));
  const byHandle = new Map(bound.map((one) => [one.handle, one]));
  return { plan, bound, byName, byHandle, fresh, indexes };
}

/**
 * By place in the plan, the former relations that go on. A unit goes on as a whole, and only where
 * all that it reads does: a relation that is made anew has no delta to bring the unit up to date.
 */
function keptRelations(plan: Plan, former: Binding | undefined): Map<number, BoundRelation> {
  const kept = new Map<number, BoundRelation>();
  for (const [number, relation] of plan.relations.entries()) {
    const known = former?.byName.get(relation.name);
    if (known !== undefined && isSame(known.relation, relation)) kept.set(number, known);
  }
  const isKept = (one: number): boolean => kept.has(one);
  const isReadKept = ({ versions, aggregate }: Unit): boolean =>
    versions.every((version) => readBy(version).every(isKept)) &&
    (aggregate === undefined || isKept(aggregate.input));
  for (const unit of plan.units) {
    if (unit.relations.every(isKept) && isReadKept(unit)) continue;
    for (const one of unit.relations) kept.delete(one);
  }
  return kept;
}

/** Versions stay from plan to plan. */
const readsOf = new WeakMap<Version, readonly number[]>();

function readBy(version: Version): readonly number[] {
  const known = readsOf.get(version);
  if (known !== undefined) return known;
  const reads = new Set(version.source === undefined ? [] : [version.source]);
  for (const step of version.steps) if ('relation' in step) reads.add(step.relation);
  const found = [...reads];
  readsOf.set(version, found);
  return found;
}

function isSame(a: PlanRelation, b: PlanRelation): boolean {
  return a.fingerprint === b.fingerprint && a.arity === b.arity && a.ranked === b.ranked;
}

/** Its handle; negative without memory. */
function createRelation(
  core: Core,
  plan: Plan,
  relation: PlanRelation,
  digest: number,
  rowsMax: number,
): number {
  let flags = digest;
  if (relation.ranked) flags |= abi.RELATION_RANKED;
  if (plan.options.batchOnly !== true) flags |= abi.RELATION_POSITIONS;
  const seed = seedOf(relation.name);
  return core.exports.createRelation(relation.arity, flags, rowsMax, seed);
}

/** Base rows are in the digest wherever there is one, whole tables where the plan says so. */
function digestFlags({ options, tables }: Plan, { name }: PlanRelation): number {
  // What clients ask for is no part of the state.
  if (options.digest === undefined || !tables.has(name) || name.startsWith('$')) return 0;
  return abi.RELATION_DIGEST_BASE | (options.digest.has(name) ? abi.RELATION_DIGEST_ALL : 0);
}

/** The plan's indexes keep their places; those that queries want follow. */
function allIndexes(
  relation: PlanRelation,
  wanted: readonly (readonly number[])[],
): readonly (readonly number[])[] {
  const known = new Set(relation.indexes.map((columns) => columns.join()));
  const more = wanted.filter(
    (columns) => !known.has(columns.join()) && columns.every((column) => column < relation.arity),
  );
  return [...relation.indexes, ...more].slice(0, abi.INDEXES_PER_RELATION_MAX);
}

/** FNV-1a, 64 bits: the part of a table's name in its digest. */
function seedOf(name: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}

/** The program of a binding; units of fresh relations are evaluated from scratch. */
export function encodeBinding(binding: Binding): Uint8Array {
  const { plan, bound, fresh, indexes } = binding;
  const relations = bound.map(({ handle }) => ({ handle, indexes: indexes.get(handle) ?? [] }));
  const units = plan.units.map((unit) => ({ unit, isFresh: isFreshUnit(unit, bound, fresh) }));
  return encodeProgram(relations, units);
}

function isFreshUnit(
  unit: Unit,
  bound: readonly BoundRelation[],
  fresh: ReadonlySet<number>,
): boolean {
  const isFresh = (one: number): boolean => fresh.has((bound[one] as BoundRelation).handle);
  const first = isFresh(unit.relations[0] as number);
  if (unit.relations.some((one) => isFresh(one) !== first)) {
    throw new Error('a unit is neither fresh nor kept');
  }
  return first;
}
