/**
 * The plan: what the engine runs. Relations (tables and auxiliary ones), units in evaluation order,
 * and for each rule its *versions*: the same rule run from scratch, driven by the delta of one
 * literal, or backwards from a head row. A version is a list of steps over numbered registers. Made
 * by `lower.ts`, turned into bytes by `host/engine/program-encoder.ts`; its twin in the core is
 * `program-decoder.ts`.
 */
import type { Value } from '../value/value.ts';
import type { CoreRule, OrderOperator } from './core-rule.ts';
import type {
  AggregateFunction,
  ComparisonOperator,
  ComputeOperator,
  StratifiedProgram,
  StratifiedQuery,
  TableKey,
} from './stratified.ts';

export interface PlanOptions {
  /** Tables whose deltas a transaction returns. */
  readonly watched?: 'all' | ReadonlySet<TableKey>;
  /** Tables that the digest covers besides base rows; absent: no digest is kept. */
  readonly digest?: ReadonlySet<TableKey>;
  /** Queries kept as tables `$view:<name>`, watched; their columns are the query's. */
  readonly views?: readonly { readonly name: string; readonly query: StratifiedQuery }[];
  /** Rows of tables, where known: decides the order of joins and nothing else. */
  readonly sizes?: ReadonlyMap<TableKey, number>;
  /** Tables that are declared `on demand` are not kept, where that can be. */
  readonly leavesOut?: boolean;
  /** Leave out what only maintenance needs: one transaction, no updates after it. */
  readonly batchOnly?: boolean;
  /** Keep what tells people how rules are run: `Unit.rules`, `Plan.sizes`. */
  readonly isExplained?: boolean;
}

/** Number of a relation in `Plan.relations`; of a register, rank or column. */
export type RelationNumber = number;
export type Register = number;

export interface PlanRelation {
  /** The table's key; auxiliary relations begin with `$`. */
  readonly name: string;
  readonly arity: number;
  /** Rows carry ranks: the relation is defined by recursion. */
  readonly ranked: boolean;
  /** Equal name and fingerprint: the same definition, so the rows of a former plan can stay. */
  readonly fingerprint: string;
  /** Each a list of columns, ascending. */
  readonly indexes: readonly (readonly number[])[];
  /** The table that an error about this relation names. */
  readonly table: TableKey;
}

/** Which rows a step sees (engine-as/views.ts); `base`: what readers see of the base rows. */
export type View = 'read' | 'old' | 'new' | 'settled' | 'stable' | 'base';
export type Match = 'each' | 'once' | 'absent';

/** Reads a column: `bind` into the register, or else compare with it. */
export interface ColumnUse {
  readonly column: number;
  readonly register: Register;
}

interface Iteration {
  readonly relation: RelationNumber;
  readonly view: View;
  readonly match: Match;
  /** Where the row's rank goes; absent for rows outside the component. */
  readonly rank?: number;
  /** The rank must stay under the bound of the run. */
  readonly isBounded?: boolean;
  readonly binds: readonly ColumnUse[];
  readonly checks: readonly ColumnUse[];
}

export type Step =
  | {
      readonly op: 'delta';
      readonly rank?: number;
      readonly binds: readonly ColumnUse[];
      readonly checks: readonly ColumnUse[];
    }
  | {
      readonly op: 'head';
      readonly binds: readonly ColumnUse[];
      readonly checks: readonly ColumnUse[];
    }
  | ({ readonly op: 'scan' } & Iteration)
  | ({
      readonly op: 'lookup';
      readonly index: number;
      readonly keys: readonly Register[];
    } & Iteration)
  | {
      readonly op: 'probe';
      readonly relation: RelationNumber;
      readonly view: View;
      readonly isAbsent: boolean;
      readonly rank?: number;
      readonly isBounded?: boolean;
      readonly registers: readonly Register[];
    }
  | {
      readonly op: 'compare';
      readonly operator: ComparisonOperator | OrderOperator;
      readonly left: Register;
      readonly right: Register;
    }
  /** Some register of the one list is not equal to that of the other in its place. */
  | {
      readonly op: 'differ';
      readonly left: readonly Register[];
      readonly right: readonly Register[];
    }
  | {
      readonly op: 'compute';
      readonly operator: ComputeOperator;
      readonly left: Register;
      readonly right: Register;
      readonly output: Register;
      /** The output is bound: compare. */
      readonly isCheck: boolean;
    }
  | {
      readonly op: 'fails';
      readonly operator: ComputeOperator;
      readonly left: Register;
      readonly right: Register;
    }
  | {
      readonly op: 'call';
      readonly function: string;
      readonly inputs: readonly Register[];
      readonly output: Register;
      readonly isCheck: boolean;
    }
  | { readonly op: 'callFails'; readonly function: string; readonly inputs: readonly Register[] }
  /** Goes through the items of a list. */
  | {
      readonly op: 'each';
      readonly list: Register;
      readonly output: Register;
      readonly isCheck: boolean;
    }
  | { readonly op: 'format'; readonly inputs: readonly Register[]; readonly output: Register }
  | { readonly op: 'move'; readonly from: Register; readonly to: Register }
  | {
      readonly op: 'emit';
      readonly ranks: readonly number[];
      readonly registers: readonly Register[];
      /**
       * The iterating step, by place, to go on from; −1: none, the run ends. Absent: the last one.
       * Where rows are not counted, steps behind the last one that the head depends on would only
       * give the same row again.
       */
      readonly back?: number;
    };

/**
 * `full`: from scratch. `delta`: exact changes of weights. In recursive units `candidate` finds
 * heads that may have lost support, `insert` heads that gained an instance, `round` is semi-naive,
 * `support` starts from a head row; `group`, of best tables, from all of it but its value.
 */
export type Purpose = 'full' | 'delta' | 'candidate' | 'insert' | 'round' | 'support' | 'group';

export interface VersionConstant {
  readonly register: Register;
  readonly value: Value;
  /** Of queries that share a plan. */
  readonly parameter?: number;
}

export interface Version {
  readonly purpose: Purpose;
  readonly head: RelationNumber;
  readonly source?: RelationNumber;
  /** The source stands under `not`: its losses are gains. */
  readonly isNegative: boolean;
  readonly inComponent: boolean;
  readonly isExit: boolean;
  readonly registerCount: number;
  readonly rankCount: number;
  readonly constants: readonly VersionConstant[];
  readonly steps: readonly Step[];
}

export interface AggregateColumn {
  readonly function: AggregateFunction;
  readonly column: number;
  /** What orders the rows, of argmin and argmax. */
  readonly key?: number;
}

export interface AggregatePlan {
  readonly input: RelationNumber;
  /** Columns: the group's, then the aggregates'. */
  readonly output: RelationNumber;
  /**
   * Columns: the group's, then the number of an aggregate without a value; absent where none can
   * fail.
   */
  readonly errors?: RelationNumber;
  /** Index of the input by the group's columns; absent where no group is looked through. */
  readonly index?: number;
  readonly groupColumns: readonly number[];
  readonly aggregates: readonly AggregateColumn[];
}

/** Tables that depend on their own `min` or `max`. */
export interface BestPlan {
  readonly isMax: boolean;
  /** By place in the unit's relations: the column of the value, the index by all other columns. */
  readonly values: readonly { readonly column: number; readonly index?: number }[];
}

export interface Unit {
  readonly kind: 'counting' | 'recursive' | 'aggregate' | 'best';
  readonly relations: readonly RelationNumber[];
  readonly versions: readonly Version[];
  readonly aggregate?: AggregatePlan;
  readonly best?: BestPlan;
  /** Of an explained plan: the rules in the order of `versions`. */
  readonly rules?: readonly UnitRule[];
}

/** A rule as the planner had it, and its versions. */
export interface UnitRule {
  readonly rule: CoreRule;
  readonly versions: readonly Version[];
}

export interface Plan {
  readonly program: StratifiedProgram;
  readonly options: PlanOptions;
  readonly relations: readonly PlanRelation[];
  readonly units: readonly Unit[];
  /** Relation of each table and view, by key. */
  readonly tables: ReadonlyMap<TableKey, RelationNumber>;
  /**
   * By rule, as `policy:ordinal`, what its aggregates are: columns are the variables of the group
   * in the order of their numbers, then the aggregates. Explanations look them up.
   */
  readonly aggregates: ReadonlyMap<string, RelationNumber>;
  /** Of an explained plan: rows that relations are taken to have, by number. */
  readonly sizes?: readonly number[];
  /** Tables of the program that have no relation: queries compute what they ask for. */
  readonly onDemand?: ReadonlySet<number>;
}

/** A query names its relations by table key and is bound to whatever plan runs. */
export interface QueryPlan {
  readonly query: StratifiedQuery;
  readonly program: StratifiedProgram;
  readonly relations: readonly QueryRelation[];
  /** Indexes that the steps would like, by relation. */
  readonly indexes: readonly (readonly (readonly number[])[])[];
  /**
   * Run one after another. All but the answer's fill relations that only this query has, for those
   * behind them.
   */
  readonly versions: readonly Version[];
  /** The plan that this one is but for constants: its versions stand for those of this one. */
  readonly template?: QueryPlan;
}

export interface QueryRelation {
  /** Empty for the answer and for relations of the query's own. */
  readonly table: TableKey;
  readonly arity: number;
}
