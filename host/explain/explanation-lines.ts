/** Explanations for people, from their documents: two spaces a level. */
import type {
  AbsenceDocument,
  BodyDocument,
  FailingDocument,
  GroupDocument,
  NodeDocument,
  ProofDocument,
  ReasonsDocument,
  RuleDocument,
  RuleFailureDocument,
} from './document.ts';
import type { Row, Value } from '../value/value.ts';

export interface Names {
  table(table: string): string;
  row(table: string, row: Row): string;
  value(value: Value): string;
  /** The policy whose rules need not name it. */
  readonly policy?: string;
}

/** Solutions of a group that are printed. */
const GROUP_ROWS_SHOWN_MAX = 5;
const INDENT = '  ';

type Item = { readonly text: string; readonly depth: number } | Placed;
interface Placed {
  readonly node: number;
  readonly depth: number;
}

/** A tree; what was shown above is not shown again. */
export function proofLines(proof: ProofDocument, names: Names): string[] {
  const lines: string[] = [];
  const shown = new Set<number>();
  const pending: Item[] = [{ node: 0, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const indent = INDENT.repeat(next.depth);
    if ('text' in next) {
      lines.push(indent + next.text);
      continue;
    }
    const node = proof.nodes[next.node];
    if (node === undefined) continue;
    const isAgain = shown.has(next.node) && (node.body ?? node.group) !== undefined;
    const reason = isAgain ? 'as above' : reasonText(proof, node, names);
    lines.push(`${indent}${names.row(node.table, node.row)}  <- ${reason}`);
    if (isAgain) continue;
    shown.add(next.node);
    pending.push(...below(node, next.depth + 1, names).reverse());
  }
  if (proof.cut > 0n) {
    lines.push(`${proof.cut} ${proof.cut === 1n ? 'row is' : 'rows are'} not explained further`);
  }
  return lines;
}

function below(node: NodeDocument, depth: number, names: Names): Item[] {
  if (node.group !== undefined) return groupItems(node.group, depth, names);
  return bodyItems(node.body ?? [], depth);
}

function bodyItems(body: readonly BodyDocument[], depth: number): Item[] {
  return body.map((one): Item => {
    if ('node' in one) return { node: Number(one.node), depth };
    return { text: 'absent' in one ? `not ${one.absent}` : one.holds, depth };
  });
}

function groupItems(group: GroupDocument, depth: number, names: Names): Item[] {
  const items: Item[] = [];
  for (const [at, row] of group.rows.slice(0, GROUP_ROWS_SHOWN_MAX).entries()) {
    const cells = row.map((value, column) => {
      return `${group.columns[column] ?? '?'} = ${names.value(value)}`;
    });
    items.push({ text: cells.length === 0 ? 'one solution' : cells.join(', '), depth });
    items.push(...bodyItems(group.bodies[at] ?? [], depth + 1));
  }
  const more = Number(group.count) - Math.min(group.rows.length, GROUP_ROWS_SHOWN_MAX);
  if (more > 0) {
    const text = `and ${more}${group.truncated === true ? ' and more' : ''} other solutions`;
    items.push({ text, depth });
  }
  return items;
}

function reasonText(proof: ProofDocument, node: NodeDocument, names: Names): string {
  const rule = node.rule === undefined ? undefined : proof.rules[Number(node.rule)];
  if (rule !== undefined) return ruleText(rule, names);
  if (node.by === 'system') return 'kept by the system';
  if (node.by === 'cut') return 'not explained further';
  const owner = node.table.slice(0, node.table.indexOf(':'));
  return owner === names.policy ? 'given' : `given by \`${owner}\``;
}

function ruleText(rule: RuleDocument | undefined, names: Names): string {
  if (rule === undefined) return 'a rule';
  const line = rule.line === undefined ? '' : `, line ${rule.line}`;
  const place = `rule ${rule.ordinal}${line}`;
  return `${rule.text} (${rule.policy === names.policy ? place : `${rule.policy}, ${place}`})`;
}

export function reasonsLines(reasons: ReasonsDocument, names: Names): string[] {
  const lines = failingLines(reasons);
  for (const one of reasons.absences) lines.push(...absenceLines(one, names));
  return lines;
}

/** The literals that hold, and those that do not, with why. */
export function failingLines({ failing, holding, isShortest }: FailingDocument): string[] {
  const lines = holding.map((one) => `holds: ${one}`);
  for (const { literal, why, there } of failing)
    lines.push(`fails: ${failureText(literal, why, there)}`);
  if (!isShortest) lines.push('fewer may do: not all choices were tried');
  return lines;
}

function failureText(
  literal: string,
  why: FailingDocument['failing'][number]['why'],
  there: string | undefined,
): string {
  if (there !== undefined) {
    return literal === `not ${there}` ? `${literal}: it is there` : `${literal}: there is ${there}`;
  }
  if (why === 'missing') return `${literal}: no such row`;
  return why === 'unbound' ? `${literal}: not known without the others` : literal;
}

export function absenceLines(absence: AbsenceDocument, names: Names): string[] {
  const { table, facts, rulesLeft } = absence;
  const lines = [`no row ${absence.row}`];
  for (const failure of absence.failures) {
    lines.push(...ruleFailureLines(absence, failure, names).map((line) => INDENT + line));
  }
  if (rulesLeft > 0n) lines.push(`${INDENT}and ${rulesLeft} rules at which nobody looked`);
  if (facts > 0n) {
    lines.push(
      `${INDENT}it is not ${facts === 1n ? 'the fact' : `one of the ${facts} facts`} of the text`,
    );
  } else if (absence.failures.length === 0 && rulesLeft === 0n) {
    lines.push(`${INDENT}no rule gives rows to ${names.table(table)}`);
  }
  for (const row of absence.near) lines.push(`${INDENT}there is ${names.row(table, row)}`);
  return lines;
}

function ruleFailureLines(
  { rules }: AbsenceDocument,
  failure: RuleFailureDocument,
  names: Names,
): string[] {
  const rule = ruleText(rules[Number(failure.rule)], names);
  if (failure.kind === 'head') {
    return [rule, `${INDENT}its head has another value in column ${failure.column + 1n}`];
  }
  if (failure.kind === 'body') return [rule, ...failingLines(failure).map((line) => INDENT + line)];
  const found = failure.found.map((row) => row.map((value) => names.value(value)).join(', '));
  return [rule, ...found.map((row) => `${INDENT}gives (${row}) instead`)];
}
