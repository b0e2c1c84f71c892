/**
 * A history: what happened in a run, one JSON object a line, in the order in which the recorder saw
 * it. The simulation writes one, and so do runs of real processes; the checkers of
 * `test/simulation/checkers` read both.
 *
 * Rows are texts (`rowKey` of `test/oracle/row-set.ts`): equal rows, equal texts. Tables are keys,
 * `owner:name`. Times are milliseconds since the run began, by the recorder's clock; nothing is
 * concluded from them but in reading a history.
 *
 * | event | says |
 * |---|---|
 * | `run` | the first line: which run |
 * | `node` | a process started, became live, was paused, crashed, ended, or gave up with a code |
 * | `commit` | a replica has come to a revision: its digest |
 * | `state` | all rows and births of a replica at a revision (now and then, and at the end) |
 * | `invoke` | a client asks a node for something |
 * | `ok` | the answer to it |
 * | `error` | the error to it; `unknown`: there was no answer, it may be done or not |
 * | `view` | a client's copy of a query: its snapshot, then what changed, then its end |
 * | `publish` | a driver's batch: which rows, under which generation |
 * | `fault` | what was done to the run |
 * | `truncation` | the log was made to lose acknowledged records |
| `outside` | at the end: what the rows of a driven table have to come to |
| `record` | at the end: what the log holds |
 * | `end` | the last line: whether everything came to rest after the faults were over |
 */

export interface RunEvent {
  readonly event: 'run';
  readonly seed: number;
  readonly nodes: readonly string[];
  /** Switches and parameters, for people. */
  readonly note: string;
}

export interface NodeEvent {
  readonly event: 'node';
  readonly atMs: number;
  readonly node: string;
  /** Counts its starts. */
  readonly run: number;
  readonly what:
    | 'started'
    | 'live'
    | 'paused'
    | 'resumed'
    | 'crashed'
    | 'stopped'
    | 'problem'
    | 'failed';
  /** Of `problem` and `failed` (it cannot go on): the error's code. */
  readonly code?: string;
  readonly message?: string;
}

export interface CommitEvent {
  readonly event: 'commit';
  readonly atMs: number;
  readonly node: string;
  readonly run: number;
  readonly revision: number;
  readonly digest: string;
}

export interface StateEvent {
  readonly event: 'state';
  readonly atMs: number;
  readonly node: string;
  readonly run: number;
  readonly revision: number;
  readonly digest: string;
  /** Sorted rows by table; empty tables may be left out. */
  readonly tables: Readonly<Record<string, readonly string[]>>;
  /** `execute` rows, each with the revision at which it appeared; null: not asked for. */
  readonly births: Readonly<Record<string, readonly (readonly [string, number])[]>> | null;
}

export interface BatchCall {
  readonly kind: 'batch';
  readonly source: string;
  /** Idempotency key; the same key comes with the same rows. */
  readonly id: string | null;
  readonly snapshot: boolean;
  readonly changes: readonly {
    readonly table: string;
    readonly replace: boolean;
    readonly insert: readonly string[];
    readonly delete: readonly string[];
  }[];
}

export interface PolicyCall {
  readonly kind: 'policy';
  readonly writes: readonly { readonly name: string; readonly text: string | null }[];
}

export interface QueryCall {
  readonly kind: 'query';
  readonly query: string;
  readonly consistency: 'any' | 'latest' | 'atLeast' | 'exact';
  /** With `atLeast` and `exact`. */
  readonly token: string | null;
}

export interface OpenCall {
  readonly kind: 'open';
  readonly query: string;
  /** Its copy, which goes on under the same number after a reconnection. */
  readonly view: number;
  readonly from: string | null;
}

export type Call = BatchCall | PolicyCall | QueryCall | OpenCall;

export interface InvokeEvent {
  readonly event: 'invoke';
  readonly atMs: number;
  readonly client: string;
  readonly op: number;
  readonly node: string;
  readonly call: Call;
}

export interface OkEvent {
  readonly event: 'ok';
  readonly atMs: number;
  readonly client: string;
  readonly op: number;
  readonly revision: number;
  readonly token: string;
  /** Of queries. */
  readonly rows?: readonly string[];
  /** A policy change that is stored and not judged yet. */
  readonly isPending?: boolean;
}

export interface ErrorEvent {
  readonly event: 'error';
  readonly atMs: number;
  readonly client: string;
  readonly op: number;
  readonly code: string;
  readonly message: string;
}

export interface ViewEvent {
  readonly event: 'view';
  readonly atMs: number;
  readonly client: string;
  readonly view: number;
  readonly node: string;
  readonly what: 'snapshot' | 'delta' | 'resumed' | 'at' | 'end';
  readonly query: string;
  readonly revision: number;
  readonly insert: readonly string[];
  readonly delete: readonly string[];
}

export interface PublishEvent {
  readonly event: 'publish';
  readonly atMs: number;
  readonly node: string;
  readonly source: string;
  readonly owner: string;
  /** Where it became visible; null: that is not known. */
  readonly revision: number | null;
  readonly replace: boolean;
  readonly changes: BatchCall['changes'];
}

export interface FaultEvent {
  readonly event: 'fault';
  readonly atMs: number;
  readonly what: string;
}

export interface TruncationEvent {
  readonly event: 'truncation';
  readonly atMs: number;
  readonly topic: string;
  /** Records from here on were lost. */
  readonly end: number;
  readonly length: number;
  /** Whoever has read them learns it from the log (by leader epochs, say). */
  readonly isTold: boolean;
}

export interface OutsideEvent {
  readonly event: 'outside';
  readonly source: string;
  readonly table: string;
  /** Key and number of each row; drivers put their tag between them. */
  readonly rows: readonly string[];
}

export interface RecordEvent {
  readonly event: 'record';
  readonly topic: string;
  readonly offset: number;
  readonly appendTimeMs: number;
  /** Base64. */
  readonly bytes: string;
}

export interface EndEvent {
  readonly event: 'end';
  readonly atMs: number;
  /** All nodes are live at the newest revision. */
  readonly isAtRest: boolean;
  readonly note: string;
}

export type HistoryEvent =
  | RunEvent
  | NodeEvent
  | CommitEvent
  | StateEvent
  | InvokeEvent
  | OkEvent
  | ErrorEvent
  | ViewEvent
  | PublishEvent
  | FaultEvent
  | TruncationEvent
  | OutsideEvent
  | RecordEvent
  | EndEvent;

export type History = readonly HistoryEvent[];

export function historyLines(history: History): string {
  return history.map((event) => `${JSON.stringify(event)}\n`).join('');
}

export function parseHistory(text: string): HistoryEvent[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as HistoryEvent);
}
