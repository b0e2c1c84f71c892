/** I2: what one batch wrote into two tables is never seen apart. */
import type { History } from '../../support/history.ts';
import type { Violation } from './violation.ts';

/** Every batch that touches a row of one of a pair touches it in the other, too. */
const PAIRS = [
  ['app:left', 'app:right'],
  ['drv:item', 'drv:twin'],
] as const;
/** Queries for a row of one without its twin. */
const TORN = ['app:left(x), not app:right(x)', 'drv:item(k, g, n), not drv:twin(k, g, n)'];
const TORN_TABLE = 'pairs:torn(x)';

export function checkAtomicity(history: History): Violation[] {
  const violations: Violation[] = [];
  const torn = (where: string, rows: readonly string[]): void => {
    if (rows.length === 0) return;
    violations.push({ invariant: 'I2', message: `${where}: ${rows.join(' ')}` });
  };
  const queries = new Map<string, string>();
  for (const event of history) {
    if (event.event === 'invoke' && event.call.kind === 'query') {
      queries.set(`${event.client} ${event.op}`, event.call.query);
    }
    if (event.event === 'ok' && event.rows !== undefined) {
      const query = queries.get(`${event.client} ${event.op}`) ?? '';
      const where = `${event.client} ${event.op}: \`${query}\` at revision ${event.revision}`;
      if (TORN.includes(query) || query === TORN_TABLE) torn(where, event.rows);
    }
    if (event.event === 'view' && (TORN.includes(event.query) || event.query === TORN_TABLE)) {
      torn(`${event.client}: view \`${event.query}\` at ${event.revision}`, event.insert);
    }
    if (event.event !== 'state') continue;
    for (const [one, other] of PAIRS) {
      const [rows, twins] = [event.tables[one] ?? [], event.tables[other] ?? []];
      const apart = [
        ...rows.filter((row) => !twins.includes(row)),
        ...twins.filter((row) => !rows.includes(row)),
      ];
      torn(`${event.node} at revision ${event.revision}: \`${one}\` and \`${other}\``, apart);
    }
  }
  return violations;
}
