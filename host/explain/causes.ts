/**
 * What in a transaction made a row come or go: the changed rows that its proof rests on. Of a row
 * that came that is its proof afterwards, of one that went the proof before: both hold only
 * together with something that changed. The proof is followed through changed rows alone; a row
 * that was there before and after has nothing to do with it.
 *
 * A change by way of something absent (`not t(x)`), of a group or of a better value is told by the
 * changed row, and not followed further: its own proof is of the other state.
 */
import { matchHead, substitute } from './evidence.ts';
import type { Evidence, Pattern } from './evidence.ts';
import { prove, rowKey } from './proof.ts';
import type { ProofNode, RuleName } from './proof.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { TableDelta } from '../engine/engine.ts';
import { CAUSES_MAX, CHANGE_NODES_MAX } from '../limits.ts';
import { decodeRows } from '../value/row-block.ts';
import { sameValue } from '../value/value.ts';
import type { Row } from '../value/value.ts';

export type Sign = '+' | '-';

export interface ChangedRow {
  readonly sign: Sign;
  readonly table: TableKey;
  readonly row: Row;
}

export interface Causes {
  /** Distinct, in the order in which the proof names them. */
  readonly causes: readonly ChangedRow[];
  /** There are more, or the proof was not followed to its end. */
  readonly isCut: boolean;
}

/** All that changed in one transaction, of which all tables are watched. */
export class Changes {
  readonly #rows = new Map<string, readonly Row[]>();
  readonly #keys = new Map<string, ReadonlySet<string>>();

  constructor(deltas: readonly TableDelta[]) {
    for (const { table, insert, delete: remove } of deltas) {
      this.#rows.set(`+${table}`, decodeRows(insert));
      this.#rows.set(`-${table}`, decodeRows(remove));
    }
  }

  has({ sign, table, row }: ChangedRow): boolean {
    const name = sign + table;
    let keys = this.#keys.get(name);
    if (keys === undefined) {
      keys = new Set(this.rows(sign, table).map((one) => rowKey(table, one)));
      this.#keys.set(name, keys);
    }
    return keys.has(rowKey(table, row));
  }

  rows(sign: Sign, table: TableKey): readonly Row[] {
    return this.#rows.get(sign + table) ?? [];
  }

  like(sign: Sign, table: TableKey, pattern: Pattern): ChangedRow[] {
    return this.rows(sign, table)
      .filter((row) => isLike(row, pattern))
      .map((row) => ({ sign, table, row }));
  }
}

function isLike(row: Row, pattern: Pattern): boolean {
  return pattern.every((value, column) => {
    const other = row[column];
    return value === undefined || (other !== undefined && sameValue(value, other));
  });
}

/** `evidence` is of the state that has the row: after the transaction for `+`, before for `-`. */
export async function causesOf(
  evidence: Evidence,
  changes: Changes,
  { sign, table, row }: ChangedRow,
): Promise<Causes> {
  const isChanged = (key: TableKey, one: Row): boolean =>
    changes.has({ sign, table: key, row: one });
  const proof = await prove(evidence, table, row, {
    nodesMax: CHANGE_NODES_MAX,
    isOpen: isChanged,
  });
  const found = new Map<string, ChangedRow>();
  let isCut = proof === undefined;
  for (const node of proof?.nodes ?? []) {
    if (!isChanged(node.table, node.row)) continue;
    if (node.reason.kind === 'cut') isCut = true;
    for (const cause of causesOfNode(evidence, changes, sign, node)) {
      found.set(cause.sign + rowKey(cause.table, cause.row), cause);
    }
  }
  const causes = [...found.values()];
  return { causes: causes.slice(0, CAUSES_MAX), isCut: isCut || causes.length > CAUSES_MAX };
}

function causesOfNode(
  evidence: Evidence,
  changes: Changes,
  sign: Sign,
  { table, row, reason }: ProofNode,
): ChangedRow[] {
  const opposite = sign === '+' ? '-' : '+';
  switch (reason.kind) {
    case 'base':
    case 'system':
      return [{ sign, table, row }];
    case 'cut':
      return [];
    case 'aggregate':
      return [
        ...causesOfGroup(evidence, changes, reason.rule, { table, row }),
        ...causesOfBest(evidence, changes, opposite, table, row),
      ];
    case 'rule': {
      const absent = reason.body.flatMap((literal) =>
        literal.kind === 'absent' ? changes.like(opposite, literal.table, literal.row) : [],
      );
      // A fact of a text changes with the text only; of best values it may be the best one again.
      return [...absent, ...causesOfBest(evidence, changes, opposite, table, row)];
    }
  }
}

/** The other best row of the group: this one could be reached all along. */
function causesOfBest(
  evidence: Evidence,
  changes: Changes,
  opposite: Sign,
  table: TableKey,
  row: Row,
): ChangedRow[] {
  const index = evidence.find(table) ?? -1;
  const column = evidence.componentOf(index)?.best?.columns.get(index);
  if (column === undefined) return [];
  const group = row.map((value, at) => (at === column ? undefined : value));
  return changes.like(opposite, table, group);
}

/** Rows that came or went in what the aggregate may range over. */
function causesOfGroup(
  evidence: Evidence,
  changes: Changes,
  { policy, ordinal }: RuleName,
  { table, row }: Pick<ChangedRow, 'table' | 'row'>,
): ChangedRow[] {
  const rule = evidence
    .rulesOf(evidence.find(table) ?? -1)
    .find((one) => one.policy === policy && one.ordinal === ordinal);
  const known = rule === undefined ? undefined : matchHead(rule, row);
  if (rule === undefined || known === undefined) return [];
  return rule.body.flatMap((literal) => {
    if (literal.kind !== 'atom') return [];
    const { terms } = substitute(literal, known);
    const pattern = terms.map((term) => (term.kind === 'constant' ? term.value : undefined));
    const key = evidence.key(literal.table);
    return [...changes.like('+', key, pattern), ...changes.like('-', key, pattern)];
  });
}
