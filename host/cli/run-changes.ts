/**
 * `caucus run --updates FILE --explain-changes`: beside each row that came or went the changed rows
 * that it rests on. What went is explained by the state before, so each batch is computed twice:
 * first to know what will change.
 */
import type { Plan } from '../compiler/plan.ts';
import type { Engine, TableChange, TableDelta, TransactionResult } from '../engine/engine.ts';
import { Changes, causesOf } from '../explain/causes.ts';
import type { Causes, ChangedRow, Sign } from '../explain/causes.ts';
import { Evidence } from '../explain/evidence.ts';
import { ExplanationText } from '../explain/text.ts';
import { CHANGES_EXPLAINED_MAX } from '../limits.ts';
import { stringifyJson } from '../value/json.ts';
import type { NamedTable } from './table-names.ts';
import type { Terminal } from './terminal.ts';

export interface ChangeExplainerOptions {
  readonly engine: Engine;
  /** Watches all tables. */
  readonly plan: Plan;
  /** Whose tables need no owner. */
  readonly policy: string;
  readonly shown: readonly NamedTable[];
  readonly terminal: Terminal;
}

interface ExplainedChange extends ChangedRow, Causes {}

export class ChangeExplainer {
  readonly #options: ChangeExplainerOptions;
  #batch = 0;

  constructor(options: ChangeExplainerOptions) {
    this.#options = options;
  }

  /** The result of the transaction; explanations are printed when it is done. */
  async transact(changes: readonly TableChange[]): Promise<TransactionResult> {
    const { engine } = this.#options;
    this.#batch++;
    const rehearsal = await engine.transact({ changes, dryRun: true });
    if (!rehearsal.ok) return rehearsal;
    const all = new Changes(rehearsal.deltas);
    const gone = await this.#explain(all, '-', CHANGES_EXPLAINED_MAX);
    const result = await engine.transact({ changes });
    if (!result.ok) return result;
    const come = await this.#explain(all, '+', CHANGES_EXPLAINED_MAX - gone.length);
    this.#print([...gone, ...come], rehearsal.deltas);
    return result;
  }

  async #explain(all: Changes, sign: Sign, countMax: number): Promise<ExplainedChange[]> {
    const { engine, plan, shown } = this.#options;
    const evidence = new Evidence(engine, plan);
    const explained: ExplainedChange[] = [];
    for (const { key: table, defined } of shown) {
      if (!defined) continue;
      for (const row of all.rows(sign, table)) {
        if (explained.length >= countMax) return explained;
        const changed = { sign, table, row };
        explained.push({ ...changed, ...(await causesOf(evidence, all, changed)) });
      }
    }
    return explained;
  }

  #print(explained: readonly ExplainedChange[], deltas: readonly TableDelta[]): void {
    const { plan, policy, shown, terminal } = this.#options;
    const text = new ExplanationText(plan.program.tables, policy);
    const keys = new Set(shown.filter(({ defined }) => defined).map(({ key }) => key));
    const total = deltas
      .filter(({ table }) => keys.has(table))
      .reduce((sum, { insert, delete: remove }) => sum + insert.count + remove.count, 0);
    const left = total - explained.length;
    if (terminal.json) {
      const changes = explained.map(({ sign, table, row, causes, isCut }) => ({
        sign,
        table,
        row,
        causes: causes.map((cause) => ({ sign: cause.sign, table: cause.table, row: cause.row })),
        isCut,
      }));
      terminal.print(stringifyJson({ batch: BigInt(this.#batch), changes, left: BigInt(left) }));
      return;
    }
    terminal.print(`batch ${this.#batch}`);
    for (const { sign, table, row, causes, isCut } of explained) {
      terminal.print(`  ${sign} ${text.row(table, row)}`);
      for (const cause of causes) {
        terminal.print(`      ${cause.sign} ${text.row(cause.table, cause.row)}`);
      }
      if (isCut) terminal.print('      and more');
    }
    if (left > 0) terminal.print(`  and ${left} other changes`);
  }
}
