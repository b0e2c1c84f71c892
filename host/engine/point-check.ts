/** Whether a table has a row: a call without a query, a plan or a turn of the event loop. */
import { tableKey } from '../compiler/stratified.ts';
import type { TableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import type { Value } from '../value/value.ts';
import type { CheckArea } from './check-area.ts';
import type { Core } from './core.ts';
import { outOfMemory } from './core.ts';
import type { PointCheck } from './engine.ts';
import type { Binding, BoundRelation } from './relation-binding.ts';

const HAS_NOT = 0;
const NO_MEMORY = 2;

export class CorePointCheck implements PointCheck {
  readonly #table: TableKey;
  readonly #core: Core;
  readonly #area: CheckArea;
  readonly #bindingNow: () => Binding | undefined;
  #binding: Binding | undefined;
  #bound: BoundRelation | undefined;

  constructor(table: TableKey, core: Core, area: CheckArea, bindingNow: () => Binding | undefined) {
    this.#table = table;
    this.#core = core;
    this.#area = area;
    this.#bindingNow = bindingNow;
  }

  has(...values: readonly Value[]): boolean {
    const binding = this.#bindingNow();
    if (binding !== this.#binding) this.#bind(binding);
    const bound = this.#bound;
    if (bound === undefined) return false;
    if (values.length !== bound.relation.arity) throw wrongArity(bound, values.length);
    if (!this.#area.put(values)) return false;
    const found = this.#core.exports.hasRow(bound.handle);
    if (found === NO_MEMORY) throw outOfMemory();
    return found !== HAS_NOT;
  }

  #bind(binding: Binding | undefined): void {
    const bound = binding?.byName.get(this.#table);
    if (bound === undefined && binding !== undefined) refuseOnDemand(binding, this.#table);
    this.#bound = bound;
    this.#binding = binding;
  }
}

/** Such a table has no rows to look among: that it has none would be a wrong answer. */
function refuseOnDemand({ plan }: Binding, table: TableKey): void {
  for (const index of plan.onDemand ?? []) {
    const known = plan.program.tables[index];
    if (known === undefined || tableKey(known) !== table) continue;
    throw new CaucusError('invalid_request', `\`${table}\` is \`on demand\`: it keeps no rows`, {
      remedy: 'ask with a query, or declare the table without `on demand`',
    });
  }
}

function wrongArity({ relation }: BoundRelation, found: number): CaucusError {
  const message = `a row of \`${relation.name}\` has ${relation.arity} values, not ${found}`;
  return new CaucusError('invalid_row', message, { remedy: 'give a value for each column' });
}
