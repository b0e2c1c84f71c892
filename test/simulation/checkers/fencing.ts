/**
 * I3: rows of a driver that was replaced are never seen again. Each start of a driver has a tag of
 * its own in its rows; a table shows one tag at a time, and none comes back. I4: in the end the
 * rows are those of the outside, whatever was lost on the way.
 */
import type { History, OutsideEvent } from '../../support/history.ts';
import type { Violation } from './violation.ts';

const TABLE = 'drv:item';
const QUERY = 'drv:item(k, g, n)';
/** A row of the table: key, tag, number. */
const ROW = /^(s\d+:\w+;)s\d+:([^;]+);(i\d+;)$/;

export function checkFencing(history: History): Violation[] {
  const violations: Violation[] = [];
  const seen = new Map<number, Set<string>>();
  const see = (revision: number, rows: readonly string[]): void => {
    const tags = new Set(rows.map((row) => ROW.exec(row)?.[2] ?? row));
    if (tags.size > 1) {
      const message = `revision ${revision} has rows of ${[...tags].join(' and ')}`;
      violations.push({ invariant: 'I3', message });
    }
    const known = seen.get(revision) ?? new Set();
    for (const tag of tags) known.add(tag);
    seen.set(revision, known);
  };
  const asked = new Set<string>();
  let last: { readonly revision: number; readonly rows: readonly string[] } | undefined;
  let outside: OutsideEvent | undefined;
  for (const event of history) {
    if (event.event === 'outside') outside = event;
    if (event.event === 'state') {
      const rows = event.tables[TABLE] ?? [];
      see(event.revision, rows);
      if (last === undefined || event.revision >= last.revision) {
        last = { revision: event.revision, rows };
      }
    }
    if (event.event === 'invoke' && event.call.kind === 'query' && event.call.query === QUERY) {
      asked.add(`${event.client} ${event.op}`);
    }
    if (event.event === 'ok' && asked.has(`${event.client} ${event.op}`)) {
      see(event.revision, event.rows ?? []);
    }
  }
  return [...violations, ...returned(seen), ...outsideProblem(last?.rows ?? [], outside)];
}

/** A tag that is seen after another one that came after it. */
function returned(seen: ReadonlyMap<number, ReadonlySet<string>>): Violation[] {
  const violations: Violation[] = [];
  const gone = new Set<string>();
  let current: string | undefined;
  for (const [revision, tags] of [...seen].sort((a, b) => a[0] - b[0])) {
    for (const tag of tags) {
      if (tag === current) continue;
      if (gone.has(tag)) {
        const message = `revision ${revision}: rows of ${tag} are back after those of ${current}`;
        violations.push({ invariant: 'I3', message });
      }
      if (current !== undefined) gone.add(current);
      current = tag;
    }
  }
  return violations;
}

function outsideProblem(rows: readonly string[], outside: OutsideEvent | undefined): Violation[] {
  if (outside === undefined) return [];
  const shown = rows.map((row) => row.replace(ROW, '$1$3')).sort();
  if (shown.join(' ') === outside.rows.join(' ')) return [];
  const wanted = outside.rows.join(' ');
  const message = `in the end \`${TABLE}\` is ${shown.join(' ')}, outside ${wanted}`;
  return [{ invariant: 'I4', message }];
}
