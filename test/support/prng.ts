/** Seeded choices of generators, over `random.ts`. */
import { randomFrom } from './random.ts';
import type { Random } from './random.ts';

/** Uniform integer, both ends included. */
export function between(random: Random, low: number, high: number): number {
  return low + random.int(high - low + 1);
}

/** A new array in random order (Fisher and Yates). */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const result = [...items];
  for (let index = result.length - 1; index > 0; index--) {
    const other = random.int(index + 1);
    [result[index], result[other]] = [result[other] as T, result[index] as T];
  }
  return result;
}

/** At most `count` different items, in random order. */
export function sample<T>(random: Random, items: readonly T[], count: number): T[] {
  return shuffled(random, items).slice(0, count);
}

/** One of the choices, each as likely as its weight says. */
export function weighted<T>(random: Random, choices: readonly (readonly [number, T])[]): T {
  let rest = random.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, choice] of choices) {
    rest -= weight;
    if (rest < 0) return choice;
  }
  return (choices.at(-1) as readonly [number, T])[1];
}

/**
 * Independent randomness number `index` of a seed: what one part draws does not move another part.
 */
export function randomOf(seed: number, index: number): Random {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return randomFrom(mixed ^ (mixed >>> 13));
}
