/**
 * The named limits of the host, one section a folder. `docs` and a test are held against this
 * table.
 */

// --- replica: part of the meaning of a log. Equal on every replica; a change needs a new semantics
// level ---

/** Batch ids are kept at least so long, by the log's append time… */
export const BATCH_ID_MS_MIN = 24 * 60 * 60 * 1000;
/** …and at least so many a source, whichever keeps more. */
export const BATCH_ID_COUNT_MIN = 100_000;
/** A batch whose last record has not come within this span of append time is dropped. */
export const UNFINISHED_BATCH_MS_MAX = 24 * 60 * 60 * 1000;
/** The time in force moves in steps of this. */
export const TIME_STEP_MS = 1_000;
/** A source of whose driver nothing was heard for so long, by the time in force, is stale. */
export const SOURCE_SILENT_MS = 15_000;
/** Versions of rejected policy records that are remembered. */
export const REJECTED_VERSIONS_MAX = 1_000;

/**
 * Rows of one table. What derives more fails its policy, long before the memory of one engine
 * (4 GiB) is full.
 */
export const ROWS_PER_TABLE_MAX = 32 * 1024 * 1024;

// --- replica: of one process ---

/** A batch id in UTF-8. */
export const BATCH_ID_BYTES_MAX = 200;
/** The rows of one batch; more is refused with `too_large`. */
export const BATCH_BYTES_MAX = 1024 * 1024 * 1024;
/** A batch is split into records of about this size. */
export const RECORD_BYTES_TARGET = 1024 * 1024;
/** Names of sources, tables and policies in UTF-8. */
export const NAME_BYTES_MAX = 200;
/** A policy text in UTF-8. */
export const POLICY_BYTES_MAX = 8 * 1024 * 1024;
/** What one cut takes at most from the queue of writers, unless a single batch is larger. */
export const CUT_BYTES_TARGET = 32 * 1024 * 1024;
/** Cuts appended and not yet applied; while there are so many, batches gather. */
export const CUTS_IN_FLIGHT_MAX = 2;
/**
 * What may wait in the queue of writers; a batch that finds more there is refused (retry later).
 */
export const QUEUED_BYTES_MAX = 512 * 1024 * 1024;

/** Wait for a token or for the end of the log where the request names no bound. */
export const WAIT_MS_DEFAULT = 2_000;
/** No request waits longer. */
export const WAIT_MS_MAX = 60_000;
/** Rows of an answer where the request names no bound. */
export const QUERY_ROWS_MAX = 1_000_000;
/** Rows of one proof; those behind are named and not explained. */
export const PROOF_NODES_MAX = 10_000;
/** The same where a request names no bound. */
export const PROOF_NODES_DEFAULT = 1_000;
/** Characters of the rows of one proof; those behind are named and not explained. */
export const PROOF_CHARS_MAX = 8 * 1024 * 1024;
/** Ways in which equal values of a best table may have come before, tried for one row. */
export const PROOF_TIES_MAX = 1_000;
/** Solutions shown of the group that an aggregate ranges over… */
export const GROUP_ROWS_MAX = 100;
/** …of which so many with the rows that they come from… */
export const GROUP_BODIES_MAX = 5;
/** …and solutions that are counted. */
export const GROUP_COUNT_MAX = 10_000;
/** Rows of one table in a test of a policy, which gives few: more is a recursion without end. */
export const TEST_ROWS_PER_TABLE_MAX = 1_000_000;
/** Bindings counted to see whether a literal fails for one of them. */
export const COVERAGE_ROWS_MAX = 10_000;
/** Effort of one question of an explanation, engine steps… */
export const EXPLAIN_STEPS_MAX = 500_000_000;
/** …of all of them for one request: beyond half of it nothing more is begun… */
export const EXPLAIN_STEPS_TOTAL_MAX = 3_000_000_000;
/** …and their number, likewise. */
export const EXPLAIN_QUESTIONS_MAX = 100_000;
/** Parts of that for an explanation that commits overtook too often, which they then wait for. */
export const EXPLAIN_HELD_PART = 20;
/** Questions, and facts of a text that are gone through, between two turns of the event loop. */
export const EXPLAIN_QUESTIONS_PER_TURN = 8;
export const EXPLAIN_FACTS_PER_TURN = 2_000;
/** Rules of a table whose failing literals are looked for; those behind are counted. */
export const WHY_NOT_RULES_MAX = 100;
/** Changed rows of one batch whose causes are looked for… */
export const CHANGES_EXPLAINED_MAX = 100;
/** …rows of the proof of each… */
export const CHANGE_NODES_MAX = 1_000;
/** …and causes that are told of it. */
export const CAUSES_MAX = 20;
/** Missing rows of one body that are explained by their rules. */
export const WHY_NOT_ROWS_MAX = 3;
/** Questions for the shortest set of failing literals of one rule; then the best one found. */
export const WHY_NOT_QUESTIONS_MAX = 300;
/** Effort of one query, engine steps (about 10 ns each). */
export const QUERY_STEPS_MAX = 3_000_000_000;
/** Compiled queries kept, those that differ in constants as one. */
export const QUERY_CACHE_COUNT_MAX = 1_000;
/** A query text, UTF-16 units. */
export const QUERY_UNITS_MAX = 1024 * 1024;
/** A query is restarted so often when a commit overtakes it; then it runs between two commits. */
export const QUERY_RESTARTS_MAX = 3;

/** Bodies that a question about tables on demand may come to. */
export const UNFOLDED_BODIES_MAX = 1_000;
/** Rows of one view. */
export const VIEW_ROWS_MAX = 4 * 1024 * 1024;
/** Effort of one view in one transaction, engine steps. */
export const VIEW_STEPS_MAX = 500_000_000;
/** Views kept at a time, those without a user included. */
export const VIEW_COUNT_MAX = 10_000;
/** Views that enter the engine by one transaction. */
export const VIEWS_OPENED_TOGETHER_MAX = 200;
/** Deltas of one view kept for resuming, bytes of rows… */
export const VIEW_HISTORY_BYTES_MAX = 4 * 1024 * 1024;
/** …and changes. */
export const VIEW_HISTORY_COUNT_MAX = 1_000;
/** A view without a user is kept so long, for clients that come back… */
export const VIEW_IDLE_MS_MAX = 30_000;
/** …as long as no more than this many are idle. */
export const VIEW_IDLE_COUNT_MAX = 16;

/** A checkpoint is saved after so many revisions… */
export const CHECKPOINT_REVISIONS = 20_000;
/**
 * …or after so many bytes of records, if that is first (and no less than a part of the last
 * checkpoint).
 */
export const CHECKPOINT_RECORD_BYTES = 64 * 1024 * 1024;
/** Checkpoints kept; the log is trimmed below the oldest of them. */
export const CHECKPOINTS_KEPT = 2;

/** A policy write that other writers overtake is tried so often. */
export const POLICY_WRITE_TRIES = 20;
/** A batch that the log does not take for so long is answered with `log_unavailable`. */
export const PUSH_LOG_MS = 5_000;
/** A policy write whose record has no cut after so long is answered as pending. */
export const POLICY_PENDING_MS = 3_000;
/** A version that another replica took gets so long to come through the log before it is helped. */
export const POLICY_SETTLE_MS = 250;
/** Between two looks for proposals whose writer is gone. */
export const POLICY_REPAIR_MS = 5_000;

/** Records of one topic that are read before a cut names them, bytes. */
export const READ_AHEAD_BYTES_MAX = 32 * 1024 * 1024;
/** Between two tries to reach a log that was away when the fold needed it. */
export const LOG_RETRY_MS = 1_000;
/** A record that a cut names and that the log does not have for so long is lost. */
export const CUT_LOST_MS = 30_000;
/** A record that no cut names for so long (at random in between) gets one from any replica. */
export const UNCUT_MS_MIN = 100;
export const UNCUT_MS_MAX = 300;

/** A replica announces itself at least this often… */
export const ANNOUNCE_MS = 1_000;
/** …and counts as gone when it has not for so long. */
export const MEMBER_SILENT_MS = 5_000;
/** The log is not trimmed past a replica that was there so lately. */
export const TRIM_SILENT_MS = 60_000;
/** Between two tries of a start that lacks the log, the database or the other replicas. */
export const START_RETRY_MS = 1_000;
/** It says again what it waits for after so long, a multiple of the pause between two tries. */
export const START_REPORT_MS = 30_000;
/** Announcements that the log keeps, at least. */
export const ANNOUNCEMENTS_KEPT = 2_000;
/** Getting a checkpoint from another replica. */
export const CHECKPOINT_FETCH_MS_MAX = 5 * 60_000;
/** Digests that are remembered of each replica. */
export const DIGESTS_KEPT = 64;
/** Replicas compare their digests at each revision that this divides. */
export const DIGEST_REVISIONS = 100;
/** When digests differ: so long is waited for those that have not announced theirs. */
export const DIGEST_WAIT_MS = 3_000;

/** Several replicas let the time go on: each waits up to so much longer than it has to. */
export const TICK_SPREAD_MS = 500;

/** A replica looks so often, at random around it, for sources whose writer it has to refuse. */
export const REFUSAL_MS = 1_000;
/** A writer of a source appends a batch in pieces of about this size, one at a time. */
export const SOURCE_APPEND_BYTES = 8 * 1024 * 1024;
/** Between two tries to follow a topic of a log that is away. */
export const TAIL_RETRY_MS = 200;
/** Between two looks whether the database has a verdict of the newest policy change. */
export const DECLARATIONS_RETRY_MS = 1_000;

/** Space that a data directory keeps for a start on a full disk. */
export const DISK_RESERVE_BYTES = 1024 * 1024;
/** Between two tries to append to a log whose disk was full, ms. */
export const DISK_PROBE_MS = 1_000;

// --- values ---

/** A string in UTF-8 that the engine holds. */
export const VALUE_STRING_BYTES_MAX = 16 * 1024 * 1024;
/** Levels of lists and documents inside each other that a value may have. */
export const VALUE_DEPTH_MAX = 32;
/** What a function is given, and what it gives, as bytes of a row block; more is a failure. */
export const FUNCTION_BYTES_MAX = 1024 * 1024;
/** Inputs of one call: what a list with variables in it may have. */
export const CALL_INPUTS_MAX = 256;
/** Instructions of one regular expression; a pattern that needs more is a failure. */
export const REGEX_INSTRUCTIONS_MAX = 4096;
/** Instructions of a pattern times characters of a text; more is a failure. */
export const REGEX_WORK_MAX = 8 * 1024 * 1024;
/** Patterns that are kept compiled. */
export const REGEX_KEPT_MAX = 256;
/** Levels of arrays and objects inside each other that a JSON text may have. */
export const JSON_DEPTH_MAX = 64;

// --- log: the record limit is part of the meaning of a log ---

/** A record with its envelope. A row or policy text that does not fit is refused before the log. */
export const RECORD_BYTES_MAX = 16 * 1024 * 1024;

// --- compiler: texts. Checked before anything grows with them ---

/** Facts, rules and declarations of one policy. */
export const STATEMENTS_MAX = 250_000;
/** Annotations of one statement. */
export const ANNOTATIONS_MAX = 16;
/** Literals of one body, those that expressions are flattened into included. */
export const BODY_LITERALS_MAX = 256;
/** Different variables and constants of one rule, temporaries included. */
export const RULE_VALUES_MAX = 1_000;
/** Literals of one body that read tables which depend on the rule's own. */
export const RULE_RECURSIVE_ATOMS_MAX = 60;
/**
 * Tables of all policies and sources, with those for parts of rules; the core has room for as many
 * again, for views.
 */
export const PLAN_RELATIONS_MAX = 65_536;
/**
 * Indexes of one table that rules have; what more of them would like is found by the others. With
 * those of queries, and in a change of policies twice, they are no more than the core has room for.
 */
export const TABLE_INDEXES_MAX = 24;
/** Ways to run the rules of one table: about one a literal. */
export const TABLE_VERSIONS_MAX = 1_000_000;
/** Columns of a table. */
export const ARITY_MAX = 64;
/** Open parentheses around one token, signs and negations included. */
export const NESTING_MAX = 64;
/** Operators of one expression. */
export const EXPRESSION_OPERATORS_MAX = 256;
/** Characters of one identifier. */
export const IDENTIFIER_CHARS_MAX = 255;
/** A string constant in UTF-8. */
export const STRING_BYTES_MAX = 1024 * 1024;
/** Diagnostics reported for one text; the rest is counted. */
export const DIAGNOSTICS_MAX = 1_000;
/** Cycles through negation that are reported of one component. */
export const CYCLES_REPORTED_MAX = 10;
/** Unknown names for which a nearest name is looked up in one compilation. */
export const SUGGESTIONS_MAX = 100;

// --- api: HTTP ---

/** A JSON body; larger batches go as NDJSON. */
export const JSON_BODY_BYTES_MAX = 32 * 1024 * 1024;
/** An NDJSON body. Its rows are bounded by `BATCH_BYTES_MAX` besides. */
export const NDJSON_BODY_BYTES_MAX = 4 * 1024 * 1024 * 1024;
/** One line of an NDJSON body. */
export const NDJSON_LINE_BYTES_MAX = 16 * 1024 * 1024;
/** Tables of one batch. */
export const BATCH_TABLES_MAX = 10_000;
/** Request line and headers. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** From the first byte of a request to the end of its headers. */
export const HEADERS_MS_MAX = 10_000;
/** Between two looks for requests whose headers take longer. */
export const HEADERS_CHECK_MS = 1_000;
/** Between two pieces of a body. */
export const BODY_IDLE_MS_MAX = 30_000;
/** A whole request body. */
export const BODY_MS_MAX = 10 * 60_000;
/** A connection without a request. */
export const KEEP_ALIVE_MS = 30_000;
/** Open connections, WebSockets included; more are closed at once. */
export const CONNECTIONS_MAX = 20_000;
/** Running requests and sockets get so long to finish when the server closes. */
export const DRAIN_MS = 5_000;
/** Rows of an answer are turned into JSON and sent in pieces of about this size. */
export const ANSWER_PIECE_BYTES = 256 * 1024;

/**
 * An evaluation that is under way when the server closes gets so long to finish; then it is
 * abandoned, and done by the next start.
 */
export const DRAIN_EVALUATION_MS = 1_000;

// --- api: WebSocket ---

/** A frame from a client. */
export const FRAME_BYTES_MAX = 1024 * 1024;
/** An id that a client chooses, in characters. */
export const FRAME_ID_CHARS_MAX = 128;
/** From the upgrade to `hello`. */
export const HELLO_MS_MAX = 10_000;
/** A connection with nothing else to send sends `progress` this often. */
export const HEARTBEAT_MS = 10_000;
/** A connection from which nothing came in so many heartbeats, pongs included, is cut. */
export const HEARTBEATS_MISSED_MAX = 6;
/** Subscriptions of one connection. */
export const SUBSCRIPTIONS_MAX = 1_000;
/** Prepared queries of one connection. */
export const PREPARED_MAX = 1_000;
/** Queries of one batch frame. */
export const BATCH_ITEMS_MAX = 1_000;
/** Requests that run at a time for one connection; further frames wait unread. */
export const REQUESTS_IN_FLIGHT_MAX = 64;
/** The queries of a batch frame are asked again so often until they stand at one revision. */
export const BATCH_TRIES_MAX = 8;
/** Bad frames after which a connection is closed. */
export const BAD_FRAMES_MAX = 100;
/** Written to a socket and not yet taken by the network; no more is written, nor read, above it. */
export const SOCKET_BUFFER_BYTES_MAX = 1024 * 1024;
/**
 * A client that lost its server waits at least and at most so long, at random, before it comes
 * back.
 */
export const RECONNECT_MS_MIN = 100;
export const RECONNECT_MS_MAX = 5_000;

// --- subscriptions ---

/**
 * Changes that wait for a slow connection; above it they are dropped and the client is told of a
 * gap.
 */
export const BACKLOG_BYTES_MAX = 16 * 1024 * 1024;
/** Snapshots that wait for a slow connection; further ones are read when those are sent. */
export const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024;
/** Rows of one `rows` frame, in bytes of the row block. */
export const ROWS_FRAME_BYTES = 64 * 1024;

// --- log: of one process ---

/** A segment of the in-process log that has reached this size is followed by another. */
export const LOG_SEGMENT_BYTES = 64 * 1024 * 1024;
/** Newest records of all topics held in memory for readers. */
export const LOG_TAIL_BYTES = 64 * 1024 * 1024;
/** What one fsync covers at most, unless a single append is larger. */
export const LOG_GROUP_BYTES = 32 * 1024 * 1024;
/** A reader gets chunks of about this size. */
export const LOG_READ_BYTES = 256 * 1024;
/** Larger pieces of a checkpoint are cut up, so that reading one takes no more memory than this. */
export const CHECKPOINT_CHUNK_BYTES_MAX = 16 * 1024 * 1024;
/** A checkpoint up to this size is read once and held; a larger one is read twice. */
export const CHECKPOINT_HELD_BYTES_MAX = 256 * 1024 * 1024;

// --- log: on Kafka ---

/** One batch of records, with its frame: the `max.message.bytes` that a topic must allow. */
export const KAFKA_BATCH_BYTES_MAX = RECORD_BYTES_MAX + 1024 * 1024;
/** Appends that wait for the same topic share a request up to about this size. */
export const KAFKA_GROUP_BYTES = 4 * 1024 * 1024;
/** What a compressed batch may grow to. */
export const KAFKA_INFLATED_BYTES_MAX = 64 * 1024 * 1024;
/** The answer of one fetch, and one topic's part of it, unless a single batch is larger. */
export const KAFKA_FETCH_BYTES = 8 * 1024 * 1024;
export const KAFKA_FETCH_TOPIC_BYTES = 2 * 1024 * 1024;
/** What waits for one reader; above it nothing more is fetched for it. */
export const KAFKA_READER_BYTES_MAX = 4 * 1024 * 1024;
/** A fetch without news is answered after so long. */
export const KAFKA_FETCH_WAIT_MS = 250;
/** The same while topics wait to join or to leave what is fetched together. */
export const KAFKA_FETCH_WAIT_MS_SHORT = 20;
/** Connections of one process to one broker for everything but fetches. */
export const KAFKA_CONNECTIONS_MAX = 4;
/** From the first packet to a connection that is authenticated. */
export const KAFKA_CONNECT_MS_MAX = 5_000;
/** A broker that has not answered for so long (a fetch: beyond its wait) is cut off. */
export const KAFKA_REQUEST_MS_MAX = 5_000;
/** An append, reading the bounds, making a topic: with all repetitions. */
export const KAFKA_OPERATION_MS_MAX = 30_000;
/** Between two tries; doubles from the first to the second. */
export const KAFKA_RETRY_MS_MIN = 20;
export const KAFKA_RETRY_MS_MAX = 1_000;
/** Appends under way get so long to finish when the log is closed. */
export const KAFKA_CLOSE_MS_MAX = 3_000;

// --- store: MariaDB ---

/** Connections of one server. */
export const STORE_CONNECTIONS_MAX = 4;
/** From the first packet to a session; also how long a request waits for a free connection. */
export const STORE_CONNECT_MS_MAX = 5_000;
/** A statement that takes longer is given up, and its transaction is tried again. */
export const STORE_STATEMENT_MS_MAX = 10_000;
/** A transaction that others overtook, or whose connection was lost, is tried so often… */
export const STORE_TRIES_MAX = 10;
/** …and not again once so long has passed: whoever waits for it hears that the database is away. */
export const STORE_OPERATION_MS_MAX = 12_000;
/** A wait between two tries doubles each time, from about here… */
export const STORE_RETRY_MS_MIN = 10;
/** …to here. */
export const STORE_RETRY_MS_MAX = 1_000;
/** A silent connection is probed this often. */
export const STORE_KEEP_ALIVE_MS = 30_000;
/** What a server must take at least in one packet: a policy text and what goes with it. */
export const STORE_PACKET_BYTES_MIN = 16 * 1024 * 1024;
/** Of a packet, for what is not the texts in it. */
export const STORE_PACKET_SPARE_BYTES = 1024;

// --- configuration ---

/** A configuration file. */
export const CONFIG_BYTES_MAX = 1024 * 1024;
