/**
 * `caucus status`: whether a server is ready, what it serves, and how the replicas, leases and
 * sources of its cluster are. A single process has no cluster to show.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterStatus, LeaseStatus, ReplicaPresence } from '../replica/cluster-status.ts';
import { stringifyJson } from '../value/json.ts';
import type { JsonObject, JsonValue } from '../value/json.ts';
import { expectObject, isObject, request, send, textOf } from './client.ts';
import { EXIT_OK, EXIT_UNAVAILABLE } from './exit-code.ts';
import { UnavailableError } from './problem.ts';
import { renderTable } from './terminal.ts';
import type { TableStyle, Terminal } from './terminal.ts';

export interface StatusOptions {
  readonly url: string;
  /** Shows it again after so long, until SIGINT or SIGTERM. */
  readonly everyMs?: number;
}

interface Look {
  readonly ready: boolean;
  readonly reasons: JsonValue;
  readonly state: JsonObject;
}

const CLEAR_SCREEN = '\u001b[H\u001b[2J';

/** Exit code 0 where the server is ready, 3 where it is not. */
export async function status(options: StatusOptions, terminal: Terminal): Promise<number> {
  if (options.everyMs !== undefined) return watch(options.url, options.everyMs, terminal);
  const look = await lookAt(options.url);
  print(look, options.url, terminal);
  return look.ready ? EXIT_OK : EXIT_UNAVAILABLE;
}

/** A server that is away is said so and looked at again. */
async function watch(url: string, everyMs: number, terminal: Terminal): Promise<number> {
  const end = endSignal();
  try {
    while (!end.signal.aborted) {
      const found = await lookAt(url).catch((error: unknown) => {
        if (error instanceof UnavailableError) return error;
        throw error;
      });
      if (terminal.outIsTty && !terminal.json) process.stdout.write(CLEAR_SCREEN);
      if (found instanceof UnavailableError) terminal.problems(found.problems);
      else print(found, url, terminal);
      await delay(everyMs, undefined, { signal: end.signal }).catch(() => undefined);
    }
    return EXIT_OK;
  } finally {
    end.release();
  }
}

async function lookAt(url: string): Promise<Look> {
  const health = await send(url, { method: 'GET', path: '/healthz/ready' });
  const ready = health.status === 200;
  const reasons = expectObject(health.body, url)['reasons'] ?? [];
  return { ready, reasons, state: await request(url, { method: 'GET', path: '/v1/status' }) };
}

function print({ ready, reasons, state }: Look, url: string, terminal: Terminal): void {
  if (terminal.json) {
    terminal.print(stringifyJson({ ...state, ready, reasons }));
    return;
  }
  const { out } = terminal;
  const why = Array.isArray(reasons) && !ready ? `: ${reasons.map(String).join(', ')}` : '';
  terminal.print(`${url} is ${ready ? out.green('ready') : out.yellow('not ready')}${why}`);
  const facts = ['phase', 'revision', 'logId', 'digest'].flatMap((name) =>
    state[name] === undefined ? [] : [`  ${name.padEnd(9)} ${String(state[name])}`],
  );
  terminal.print(facts.join('\n'));
  const cluster = isObject(state['cluster']) ? clusterOf(state['cluster']) : undefined;
  if (cluster !== undefined) {
    printRows(REPLICA_HEAD, replicaRows(cluster.replicas), terminal, {
      align: ['left', 'left', 'right', 'right', 'left', 'right', 'right', 'left'],
    });
    printRows(['lease', 'holder', 'generation', 'holds for'], leaseRows(cluster.leases), terminal, {
      align: ['left', 'left', 'right', 'right'],
    });
  }
  const policies = objectsOf(state['policies']).map((policy) => [
    String(policy['name']),
    String(policy['rules']),
    textOf(policy['failed']) ?? '',
  ]);
  printRows(['policy', 'rules', 'failed'], policies, terminal, {
    align: ['left', 'right', 'left'],
  });
  printSources(objectsOf(state['sources']), Date.now(), terminal);
}

function printSources(sources: readonly JsonObject[], nowMs: number, terminal: Terminal): void {
  const rows = sources.map((source) => {
    const counts = Object.values(tablesOf(source)).map(Number);
    const freshAtMs = Number(source['freshAtMs'] ?? 0);
    const [problem] = objectsOf(source['problems']);
    return [
      String(source['name']),
      String(counts.reduce((sum, count) => sum + count, 0)),
      textOf(source['state']) ?? (source['stale'] === true ? 'stale' : 'fresh'),
      freshAtMs > 0 ? ageText(nowMs - freshAtMs) : '',
      textOf(source['driver']) ?? '',
      textOf(source['owner']) ?? '',
      source['generation'] === undefined ? '' : String(source['generation']),
      problem === undefined ? '' : (textOf(problem['message']) ?? ''),
    ];
  });
  const head = ['source', 'rows', 'state', 'as of', 'driver', 'owner', 'generation', 'problem'];
  printRows(head, rows, terminal, {
    align: ['left', 'right', 'left', 'right', 'left', 'left', 'right', 'left'],
  });
  const tables = sources.flatMap((source) =>
    Object.entries(tablesOf(source)).map(([table, count]) => [
      `${String(source['name'])}:${table}`,
      String(count),
    ]),
  );
  printRows(['table', 'rows'], tables, terminal, { align: ['left', 'right'] });
}

const REPLICA_HEAD = [
  'replica',
  'phase',
  'revision',
  'behind',
  'digest',
  'checkpoint',
  'last heard',
  'url',
];

function replicaRows(replicas: readonly ReplicaPresence[]): string[][] {
  const newest = Math.max(...replicas.map(({ revision }) => revision));
  // By the clock of who answers, which hears of itself as often as of the others.
  const nowMs = Math.max(...replicas.map(({ seenMs }) => seenMs));
  return replicas.map((replica) => [
    replica.nodeId,
    replica.phase,
    String(replica.revision),
    String(newest - replica.revision),
    digestText(replica, replicas),
    replica.checkpointRevision > 0 ? String(replica.checkpointRevision) : 'none',
    ageText(nowMs - replica.seenMs),
    replica.url,
  ]);
}

/** Digests can be compared at one revision only. */
function digestText(replica: ReplicaPresence, all: readonly ReplicaPresence[]): string {
  if (replica.digest === '') return 'none yet';
  const others = all.filter(
    (other) =>
      other !== replica && other.digest !== '' && other.digestRevision === replica.digestRevision,
  );
  if (others.length === 0) return 'not compared';
  const different = others.filter(({ digest }) => digest !== replica.digest).length;
  const what = different === 0 ? 'agrees' : `differs from ${different} of ${others.length}`;
  return `${what} at ${replica.digestRevision}`;
}

function leaseRows(leases: readonly LeaseStatus[]): string[][] {
  return leases.map(({ name, holder, generation, remainingMs }) => [
    name,
    holder,
    String(generation),
    remainingMs > 0 ? ageText(remainingMs) : 'ended',
  ]);
}

/** A server of another version may leave something out. */
function clusterOf(cluster: JsonObject): ClusterStatus {
  return {
    replicas: objectsOf(cluster['replicas']).map((replica) => ({
      nodeId: textOf(replica['nodeId']) ?? '',
      phase: textOf(replica['phase']) ?? '',
      revision: Number(replica['revision'] ?? 0),
      digest: textOf(replica['digest']) ?? '',
      digestRevision: Number(replica['digestRevision'] ?? 0),
      checkpointRevision: Number(replica['checkpointRevision'] ?? 0),
      url: textOf(replica['url']) ?? '',
      seenMs: Number(replica['seenMs'] ?? 0),
    })),
    leases: objectsOf(cluster['leases']).map((lease) => ({
      name: textOf(lease['name']) ?? '',
      holder: textOf(lease['holder']) ?? '',
      generation: Number(lease['generation'] ?? 0),
      remainingMs: Number(lease['remainingMs'] ?? 0),
    })),
  };
}

function printRows(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  terminal: Terminal,
  style: TableStyle,
): void {
  if (rows.length > 0) terminal.print(`\n${renderTable(head, rows, terminal.out, style)}`);
}

function tablesOf(source: JsonObject): JsonObject {
  return isObject(source['tables']) ? source['tables'] : {};
}

function objectsOf(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

const UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

function ageText(ms: number): string {
  const [unitMs, unit] = UNITS.find(([one]) => ms >= one) ?? [1_000, 's'];
  return `${Math.max(0, ms / unitMs).toFixed(unit === 's' ? 1 : 0)} ${unit}`;
}

function endSignal(): { readonly signal: AbortSignal; release(): void } {
  const abort = new AbortController();
  const onEnd = (): void => abort.abort();
  process.once('SIGTERM', onEnd);
  return { signal: abort.signal, release: () => void process.off('SIGTERM', onEnd) };
}
