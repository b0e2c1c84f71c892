/**
 * Probes that the core answers by groups (engine-as/intersection-plan.ts finds the same ones):
 * right behind a lookup, of one value that it binds, all others bound before. With an index by
 * those others, what the probe lets through is a group of rows, intersected with the lookup's.
 */
import type { Register, Step } from './plan.ts';

/** Sides of one intersection, the lookup's among them. */
const SIDES_MAX = 4;

/** The column of the value that is asked for; undefined for a probe that no group answers. */
export function commonColumn(
  lookup: Step | undefined,
  registers: readonly Register[],
): number | undefined {
  if (lookup?.op !== 'lookup' || lookup.match !== 'each' || registers.length < 2) return undefined;
  const isCommon = (register: Register): boolean =>
    lookup.binds.some((bind) => bind.register === register);
  const column = registers.findIndex(isCommon);
  return column >= 0 && registers.filter(isCommon).length === 1 ? column : undefined;
}

/** All columns of a row but one. */
export function columnsBeside(arity: number, column: number): number[] {
  return Array.from({ length: arity }, (_, place) => place).filter((place) => place !== column);
}

/** By the place of each such probe, the columns of its index. */
export function intersectedProbes(
  steps: readonly Step[],
  indexesOf: (relation: number) => readonly (readonly number[])[],
): Map<number, readonly number[]> {
  const found = new Map<number, readonly number[]>();
  let lookup: Step | undefined;
  let register: Register | undefined;
  let sides = 0;
  for (const [place, step] of steps.entries()) {
    if (step.op !== 'probe') {
      lookup = step;
      register = undefined;
      sides = 1;
      continue;
    }
    const column = commonColumn(lookup, step.registers);
    const common = column === undefined ? undefined : step.registers[column];
    const isOther = register !== undefined && register !== common;
    const wanted = column === undefined ? '' : columnsBeside(step.registers.length, column).join();
    const index = indexesOf(step.relation).find((columns) => columns.join() === wanted);
    if (column === undefined || isOther || index === undefined || sides === SIDES_MAX) {
      lookup = undefined;
      continue;
    }
    found.set(place, index);
    register = common;
    sides++;
  }
  return found;
}
