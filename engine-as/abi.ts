/*
 * Numbers that the core and its host share. Compiled by asc and by tsc: plain constants, no types,
 * no imports. Everything a program's bytes can hold is named here.
 */

export const ABI_VERSION = 1;

/* Status codes of exported functions. */
export const STATUS_DONE = 0;
export const STATUS_MORE = 1;
export const STATUS_OUT_OF_MEMORY = 2;
export const STATUS_ROWS_LIMIT = 3;
export const STATUS_STEPS_LIMIT = 4;
export const STATUS_BAD_PROGRAM = 5;
export const STATUS_BAD_ROWS = 6;
export const STATUS_BAD_CALL = 7;
export const STATUS_VALUES_LIMIT = 8;

/* Value tags of a row block (see host/value/row-block.ts). */
export const TAG_NULL = 0;
export const TAG_FALSE = 1;
export const TAG_TRUE = 2;
export const TAG_INT64 = 3;
export const TAG_FLOAT = 4;
export const TAG_STRING = 5;
export const TAG_INT32 = 6;
export const TAG_SHORT_STRING = 7;
export const TAG_DATETIME = 8;
export const TAG_IP = 9;
export const TAG_NETWORK = 10;
export const TAG_LIST = 11;
export const TAG_DOCUMENT = 12;

/* Limits of the core. */
export const ARITY_MAX = 64;
export const RELATIONS_MAX = 0x20000;
export const ROWS_MAX = 0x07fffff0;
export const STRING_BYTES_MAX = 0x01000000;
/** Levels of lists and documents inside each other. */
export const VALUE_DEPTH_MAX = 32;
/** Inputs of one call of a function, and bytes of them, or of its value. */
export const CALL_INPUTS_MAX = 256;
export const CALL_BYTES_MAX = 0x00100000;
/** Bytes of a text that a point check looks for in place (check.ts). */
export const CHECK_TEXT_BYTES = 1024;
export const REGISTERS_MAX = 1024;
export const STEPS_PER_VERSION_MAX = 4096;
export const INDEXES_PER_RELATION_MAX = 64;

/* Flags of a relation at its creation. */
export const RELATION_RANKED = 1;
export const RELATION_POSITIONS = 2;
export const RELATION_DIGEST_BASE = 4;
export const RELATION_DIGEST_ALL = 8;

/** An answer: no transaction knows it. */
export const RELATION_LOCAL = 16;

/*
 * Flags in the meta word of a row; the weight stands above them.
 *
 *   31                8 7    0
 *   | weight (24 bits) | flags |
 */
export const ROW_LIVE = 1;
export const ROW_OLD = 2;
export const ROW_BASE = 4;
export const ROW_TOUCHED = 8;
export const ROW_PENDING = 16;
export const ROW_RECENT = 32;
export const ROW_QUEUED = 64;
export const ROW_USED = 128;
export const WEIGHT_SHIFT = 8;
export const WEIGHT_BITS = 24;

/* Views: which rows a step sees. */
export const VIEW_READ = 0;
export const VIEW_OLD = 1;
export const VIEW_NEW = 2;
export const VIEW_SETTLED = 3;
export const VIEW_STABLE = 4;
export const VIEW_BASE = 5;
export const VIEWS = 6;

/* Operations of a version. Layout of their words: engine-as/program.ts. */
export const OP_END = 0;
export const OP_DELTA = 1;
export const OP_HEAD = 2;
export const OP_SCAN = 3;
export const OP_LOOKUP = 4;
export const OP_PROBE = 5;
export const OP_COMPARE = 6;
export const OP_COMPUTE = 7;
export const OP_FAILS = 8;
export const OP_FORMAT = 9;
export const OP_EMIT = 10;
export const OP_MOVE = 11;
export const OP_CALL = 12;
export const OP_CALL_FAILS = 13;
export const OP_EACH = 14;
export const OP_DIFFER = 15;

/* How a scan or lookup goes on. */
export const MATCH_EACH = 0;
export const MATCH_ONCE = 1;
export const MATCH_ABSENT = 2;

export const COMPARE_EQUAL = 0;
export const COMPARE_NOT_EQUAL = 1;
export const COMPARE_LESS = 2;
export const COMPARE_LESS_EQUAL = 3;
export const COMPARE_GREATER = 4;
export const COMPARE_GREATER_EQUAL = 5;
/* By the total order, which tells 1 from 1.0. */
export const COMPARE_NOT_BEFORE = 6;
export const COMPARE_NOT_BEHIND = 7;
export const COMPARES = 8;

export const COMPUTE_ADD = 0;
export const COMPUTE_SUBTRACT = 1;
export const COMPUTE_MULTIPLY = 2;
export const COMPUTE_DIVIDE = 3;
export const COMPUTE_REMAINDER = 4;

export const AGGREGATE_COUNT = 0;
export const AGGREGATE_SUM = 1;
export const AGGREGATE_MIN = 2;
export const AGGREGATE_MAX = 3;
export const AGGREGATE_AVG = 4;
export const AGGREGATE_ARGMIN = 5;
export const AGGREGATE_ARGMAX = 6;
export const AGGREGATE_COLLECT = 7;
export const AGGREGATES = 8;

/* Units of a program, in evaluation order. */
export const UNIT_COUNTING = 0;
export const UNIT_RECURSIVE = 1;
export const UNIT_AGGREGATE = 2;
export const UNIT_BEST = 3;
export const UNITS = 4;

/* What a version is for. */
export const VERSION_FULL = 0;
export const VERSION_DELTA = 1;
export const VERSION_CANDIDATE = 2;
export const VERSION_INSERT = 3;
export const VERSION_ROUND = 4;
export const VERSION_SUPPORT = 5;
export const VERSION_GROUP = 6;
export const VERSIONS = 7;

/* Of a version's delta: rows that appear add, rows that vanish remove; negation turns it round. */
export const POLARITY_POSITIVE = 0;
export const POLARITY_NEGATIVE = 1;

export const NO_REGISTER = 0xffff;
export const PROGRAM_MAGIC = 0x43554341;

/*
 * Which rows an output gives: those that readers see, base rows, a delta's two sides, all rows of a
 * new relation, and the difference between a relation and the one whose place it takes.
 */
export const OUTPUT_ROWS = 0;
export const OUTPUT_BASE = 1;
export const OUTPUT_ADDED = 2;
export const OUTPUT_REMOVED = 3;
export const OUTPUT_NEW = 4;
export const OUTPUT_GAINED = 5;
export const OUTPUT_LOST = 6;
/** Or-ed to one of them: the rows come as they stand in the relation, not in the total order. */
export const OUTPUT_UNSORTED = 8;
