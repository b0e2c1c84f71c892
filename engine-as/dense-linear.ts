/*
 * The closure p(x, z) :- p(x, y), p(y, z) of the rows that a table begins with is that of
 * p(x, z) :- p(x, y), b(y, z) with those rows as b: each path is found by its last edge, and not by
 * every place at which it can be cut (cf. Ioannidis and Wong, "Transforming nonlinear recursion
 * into linear recursion", 1988). So it is where no other rule of the component derives rows, and
 * where ranks, which tell how long derivations are, do not matter.
 */
import { RELATION_RANKED } from './abi';
import {
  DENSE_BITS,
  DENSE_EMIT_ROW,
  DENSE_LIST,
  DENSE_ROWS,
  DenseList,
  DensePlan,
  DenseTable,
  denseVersionAt,
  DenseVersion,
  listAt,
  needBit,
  operationAt,
  tableAt,
} from './dense-plan';

/** Column 0 of what is looked up follows column 1 of what drives, or the other way round. */
function isComposition(version: DenseVersion, table: DenseTable, drivenBy: u32): bool {
  if (version.count != 3 || version.constantCount != 0) return false;
  const rows = operationAt(version, 0);
  const bits = operationAt(version, 1);
  const end = operationAt(version, 2);
  return (
    rows.kind == DENSE_ROWS &&
    rows.index == drivenBy &&
    bits.kind == DENSE_BITS &&
    changetype<usize>(bits.table) == changetype<usize>(table) &&
    bits.index == 1 - drivenBy &&
    bits.key == rows.output &&
    end.kind == DENSE_EMIT_ROW &&
    end.addsTail &&
    end.headIndex == drivenBy &&
    end.headRow == bits.output
  );
}

/** Makes the rounds of a closure by itself those of its linear form; of other plans nothing. */
export function linearize(plan: DensePlan): void {
  if (plan.tableCount != 1 || plan.versionCount != 2 || plan.listCount != 0) return;
  const table = tableAt(plan, 0);
  const relation = table.relation;
  if (!relation.fresh || (relation.flags & RELATION_RANKED) != 0) return;
  let byLast: u32 = 0;
  if (!isComposition(denseVersionAt(plan, 0), table, 1)) byLast = 1;
  const version = denseVersionAt(plan, byLast);
  if (!isComposition(version, table, 1)) return;
  if (!isComposition(denseVersionAt(plan, 1 - byLast), table, 0)) return;
  if (byLast == 1) {
    memory.copy(plan.versions, changetype<usize>(version) as u32, offsetof<DenseVersion>());
  }
  plan.versionCount = 1;
  // No other list stands yet, so its rows are those that the table begins with.
  const list: DenseList = listAt(plan, 0);
  plan.listCount = 1;
  list.relation = relation;
  list.keyColumn = 0;
  list.valueColumn = 1;
  const op = operationAt(denseVersionAt(plan, 0), 1);
  op.kind = DENSE_LIST;
  op.list = list;
  table.main = 1;
  table.needsAll = 0;
  table.needsRecent = needBit(1);
  table.needsNext = needBit(1);
}
