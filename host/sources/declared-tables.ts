/**
 * What policies declare of a source's tables, for writers that have no replica: rows that do not
 * fit are refused before the log, with the table, row and column that is wrong.
 *
 * The policies are those that the database has as accepted. It follows the topic by a moment, so
 * this check is early, not decisive: what it lets through and does not fit is left out by the fold,
 * and what it refuses by a declaration that is just going is told again by its driver. Without an
 * answer of the database, the declarations stay as they were last known.
 */
import { CaucusError } from '../errors.ts';
import { DECLARATIONS_RETRY_MS } from '../limits.ts';
import type { RecordChange } from '../log/records.ts';
import { declaredShapes } from '../replica/program.ts';
import { checkDecodedRows } from '../replica/row-check.ts';
import type { TableShape } from '../replica/row-check.ts';
import type { ProposalState, Store, StoredPolicy } from '../store/store.ts';
import type { PolicyFollower } from './policy-follower.ts';
import type { Wait } from './topic-tail.ts';

export interface DeclaredTablesOptions {
  readonly store: Pick<Store, 'policies' | 'proposal'>;
  readonly policies: Pick<PolicyFollower, 'version' | 'sources' | 'changed'>;
  readonly wait: Wait;
  /** What is no matter of the database. */
  readonly onProblem: (error: unknown) => void;
}

const JUDGED: ReadonlySet<ProposalState> = new Set(['accepted', 'rejected', 'superseded']);

export class DeclaredTables {
  readonly #options: DeclaredTablesOptions;
  /** Of the policies that were compiled last, each with its version. */
  #compiled = '';
  #shapes: ReadonlyMap<string, TableShape> = new Map();

  constructor(options: DeclaredTablesOptions) {
    this.#options = options;
  }

  /** Keeps up with the policy topic until the signal aborts; never rejects. */
  async follow(signal: AbortSignal): Promise<void> {
    const { policies, wait } = this.#options;
    while (!signal.aborted) {
      const { version } = policies;
      if (!(await this.refresh())) await wait(DECLARATIONS_RETRY_MS, signal);
      else await policies.changed(version, signal);
    }
  }

  /** False where the database does not answer, or has no verdict of the newest change yet. */
  async refresh(): Promise<boolean> {
    const { store, policies, onProblem } = this.#options;
    const { version } = policies;
    try {
      const newest = version === 0 ? undefined : await store.proposal(version);
      this.#take(await store.policies());
      return version === 0 || (newest !== undefined && JUDGED.has(newest.state));
    } catch (error) {
      if (!(error instanceof CaucusError)) onProblem(error);
      return false;
    }
  }

  /** Throws `invalid_row` for the first row that does not fit, with its index in the details. */
  check(source: string, changes: readonly RecordChange[]): void {
    const arities = new Map<string, number>();
    for (const { table, insert, delete: removed } of changes) {
      const key = `${source}:${table}`;
      const shape = this.#shapes.get(key);
      for (const block of [removed, insert]) {
        if (block === undefined || block.count === 0) continue;
        const arity = arities.get(table) ?? block.arity;
        checkDecodedRows(key, shape ?? { arity }, block);
        arities.set(table, arity);
      }
    }
  }

  #take(stored: readonly StoredPolicy[]): void {
    const key = stored.map(({ name, version }) => `${name}\n${version}`).join('\n');
    if (key === this.#compiled) return;
    this.#shapes = declaredShapes(stored, [...this.#options.policies.sources.keys()]);
    this.#compiled = key;
  }
}
