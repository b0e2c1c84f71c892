/** Questions of clients: which revision they may see, compiled once, answered by the engine. */
import type { Plan, QueryPlan } from '../compiler/plan.ts';
import type { QueryTemplate } from '../compiler/query-template.ts';
import { compileQuery } from '../compiler/query.ts';
import { CaucusError } from '../errors.ts';
import { QUERY_ROWS_MAX, QUERY_STEPS_MAX, WAIT_MS_DEFAULT, WAIT_MS_MAX } from '../limits.ts';
import { emptyBlock } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { failedTableOf } from './failures.ts';
import type { Failures } from './failures.ts';
import type { LiveEngine, Running } from './live-engine.ts';
import { groundCheck } from './ground-check.ts';
import type { GroundCheck } from './ground-check.ts';
import { QueryBinder, policyFailed } from './planner.ts';
import type { CompiledQuery } from './planner.ts';
import { invalidPolicy } from './program.ts';
import type { Compiled } from './program.ts';
import { QueryCache } from './query-cache.ts';
import type { FreshQuery } from './query-cache.ts';
import type { Consistency, Position, QueryAnswer, QueryRequest } from './replica.ts';
import type { RevisionWaiters } from './revision-waiters.ts';
import { decodeRevision, decodeToken } from './token.ts';
import type { ViewEntry } from './view-registry.ts';
import { keyQuery } from './view-shape.ts';

export interface QueryRunnerOptions {
  /** It changes with a fork of the log. */
  readonly logId: () => string;
  readonly live: LiveEngine;
  readonly lowerQuery: (plan: Plan, query: CompiledQuery) => QueryPlan;
  readonly waiters: RevisionWaiters;
  /** Resolves when the policy change of this version has its verdict; else `replica_behind`. */
  readonly versionReached: (version: number, waitMs: number) => Promise<void>;
  readonly compiled: () => Compiled;
  readonly position: () => Position;
  /** The revision of the newest cut in the log. */
  readonly newestRevision: () => Promise<number>;
}

export class QueryRunner {
  readonly #options: QueryRunnerOptions;
  readonly #cache = new QueryCache();
  /** Of questions for one row; undefined: the question is another one. */
  readonly #checks = new WeakMap<QueryTemplate<CompiledQuery>, GroundCheck | undefined>();

  constructor(options: QueryRunnerOptions) {
    this.#options = options;
  }

  async query(request: QueryRequest): Promise<QueryAnswer> {
    return await this.readAt(request, async (running) => {
      const { query: text, policy, rowsMax = QUERY_ROWS_MAX } = request;
      const { template, values } = this.#cache.prepare(running.generation, policy, text, () =>
        this.#compile(running, text, policy),
      );
      const { columns } = template.query;
      const check = this.#checkOf(running, template);
      if (check !== undefined && rowsMax > 0) {
        const rows = { ...emptyBlock(0), count: Number(check.has(values)) };
        return { columns, rows, truncated: false };
      }
      const plan = template.planWith(values);
      const options = { rowsMax, stepsMax: QUERY_STEPS_MAX };
      const { rows, truncated } = await this.#options.live.engine.query(plan, options);
      return { columns, rows, truncated };
    });
  }

  /** Runs a job that reads the engine at one commit, which is one that the request may see. */
  async readAt<T extends object>(
    { consistency, waitMs }: Pick<QueryRequest, 'consistency' | 'waitMs'>,
    job: (running: Running) => Promise<T>,
  ): Promise<T & Position> {
    const { live, position } = this.#options;
    const exact = await this.settle(consistency, waitMs);
    return await live.read(async (running) => {
      const at = position();
      if (exact !== undefined && at.revision !== exact) throw expired(exact, at.revision);
      return { ...(await job(running)), ...at };
    });
  }

  /** As the running plan numbers its tables. */
  bind({ tables, failures }: Running, text: string, policy: string | undefined): CompiledQuery {
    const query = this.compile(this.#options.compiled(), failures, text, policy);
    return new QueryBinder(tables).bind(query);
  }

  /**
   * Waits until the state is new enough; the revision that it must be exactly, if one was named.
   */
  async settle(consistency: Consistency = 'any', waitMs?: number): Promise<number | undefined> {
    if (consistency === 'any') return undefined;
    if (consistency === 'latest') {
      await this.waitFor(await this.#options.newestRevision(), waitMs);
      return undefined;
    }
    const { logId, position, versionReached } = this.#options;
    if ('exact' in consistency) {
      const revision = decodeRevision(logId(), consistency.exact);
      const { revision: current } = position();
      if (revision < current) throw expired(revision, current);
      await this.waitFor(revision, waitMs);
      return revision;
    }
    const point = decodeToken(logId(), consistency.atLeast);
    if ('revision' in point) await this.waitFor(point.revision, waitMs);
    else await versionReached(point.policyVersion, boundedWait(waitMs));
    return undefined;
  }

  async waitFor(revision: number, waitMs?: number): Promise<void> {
    const { position, waiters } = this.#options;
    if (position().revision >= revision) return;
    await waiters.wait(revision, boundedWait(waitMs), () => {
      const current = position().revision;
      return new CaucusError(
        'replica_behind',
        `this replica is at revision ${current}, not ${revision}`,
        {
          remedy: 'ask another replica, or again in a moment',
          details: { revision: current, wanted: revision },
        },
      );
    });
  }

  /** Names resolved, checked against failures. Throws what is wrong with the text. */
  compile(
    compiled: Compiled,
    failures: Failures,
    text: string,
    policy: string | undefined,
    areParameters = false,
  ): CompiledQuery & Pick<FreshQuery, 'parameters'> {
    const failedPolicy = policy === undefined ? undefined : failures.policies.get(policy);
    if (policy !== undefined && failedPolicy?.code === 'invalid_policy') {
      throw policyFailed({ policy, table: `${policy}:`, code: failedPolicy.code });
    }
    const options = { areParameters, ...(policy === undefined ? {} : { policy }) };
    const { query, diagnostics } = compileQuery(compiled.program, compiled.catalog, text, options);
    if (query === undefined) {
      // A policy that no longer compiles has no tables: say that, not that the name is unknown.
      for (const [name, { code }] of failures.policies) {
        if (code !== 'invalid_policy' || !text.includes(`${name}:`)) continue;
        throw policyFailed({ policy: name, table: `${name}:`, code });
      }
      throw invalidPolicy('the query', diagnostics);
    }
    const failed = failedTableOf(query, failures);
    if (failed !== undefined) throw policyFailed(failed);
    return query;
  }

  /** The rows of a view; inside the engine's queue. */
  async viewRows({ table, shape, constants }: ViewEntry): Promise<RowBlock> {
    const { live, lowerQuery } = this.#options;
    if (shape === undefined) return await live.engine.rows(table);
    const plan = lowerQuery(live.running.plan, keyQuery(shape, constants));
    return (await live.engine.query(plan)).rows;
  }

  #compile(running: Running, text: string, policy: string | undefined): FreshQuery {
    const query = this.compile(this.#options.compiled(), running.failures, text, policy, true);
    const bound = new QueryBinder(running.tables).bind(query);
    const plan = this.#options.lowerQuery(running.plan, bound);
    return { query: bound, plan, parameters: query.parameters };
  }

  #checkOf(running: Running, template: QueryTemplate<CompiledQuery>): GroundCheck | undefined {
    if (this.#checks.has(template)) return this.#checks.get(template);
    const check = groundCheck(running.plan, this.#options.live.engine, template.query);
    this.#checks.set(template, check);
    return check;
  }
}

function boundedWait(waitMs = WAIT_MS_DEFAULT): number {
  return Math.min(waitMs, WAIT_MS_MAX);
}

function expired(wanted: number, current: number): CaucusError {
  return new CaucusError('revision_expired', `revision ${wanted} is no longer held`, {
    remedy: 'ask with `atLeast`: only the newest revision can be asked for exactly',
    details: { wanted, revision: current },
  });
}
