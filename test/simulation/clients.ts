/**
 * Simulated clients: each writes, asks, subscribes and remembers the newest token it was shown.
 * What it asks for and what it was answered goes into the history.
 */
import type { Consistency, Position, PolicyPosition } from '../../host/replica/replica.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import type { BatchCall, Call, HistoryEvent, PolicyCall } from '../support/history.ts';
import type { Random } from '../support/random.ts';
import type { Lane, Scheduler } from './scheduler.ts';
import { codeOf, Gone, rowsOf } from './sim-node.ts';
import type { SimNode } from './sim-node.ts';
import {
  appBatch,
  firstRows,
  netBatch,
  policyWrites,
  QUERIES,
  rowChangeTexts,
  tableChanges,
} from './world.ts';
import type { Rows } from './world.ts';

/** Mechanisms that a negative control takes from the clients. */
export interface ClientSwitches {
  /** Each table of a batch is written by itself. */
  readonly tearsBatches: boolean;
  /** Tokens are not waited for. */
  readonly ignoresTokens: boolean;
}

export interface ClientParts {
  readonly scheduler: Scheduler;
  readonly nodes: readonly SimNode[];
  readonly random: Random;
  readonly record: (event: HistoryEvent) => void;
  readonly switches: ClientSwitches;
  /** Between two operations, at most. */
  readonly thinkMs: number;
}

/** A client gives up after so long. */
const REQUEST_MS = 8_000;
/** A repeated batch is tried so often. */
const TRIES = 6;

export class Client {
  readonly name: string;
  readonly #parts: ClientParts;
  readonly #lane: Lane;
  /** Of the newest answer. */
  #token: string | undefined;
  #revision = 0;
  #ops = 0;
  #views = 0;
  #bodies = 0;

  constructor(name: string, parts: ClientParts) {
    this.name = name;
    this.#parts = parts;
    this.#lane = parts.scheduler.lane(name);
  }

  /** One batch a source, so that every table has its columns. */
  async prepare(): Promise<void> {
    for (const source of ['app', 'net'] as const) {
      const changes = firstRows(source);
      const batch = { source, changes, snapshot: false, id: 'first' };
      while (!(await this.#writeRepeated(batch)));
    }
  }

  async run(operations: number): Promise<void> {
    const { random, thinkMs } = this.#parts;
    for (let count = 0; count < operations; count++) {
      await this.#lane.sleep(random.next() * thinkMs);
      const choice = random.next();
      if (choice < 0.42) await this.#write();
      else if (choice < 0.55) await this.#changePolicies();
      else if (choice < 0.9) await this.#query();
      else void this.#follow();
    }
  }

  async #write(): Promise<void> {
    const { random } = this.#parts;
    const op = this.#ops;
    const key = random.chance(0.7) ? `${this.name}-${this.#bodies++}` : null;
    const batch = random.chance(0.7)
      ? { source: 'app', changes: appBatch(random, this.name, op), snapshot: false }
      : { source: 'net', ...netBatch(random) };
    const isAgain = key !== null && random.chance(0.2);
    await this.#writeRepeated({ ...batch, id: key });
    // The same batch once more, wherever: it must get the first answer.
    if (isAgain) await this.#writeRepeated({ ...batch, id: key });
  }

  /** A batch with an id is repeated until it is answered. */
  async #writeRepeated(batch: {
    readonly source: string;
    readonly changes: readonly Rows[];
    readonly snapshot: boolean;
    readonly id: string | null;
  }): Promise<boolean> {
    const { switches, random } = this.#parts;
    const { source, snapshot, changes } = batch;
    const call: BatchCall = {
      kind: 'batch',
      source,
      snapshot,
      id: batch.id,
      changes: rowChangeTexts(changes),
    };
    const id =
      batch.id === null ? {} : { id: { key: batch.id, bodyDigest: `digest of ${batch.id}` } };
    const write = async (replica: LocalReplica): Promise<Position> => {
      if (!switches.tearsBatches || snapshot || changes.length < 2) {
        const written = { source, changes: tableChanges(changes), snapshot, ...id };
        return await replica.writeBatch(written);
      }
      let position: Position | undefined;
      for (const change of changes) {
        position = await replica.writeBatch({ source, changes: tableChanges([change]) });
      }
      return position as Position;
    };
    for (let tries = 0; tries < TRIES; tries++) {
      const answer = await this.#call(call, write, ({ revision, token }) => ({ revision, token }));
      if (answer !== undefined) return true;
      if (batch.id === null) return false;
      await this.#lane.sleep(random.next() * 300);
    }
    return false;
  }

  async #changePolicies(): Promise<void> {
    const writes = policyWrites(this.#parts.random);
    const call: PolicyCall = { kind: 'policy', writes };
    await this.#call(
      call,
      (replica) => replica.writePolicies(writes),
      ({ revision, token, pending }: PolicyPosition) => ({
        revision,
        token,
        ...(pending === true ? { isPending: true } : {}),
      }),
    );
  }

  async #query(): Promise<void> {
    const { random, switches } = this.#parts;
    const query = random.pick(QUERIES);
    const choice = random.next();
    const token = this.#token;
    let consistency: Consistency = 'any';
    if (token !== undefined && choice < 0.6) consistency = { atLeast: token };
    else if (choice < 0.75) consistency = 'latest';
    else if (token !== undefined && choice < 0.8) consistency = { exact: token };
    const call: Call = {
      kind: 'query',
      query,
      consistency: typeof consistency === 'string' ? consistency : kindOf(consistency),
      token: typeof consistency === 'string' ? null : (token ?? null),
    };
    const asked = switches.ignoresTokens ? 'any' : consistency;
    await this.#call(
      call,
      (replica) => replica.query({ query, consistency: asked, waitMs: 200 + random.int(2000) }),
      ({ rows, revision, token: shown }) => ({ revision, token: shown, rows: rowsOf(rows) }),
    );
  }

  /** Keeps a copy of a query, over reconnections, for a while. */
  async #follow(): Promise<void> {
    const { random } = this.#parts;
    const query = random.pick(QUERIES);
    const view = this.#views++;
    let from: string | undefined;
    for (let sessions = 1 + random.int(3); sessions > 0; sessions--) {
      const node = this.#node();
      const call: Call = { kind: 'open', query, view, from: from ?? null };
      const session = await this.#call(
        call,
        async (replica) => this.#subscribe(replica, node, { query, view, from }),
        ({ token, revision }) => ({ token, revision }),
        node,
      );
      if (session === undefined) continue;
      await this.#lane.sleep(random.next() * 2_000);
      session.close();
      from = session.token;
    }
  }

  /** In the process that serves the view: what it would send is recorded. */
  async #subscribe(
    replica: LocalReplica,
    node: SimNode,
    { query, view, from }: { query: string; view: number; from: string | undefined },
  ): Promise<Session> {
    const { record, scheduler } = this.#parts;
    const { here } = node;
    const opened = await replica.openView(from === undefined ? { query } : { query, from });
    const session: Session = {
      token: opened.position.token,
      revision: opened.position.revision,
      close: () => undefined,
    };
    const told = (
      what: 'snapshot' | 'delta' | 'resumed' | 'at' | 'end',
      { revision, token }: Position,
      insert: readonly string[],
      removed: readonly string[],
    ): void => {
      session.token = token;
      session.revision = revision;
      const { name: client } = this;
      const atMs = this.#atMs();
      const base = { event: 'view', atMs, client, view, node: node.id, what, query } as const;
      record({ ...base, revision, insert, delete: removed });
    };
    if (opened.since === undefined) {
      told('snapshot', opened.position, rowsOf(opened.snapshot), []);
    } else {
      for (const delta of opened.since) {
        told('resumed', delta, rowsOf(delta.insert), rowsOf(delta.delete));
      }
      told('at', opened.position, [], []);
    }
    const offCommit = replica.onCommit((commit) => {
      const delta = commit.deltas.get(opened.table);
      if (delta === undefined) told('at', commit, [], []);
      else told('delta', commit, rowsOf(delta.insert), rowsOf(delta.delete));
    });
    const offLost = replica.onViewLost((table) => {
      if (table !== opened.table) return;
      session.close();
      told('end', { revision: session.revision, token: session.token }, [], []);
    });
    session.close = () => {
      session.close = () => undefined;
      offCommit();
      offLost();
      here.after(scheduler.latency(), () => opened.close());
    };
    return session;
  }

  /** Asks a node, with a bound on waiting, and writes down what came of it. */
  async #call<T>(
    call: Call,
    run: (replica: LocalReplica) => Promise<T>,
    answerOf: (answer: T) => {
      revision: number;
      token: string;
      rows?: string[];
      isPending?: boolean;
    },
    node = this.#node(),
  ): Promise<T | undefined> {
    const { record } = this.#parts;
    const op = this.#ops++;
    const { name: client } = this;
    record({ event: 'invoke', atMs: this.#atMs(), client, op, node: node.id, call });
    try {
      const answer = await this.#inTime(node.request(this.#lane, run));
      const shown = answerOf(answer);
      record({ event: 'ok', atMs: this.#atMs(), client, op, ...shown });
      // A pending change is newer than what was shown with it.
      if (shown.revision >= this.#revision || shown.isPending === true) {
        this.#token = shown.token;
        this.#revision = shown.revision;
      }
      return answer;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const code = codeOf(error);
      record({ event: 'error', atMs: this.#atMs(), client, op, code, message });
      return undefined;
    }
  }

  #inTime<T>(request: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#lane.after(REQUEST_MS, () => reject(new Gone()));
      request.then(
        (value) => {
          cancel();
          resolve(value);
        },
        (error: unknown) => {
          cancel();
          reject(error);
        },
      );
    });
  }

  #node(): SimNode {
    const { random, nodes } = this.#parts;
    return random.pick(nodes);
  }

  #atMs(): number {
    const { scheduler } = this.#parts;
    return Math.round((scheduler.nowMs - scheduler.startMs) * 1000) / 1000;
  }
}

interface Session {
  token: string;
  revision: number;
  close: () => void;
}

function kindOf(consistency: { atLeast: string } | { exact: string }): 'atLeast' | 'exact' {
  return 'atLeast' in consistency ? 'atLeast' : 'exact';
}
