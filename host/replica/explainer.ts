/**
 * Explanations for clients. One is many small questions at one commit, with a turn of the event
 * loop every few of them. One that commits overtook as often as they may is waited for by the
 * next commit, like a query, but with a part of the effort only.
 */
import type { StratifiedQuery, Table } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import { Evidence } from '../explain/evidence.ts';
import { askedRow, explainAbsence, explainRow } from '../explain/explain-query.ts';
import type { PolicyTexts } from '../explain/program-index.ts';
import { EXPLAIN_HELD_PART, PROOF_NODES_DEFAULT, QUERY_RESTARTS_MAX } from '../limits.ts';
import type { LiveEngine, Running } from './live-engine.ts';
import type { QueryRunner } from './query-runner.ts';
import type { Explanation, ExplainRequest, WhyNotAnswer, WhyNotRequest } from './replica.ts';

export interface ExplainerOptions {
  readonly live: LiveEngine;
  readonly queries: QueryRunner;
  readonly texts: () => PolicyTexts;
  readonly yield: () => Promise<void>;
}

export class Explainer {
  readonly #options: ExplainerOptions;

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  async explain(request: ExplainRequest): Promise<Explanation> {
    const { nodesMax = PROOF_NODES_DEFAULT, depthMax } = request;
    const limits = { nodesMax, ...(depthMax === undefined ? {} : { depthMax }) };
    let attempt = 0;
    return await this.#options.queries.readAt(request, async (running) => {
      const query = this.#options.queries.bind(running, request.row, request.policy);
      const asked = askedRow(query, query.tables);
      if (asked === undefined) throw noRow(request.row);
      const evidence = this.#evidence(running, query, attempt++);
      const proof = await explainRow(evidence, asked, limits);
      return proof === undefined ? {} : { proof };
    });
  }

  async whyNot(request: WhyNotRequest): Promise<WhyNotAnswer> {
    let attempt = 0;
    return await this.#options.queries.readAt(request, async (running) => {
      const query = this.#options.queries.bind(running, request.query, request.policy);
      const reasons = await explainAbsence(this.#evidence(running, query, attempt++), query);
      return reasons === undefined ? {} : { reasons };
    });
  }

  #evidence(
    { plan }: Running,
    { tables }: StratifiedQuery & { readonly tables: readonly Table[] },
    attempt: number,
  ): Evidence {
    return new Evidence(this.#options.live.engine, plan, {
      tables,
      texts: this.#options.texts(),
      pause: this.#options.yield,
      part: attempt < QUERY_RESTARTS_MAX ? 1 : EXPLAIN_HELD_PART,
    });
  }
}

function noRow(text: string): CaucusError {
  return new CaucusError('invalid_request', `\`${text}\` is no row of a table`, {
    remedy: 'write a table with constants, and `_` for any value, as in `p("a", _)`',
  });
}
