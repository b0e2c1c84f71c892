/**
 * The inputs of the workloads. One seed, one xorshift32 stream a workload: the same rows
 * everywhere, so that the sizes of the answers are known (workloads.ts) and other engines can be
 * run on the same data.
 */
import { encodeRows, type RowBlock } from '../host/value/row-block.ts';

export type Cell = number | string;
export type Cells = readonly Cell[];
/** Base tables by name. */
export type Tables = Readonly<Record<string, readonly Cells[]>>;

export interface Stream {
  /** Uniform integer in [0, limit). */
  readonly below: (limit: number) => number;
}

const SEED = 0x9e3779b9;

export function createStream(seed = SEED): Stream {
  let state = seed | 0;
  return {
    below: (limit) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return Math.floor(((state >>> 0) * limit) / 4294967296);
    },
  };
}

/** Draws until `count` different rows are there; gives up on a full space after 200 draws a row. */
function distinct(count: number, draw: () => Cells | undefined): Cells[] {
  const seen = new Set<string>();
  const rows: Cells[] = [];
  for (let draws = 0; rows.length < count && draws < count * 200; draws++) {
    const row = draw();
    if (row === undefined) continue;
    const key = row.join(',');
    if (seen.has(key)) continue;
    seen.add(key);
    rows.push(row);
  }
  return rows;
}

function range<T>(from: number, to: number, item: (index: number) => T): T[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => item(from + index));
}

/** A pair near the diagonal: programs refer mostly to what stands close by. */
function nearPair(stream: Stream, limit: number, window: number): Cells {
  const from = stream.below(limit);
  const to = from + stream.below(2 * window) - window;
  return [from, Math.min(limit - 1, Math.max(0, to))];
}

type Generator = (stream: Stream, ...parameters: number[]) => Tables;

function chain(_: Stream, nodes = 0): Tables {
  return { edge: range(0, nodes - 1, (node) => [node, node + 1]) };
}

function cycle(_: Stream, nodes = 0): Tables {
  return { edge: range(0, nodes, (node) => [node, (node + 1) % nodes]) };
}

/** Squares of side `side`, edges to the right and down. */
function grid(_: Stream, side = 0): Tables {
  const edge: Cells[] = [];
  const node = (x: number, y: number): number => x * (side + 1) + y;
  for (let x = 0; x <= side; x++) {
    for (let y = 0; y <= side; y++) {
      if (x < side) edge.push([node(x, y), node(x + 1, y)]);
      if (y < side) edge.push([node(x, y), node(x, y + 1)]);
    }
  }
  return { edge };
}

/** A full binary tree, edges from parent to child. */
function btree(_: Stream, depth = 0): Tables {
  return { edge: range(1, 2 ** (depth + 1) - 1, (node) => [(node - 1) >> 1, node]) };
}

function rand(stream: Stream, nodes = 0, edges = 0): Tables {
  const edge = distinct(edges, () => {
    const from = stream.below(nodes);
    const to = stream.below(nodes);
    return from === to ? undefined : [from, to];
  });
  return { edge };
}

function dag(stream: Stream, nodes = 0, edges = 0): Tables {
  const edge = distinct(edges, () => {
    const from = stream.below(nodes);
    const to = stream.below(nodes);
    return from === to ? undefined : [Math.min(from, to), Math.max(from, to)];
  });
  return { edge };
}

/** Preferential attachment: `degree` edges out of each node, to what is already popular. */
function ba(stream: Stream, nodes = 0, degree = 0): Tables {
  const targets = [0];
  const edge: Cells[] = [];
  const seen = new Set<number>();
  for (let node = 1; node < nodes; node++) {
    for (let drawn = 0; drawn < degree; drawn++) {
      const target = targets[stream.below(targets.length)] as number;
      const key = node * nodes + target;
      if (target === node || seen.has(key)) continue;
      seen.add(key);
      edge.push([node, target]);
      targets.push(target);
    }
    targets.push(node);
  }
  return { edge };
}

/** Statements of a C program for a points-to analysis. */
function andersen(
  stream: Stream,
  variables = 0,
  addresses = 0,
  assigns = 0,
  loads = 0,
  stores = 0,
): Tables {
  const window = Math.max(8, Math.floor(variables / 50));
  const near = (): Cells => nearPair(stream, variables, window);
  return {
    addressOf: distinct(addresses, () => [
      stream.below(variables),
      variables + stream.below(addresses),
    ]),
    assign: distinct(assigns, near),
    load: distinct(loads, near),
    store: distinct(stores, near),
  };
}

/** Statements of a C program for an alias analysis. */
function cspa(stream: Stream, variables = 0, assigns = 0, dereferences = 0): Tables {
  const window = Math.max(8, Math.floor(variables / 100));
  return {
    assign: distinct(assigns, () => nearPair(stream, variables, window)),
    dereference: distinct(dereferences, () => [stream.below(variables), stream.below(variables)]),
  };
}

/** Users in nested groups, inherited roles, a tree of files, denials. */
function rbac(stream: Stream, users = 0): Tables {
  const groups = Math.max(4, users >> 4);
  const roles = Math.max(4, users >> 6);
  const files = users * 10;
  const folders = Math.max(2, Math.floor(files / 100));
  const { below } = stream;
  const actions = ['read', 'write', 'admin'];
  return {
    member: distinct(users * 3, () => [`u${below(users)}`, `g${below(groups)}`]),
    subgroup: range(1, groups, (group) => [`g${group}`, `g${below(group)}`]),
    role_inherits: range(1, roles, (role) => [`r${role}`, `r${below(role)}`]),
    grant_role: distinct(groups * 2, () => [`g${below(groups)}`, `r${below(roles)}`]),
    parent: [
      ...range(1, folders, (folder) => [`f${folder}`, `f${below(folder)}`]),
      ...range(folders, files, (file) => [`f${file}`, `f${below(folders)}`]),
    ],
    role_perm: distinct(roles * 4, () => [
      `r${below(roles)}`,
      actions[below(3)] as string,
      `f${below(folders)}`,
    ]),
    banned: distinct(Math.max(1, Math.floor(users / 50)), () => [`u${below(users)}`]),
    deny: distinct(users, () => [`u${below(users)}`, `f${below(files)}`]),
  };
}

/** Switches with ports, routers in a tree, groups of ports, pairs of groups that may not talk. */
function ovn(stream: Stream, switches = 0, portsPerSwitch = 0): Tables {
  const { below } = stream;
  const routers = Math.max(1, switches >> 3);
  const ports = switches * portsPerSwitch;
  return {
    switch: range(0, switches, (one) => [one]),
    port: range(0, ports, (port) => [port, Math.floor(port / portsPerSwitch)]),
    attach: range(0, switches, (one) => [one, below(routers)]),
    rpeer: range(1, routers, (router) => [router, below(router)]),
    disabled: distinct(Math.floor(ports / 20), () => [below(ports)]),
    pgmember: distinct(ports * 2, () => [below(ports), below(Math.max(2, switches))]),
    acl_deny: distinct(switches * 2, () => [below(switches), below(switches)]),
  };
}

/**
 * An object graph as in Feldera's example of fine-grained authorization: 1000 users in 100 groups,
 * 100 folders with one group of editors each, 1000 folders in them, of which each group may view
 * ten, and files in those. Users and groups of the 3000 memberships are few with many and many with
 * few. `files` may be less than the example's 100 000.
 */
function fga(stream: Stream, files = 0): Tables {
  const { below } = stream;
  return {
    banned: distinct(FGA.banned, () => [below(FGA.users)]),
    parent: [
      ...range(FGA.folders, FGA.filesFrom, (folder) => [folder, below(FGA.folders)]),
      ...range(FGA.filesFrom, FGA.filesFrom + files, (file) => [file, fgaFolder(stream)]),
    ],
    member: range(0, FGA.memberships, (id) => [id, ...fgaMember(stream)]),
    editor: range(0, FGA.folders, (folder) => [below(FGA.groups), folder]),
    viewer: distinct(FGA.groups * 10, () => [below(FGA.groups), fgaFolder(stream)]),
  };
}

export const FGA = {
  users: 1000,
  banned: 10,
  groups: 100,
  folders: 100,
  /** Folders in folders are numbered up to here. */
  filesFrom: 1100,
  memberships: 3000,
} as const;

/** A folder that files are in. */
export function fgaFolder({ below }: Stream): number {
  return FGA.folders + below(FGA.filesFrom - FGA.folders);
}

/** A user and a group. */
export function fgaMember(stream: Stream): [user: number, group: number] {
  return [zipf(stream, FGA.users), zipf(stream, FGA.groups)];
}

const sums = new Map<number, number[]>();

/** In [0, limit), the one behind k as often as 1/(k+1) says. */
function zipf({ below }: Stream, limit: number): number {
  let known = sums.get(limit);
  if (known === undefined) {
    let sum = 0;
    known = Array.from({ length: limit }, (_, index) => (sum += 1 / (index + 1)));
    sums.set(limit, known);
  }
  const drawn = (below(2 ** 31) / 2 ** 31) * (known.at(-1) ?? 0);
  return known.findIndex((sum) => drawn < sum);
}

/** As many rows on both sides, `fan` of each side with the same key. */
function join(_: Stream, rows = 0, fan = 1): Tables {
  const side = (): Cells[] => range(0, rows, (row) => [Math.floor(row / fan), row]);
  return { left: side(), right: side() };
}

const GENERATORS = {
  join,
  chain,
  cycle,
  grid,
  btree,
  rand,
  dag,
  ba,
  andersen,
  cspa,
  rbac,
  ovn,
  fga,
} as const satisfies Record<string, Generator>;

export type GeneratorName = keyof typeof GENERATORS;

/** `rand 1000 3000`: a generator and its parameters. */
export function generate(name: GeneratorName, ...parameters: number[]): Tables {
  const generator: Generator = GENERATORS[name];
  return generator(createStream(), ...parameters);
}

/** Integers become ints. */
export function toBlock(rows: readonly Cells[]): RowBlock {
  const values = function* (): globalThis.Generator<readonly (bigint | string)[]> {
    for (const row of rows) {
      yield row.map((cell) => (typeof cell === 'number' ? BigInt(cell) : cell));
    }
  };
  return encodeRows(rows[0]?.length ?? 0, values());
}

/** The rows as a `.facts` file, for `caucus run` and for other engines. */
export function toFacts(rows: readonly Cells[]): string {
  return rows.map((row) => `${row.join('\t')}\n`).join('');
}
