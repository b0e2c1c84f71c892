/**
 * What is measured: a program on an input, with the size every answer must have.
 *
 * The sizes were computed by an independent engine on the same rows; for chains, cycles, grids and
 * trees they also follow from a formula. A run with another size is an error, not a result.
 */
import { readFileSync } from 'node:fs';
import { generate, type GeneratorName, type Tables } from './generate.ts';

/**
 * `small` ends in milliseconds and is part of the tests; `large` needs some gigabytes and minutes.
 */
export type Scale = 'small' | 'standard' | 'large';

export interface Workload {
  /** `tc chain 1000`: program, generator, parameters. */
  readonly name: string;
  readonly program: string;
  readonly generator: GeneratorName;
  readonly parameters: readonly number[];
  readonly scale: Scale;
  /** Rows by table after evaluation. */
  readonly sizes: Readonly<Record<string, number>>;
}

function workload(scale: Scale, name: string, sizes: Readonly<Record<string, number>>): Workload {
  const [program = '', generator = '', ...parameters] = name.split(' ');
  return {
    name,
    program,
    generator: generator as GeneratorName,
    parameters: parameters.map(Number),
    scale,
    sizes,
  };
}

const unreach = (reach: number, outdeg: number, missed: number): Record<string, number> => ({
  reach,
  outdeg,
  unreach: missed,
});
const cspa = (valueFlow: number, valueAlias: number, memoryAlias: number) => ({
  valueFlow,
  valueAlias,
  memoryAlias,
});
const rbac = (
  in_group: number,
  has_role: number,
  perm: number,
  denied: number,
  allow: number,
  nfiles: number,
) => ({ in_group, has_role, perm, denied, allow, nfiles });

/** Grouped by program; within one, from small to large. */
export const WORKLOADS: readonly Workload[] = [
  workload('small', 'tc chain 100', { tc: 4950 }),
  workload('standard', 'tc chain 2000', { tc: 1_999_000 }),
  workload('small', 'tc cycle 60', { tc: 3600 }),
  workload('standard', 'tc cycle 500', { tc: 250_000 }),
  workload('small', 'tc grid 20', { tc: 52_920 }),
  workload('standard', 'tc grid 60', { tc: 3_572_160 }),
  workload('large', 'tc grid 79', { tc: 10_491_200 }),
  workload('large', 'tc grid 100', { tc: 26_522_600 }),
  workload('small', 'tc btree 8', { tc: 3586 }),
  workload('small', 'tc btree 9', { tc: 8194 }),
  workload('standard', 'tc btree 14', { tc: 425_986 }),
  workload('small', 'tc rand 100 200', { tc: 6808 }),
  workload('standard', 'tc rand 300 900', { tc: 80_663 }),
  workload('standard', 'tc rand 1000 3000', { tc: 878_883 }),
  workload('standard', 'tc rand 2000 4000', { tc: 2_487_590 }),
  workload('large', 'tc rand 5000 25000', { tc: 24_651_227 }),
  workload('small', 'tc dag 500 1500', { tc: 15_665 }),
  workload('standard', 'tc dag 2000 6000', { tc: 109_373 }),
  workload('small', 'tcn rand 100 200', { tc: 6808 }),
  workload('standard', 'tcn rand 1000 3000', { tc: 878_883 }),
  workload('small', 'sg btree 6', { sg: 5334 }),
  workload('standard', 'sg btree 9', { sg: 348_502 }),
  workload('standard', 'sg btree 10', { sg: 1_396_054 }),
  workload('standard', 'sg rand 200 400', { sg: 26_926 }),
  workload('standard', 'sg dag 500 1000', { sg: 14_460 }),
  workload('small', 'triangle ba 1000 10', { tri: 14_962 }),
  workload('standard', 'triangle ba 5000 20', { tri: 307_287 }),
  workload('standard', 'triangle ba 20000 8', { tri: 108_336 }),
  workload('small', 'unreach rand 2000 4000', unreach(1575, 1575, 386)),
  workload('standard', 'unreach rand 200000 600000', unreach(187_970, 187_970, 11_520)),
  workload('small', 'andersen andersen 1000 300 700 120 120', { pointsTo: 2090 }),
  workload('small', 'andersen andersen 2000 600 1400 250 250', { pointsTo: 3280 }),
  workload('standard', 'andersen andersen 5000 1500 3500 600 600', { pointsTo: 48_858 }),
  workload('standard', 'andersen andersen 10000 3000 8000 1200 1200', { pointsTo: 903_755 }),
  workload('large', 'andersen andersen 20000 6000 15000 2000 2000', { pointsTo: 1_246_571 }),
  workload('small', 'cspa cspa 500 250 120', cspa(888, 2215, 453)),
  workload('small', 'cspa cspa 1000 500 260', cspa(2079, 5926, 971)),
  workload('standard', 'cspa cspa 2000 1100 500', cspa(38_275, 181_738, 9389)),
  workload('standard', 'cspa cspa 3000 1500 800', cspa(66_241, 348_181, 23_577)),
  workload('small', 'rbac rbac 100', rbac(423, 342, 7558, 100, 275_619, 98)),
  workload('standard', 'rbac rbac 300', rbac(1837, 1160, 6294, 507, 1_114_132, 290)),
  workload('large', 'rbac rbac 1000', rbac(9572, 10_912, 41_316, 5968, 16_475_546, 950)),
  workload('small', 'ovn ovn 20 5', {
    up: 95,
    rreach: 4,
    sreach: 400,
    blocked: 2519,
    flow: 6648,
    fanout: 20,
  }),
  workload('standard', 'ovn ovn 50 10', {
    up: 475,
    rreach: 36,
    sreach: 2500,
    blocked: 33_928,
    flow: 194_440,
    fanout: 50,
  }),
  workload('standard', 'ovn ovn 100 10', { flow: 835_615, blocked: 74_038 }),
  workload('large', 'ovn ovn 200 10', { flow: 3_470_140, blocked: 152_227 }),
];

export const FGA_WORKLOADS: readonly Workload[] = [
  workload('small', 'fga fga 1000', {
    can_write: 35_405,
    can_read: 66_385,
  }),
  workload('large', 'fga fga 100000', {
    can_write: 1_901_908,
    can_read: 3_573_979,
  }),
];

/** Updated only. */
export const JOIN_WORKLOADS: readonly Workload[] = [
  workload('small', 'join join 1000 5', { joined: 5000 }),
  workload('standard', 'join join 100000 5', { joined: 500_000 }),
];

export function workloadNamed(name: string): Workload {
  const workload = WORKLOADS.find((one) => one.name === name);
  if (workload === undefined) throw new Error(`no workload is named \`${name}\``);
  return workload;
}

export function inputOf({
  generator,
  parameters,
}: Pick<Workload, 'generator' | 'parameters'>): Tables {
  return generate(generator, ...parameters);
}

/** The text of `programs/<name>.dl`; from the root of the checkout, where npm runs scripts. */
export function programText(name: string): string {
  return readFileSync(`bench/programs/${name}.dl`, 'utf8');
}
