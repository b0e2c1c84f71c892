/** A plan for people, from its document. */
import type {
  PlanDocument,
  RulePlanDocument,
  StepDocument,
  UnitDocument,
  VersionDocument,
} from './plan-document.ts';

export interface PlanLineOptions {
  /** Also what updates and deletes run, not only what is run from scratch. */
  readonly updates?: boolean;
}

const KINDS: Readonly<Record<UnitDocument['kind'], string>> = {
  counting: 'counting: a row has the number of its derivations',
  recursive: 'recursive: a row has a rank above those that it rests on',
  aggregate: 'aggregate: a state for each group',
  best: 'best values: rows are taken in the order of value and rank',
};

const PURPOSES: Readonly<Record<VersionDocument['purpose'], string>> = {
  full: 'from scratch',
  round: 'each round',
  delta: 'on a change',
  candidate: 'on a loss: rows that may fall',
  insert: 'on a gain',
  support: 'whether a row still has support',
  group: 'other rows of a group',
};
const FROM_SCRATCH: ReadonlySet<VersionDocument['purpose']> = new Set(['full', 'round']);

export function planLines(plan: PlanDocument, options: PlanLineOptions = {}): string[] {
  const lines = plan.units.flatMap((unit) => [...unitLines(unit, options), '']);
  const tables = plan.tables.filter(({ indexes }) => indexes.length > 0);
  if (tables.length > 0) lines.push('indexes (columns from 1)');
  for (const { name, indexes, expected } of tables) {
    const listed = indexes.map((columns) => `(${columns.join(', ')})`).join(' ');
    lines.push(`  ${name}  ${listed}  expected rows: ${expected}`);
  }
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

function unitLines(unit: UnitDocument, options: PlanLineOptions): string[] {
  const lines = [`${unit.tables.join(', ')}  ${KINDS[unit.kind]}`];
  if (unit.auxiliary !== undefined) {
    lines.push(`  ${unit.auxiliary}; read by ${(unit.readBy ?? []).join(', ')}`);
  }
  if (unit.kind === 'recursive') lines.push(`  layout: ${unit.layout}: ${unit.why}`);
  if (unit.overBits !== undefined) {
    lines.push(`  this time it went over ${unit.overBits ? 'bits' : 'rows'}`);
  }
  if (unit.rows !== undefined) lines.push(`  rows: ${unit.rows.join(', ')}`);
  if (unit.facts > 0n) lines.push(`  ${unit.facts} ${unit.facts === 1n ? 'fact' : 'facts'}`);
  for (const rule of unit.rules) lines.push(...ruleLines(rule, options));
  return lines;
}

function ruleLines(rule: RulePlanDocument, { updates }: PlanLineOptions): string[] {
  const line = rule.line === undefined ? '' : `, line ${rule.line}`;
  const place = rule.ordinal === undefined ? '' : ` (${rule.policy}, rule ${rule.ordinal}${line})`;
  const lines = [`  ${rule.text}${place}`];
  for (const version of rule.versions) {
    if (updates !== true && !FROM_SCRATCH.has(version.purpose)) continue;
    const driven = version.drivenBy === undefined ? '' : `, for each of ${version.drivenBy}`;
    lines.push(`    ${PURPOSES[version.purpose]}${driven}`);
    version.steps.forEach((step, at) => lines.push(`      ${at + 1}. ${stepText(step)}`));
  }
  return lines;
}

function stepText({ text, how, index, once, rows }: StepDocument): string {
  if (how === 'test') return text;
  if (how === 'row') return `${text}  one row looked up`;
  if (how === 'group') {
    return `${text}  intersected with the rows above, index (${index?.join(', ') ?? ''})`;
  }
  const by = how === 'index' ? `index (${index?.join(', ') ?? ''})` : 'all rows';
  const many =
    once === true ? 'the first match' : `about ${rows ?? 0n} ${rows === 1n ? 'row' : 'rows'}`;
  return `${text}  ${by}, ${many}`;
}
