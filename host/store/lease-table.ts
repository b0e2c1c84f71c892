/**
 * The rules of leases. A row is changed only by a writer that has seen its `edit`, so of several
 * that saw one state one succeeds, and a statement that arrives late changes nothing. Each
 * statement is atomic by itself; no transaction is needed.
 *
 * The table has `name`, `owner`, `holder`, `generation`, `edit` and `ends_at_ms` (ms since the
 * epoch, by the clock of the database).
 */
import type { Lease } from './leases.ts';
import { all, numberOf, run, textOf } from './steps.ts';
import type { SqlRow, Steps } from './steps.ts';

export interface LeaseDialect {
  readonly leases: string;
  /** An expression for the time, ms since the epoch. */
  readonly now: () => string;
  /** Inserts without an error if the name is there already. */
  readonly insertIgnore: string;
}

export class LeaseTable {
  readonly #dialect: LeaseDialect;

  constructor(dialect: LeaseDialect) {
    this.#dialect = dialect;
  }

  *takeLease(name: string, owner: string, holder: string, ttlMs: number): Steps<Lease> {
    const { leases, now, insertIgnore } = this.#dialect;
    for (;;) {
      const [row] = yield* this.#rows('WHERE name = ?', name);
      if (row === undefined) {
        yield* run(
          `${insertIgnore} INTO ${leases} (name, owner, holder, generation, edit, ends_at_ms)
           VALUES (?, ?, ?, 1, 1, ${now()} + ?)`,
          name,
          owner,
          holder,
          ttlMs,
        );
        // Whoever was first: the next look tells.
        continue;
      }
      const lease = leaseOf(row);
      if (lease.owner !== owner && lease.remainingMs > 0) return lease;
      const generation = lease.generation + (lease.owner === owner ? 0 : 1);
      const taken = yield* run(
        `UPDATE ${leases}
         SET owner = ?, holder = ?, generation = ?, edit = edit + 1, ends_at_ms = ${now()} + ?
         WHERE name = ? AND edit = ?`,
        owner,
        holder,
        generation,
        ttlMs,
        name,
        numberOf(row, 'edit'),
      );
      if (taken === 1) return { name, owner, holder, generation, remainingMs: ttlMs };
    }
  }

  *releaseLease(name: string, owner: string, generation: number): Steps<void> {
    const { leases, now } = this.#dialect;
    for (;;) {
      const [row] = yield* this.#rows('WHERE name = ?', name);
      if (row === undefined) return;
      const lease = leaseOf(row);
      if (lease.owner !== owner || lease.generation !== generation || lease.remainingMs <= 0)
        return;
      const released = yield* run(
        `UPDATE ${leases} SET edit = edit + 1, ends_at_ms = ${now()} WHERE name = ? AND edit = ?`,
        name,
        numberOf(row, 'edit'),
      );
      if (released === 1) return;
    }
  }

  *leases(): Steps<Lease[]> {
    return (yield* this.#rows('ORDER BY name')).map(leaseOf);
  }

  #rows(where: string, ...values: string[]): Steps<readonly SqlRow[]> {
    const { leases, now } = this.#dialect;
    return all(
      `SELECT name, owner, holder, generation, edit, ends_at_ms - ${now()} AS remaining_ms
       FROM ${leases} ${where}`,
      ...values,
    );
  }
}

function leaseOf(row: SqlRow): Lease {
  return {
    name: textOf(row, 'name'),
    owner: textOf(row, 'owner'),
    holder: textOf(row, 'holder'),
    generation: numberOf(row, 'generation'),
    remainingMs: numberOf(row, 'remaining_ms'),
  };
}
