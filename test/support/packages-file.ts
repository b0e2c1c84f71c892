/**
 * A Debian `Packages` file that was never anywhere: as many packages and dependencies as asked for,
 * in layers with popular libraries, some cycles, alternatives, virtual packages and dangling names.
 * The same seed gives the same file.
 */
import { randomFrom } from './random.ts';

export interface PackagesFileShape {
  readonly seed: number;
  readonly packages: number;
  readonly dependencies: number;
  /** Of the packages, how many get a stanza with `Status: install ok installed`. */
  readonly installed?: number;
  /** One target in so many is a name that nothing answers to; default 20 000. */
  readonly danglingEvery?: number;
}

export interface PackagesFile {
  readonly text: string;
  /** Distinct (package, clause, target). */
  readonly dependsRows: number;
  readonly providesRows: number;
  readonly essentialRows: number;
}

export function packagesFile(shape: PackagesFileShape): PackagesFile {
  const random = randomFrom(shape.seed);
  const perPackage = shape.dependencies / shape.packages;
  const stanzas: string[] = [];
  let dependsRows = 0;
  let providesRows = 0;
  let essentialRows = 0;
  for (let index = 0; index < shape.packages; index++) {
    // Half of the dependencies go to the first 2 %, as they do to libc and its like.
    const target = (): string => {
      if (random.int(shape.danglingEvery ?? 20_000) === 0) return 'gone';
      const below = random.chance(0.5) ? Math.ceil(shape.packages / 50) : Math.max(index, 1);
      return packageName(random.int(below));
    };
    const clauses = new Map<string, readonly string[]>();
    const wanted = Math.floor(perPackage + random.next());
    for (let tries = 0, targets = 0; targets < wanted && tries < wanted * 4; tries++) {
      const alternatives = random.int(25) === 0 ? [...new Set([target(), target()])] : [target()];
      const key = alternatives.toSorted().join(' ');
      if (clauses.has(key)) continue;
      clauses.set(key, alternatives);
      targets += alternatives.length;
    }
    for (const alternatives of clauses.values()) dependsRows += alternatives.length;
    const provides = random.int(8) === 0 ? [`virtual-${random.int(500)}`] : [];
    providesRows += provides.length;
    const essential = index > 0 && index <= 20;
    if (essential) essentialRows++;
    const depends = [...clauses.values()].map((clause) =>
      clause
        .map((name) => (random.int(3) === 0 ? `${name} (>= 1.${random.int(9)})` : name))
        .join(' | '),
    );
    stanzas.push(
      [
        `Package: ${packageName(index)}`,
        ...(index < (shape.installed ?? 0) ? ['Status: install ok installed'] : []),
        `Version: 1:${random.int(30)}.${random.int(30)}-${1 + random.int(4)}`,
        `Installed-Size: ${random.int(100_000)}`,
        ...(essential ? ['Essential: yes'] : []),
        `Description: synthetic package ${index}`,
        ' with a second line: that is no field',
        ...(provides.length > 0 ? [`Provides: ${provides.join(', ')}`] : []),
        ...(depends.length > 0 ? [`Depends: ${depends.join(', ')}`] : []),
        `Section: ${random.int(400) === 0 ? 'oldlibs' : 'misc'}`,
        '',
      ].join('\n'),
    );
  }
  return { text: `${stanzas.join('\n')}\n`, dependsRows, providesRows, essentialRows };
}

export function packageName(index: number): string {
  return `p${index.toString(36)}`;
}
