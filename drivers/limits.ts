/**
 * The limits and intervals of drivers: each a constant with its unit, explained in docs/DRIVERS.md.
 */

/** First pause after a failure, ms; doubled by each further one. */
export const BACKOFF_FIRST_MS = 500;
/** Longest pause between two tries, ms. */
export const BACKOFF_MAX_MS = 60_000;
/** How often a file driver looks at its files even if no watch event came, ms. */
export const FILE_POLL_MS = 1000;
/** A file is read once its size and time have not changed for so long, ms. */
export const FILE_SETTLE_MS = 100;
/** A file that keeps changing for so long is reported stale, ms. */
export const FILE_SETTLE_MAX_MS = 10_000;
/** Longest record (line, CSV record, JSON element) of a file, in UTF-16 units. */
export const RECORD_UNITS_MAX = 1 << 20;
/** Problems that are reported of one file; the rest is counted. */
export const FILE_PROBLEMS_MAX = 10;
/** How often a package index is looked at, ms. */
export const PACKAGES_POLL_MS = 2000;
/**
 * Largest `.json` file, which is held as bytes while it is read; `.ndjson` streams and has no
 * limit.
 */
export const JSON_FILE_BYTES_MAX = 1 << 30;

/** The lease of the datasource node holds so long unless it is renewed, ms… */
export const LEASE_TTL_MS = 5_000;
/** …it is renewed after this part of it… */
export const LEASE_RENEWALS = 3;
/** …and a standby looks after this part of it whether it has become free. */
export const LEASE_LOOKS = 10;
/** How often a source that has nothing new says that its rows are those of the outside, ms. */
export const SOURCE_HEARTBEAT_MS = 5_000;
/** What is told to replicas of a source's problem, UTF-16 units. */
export const STALE_REASON_UNITS_MAX = 500;
/** How often one lease may open a source: the generation is lease × this + count. */
export const OPENINGS_PER_LEASE = 1_000;
/** A term waits so long for the declarations of policies; rows are checked by them, ms. */
export const DECLARATIONS_MS = 1_000;
/** Rows that replicas refuse are told again after growing pauses; so long after, anew, ms. */
export const REFUSALS_FORGOTTEN_MS = 300_000;
