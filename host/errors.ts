/**
 * Operating errors: the one table of codes. A code names what went wrong for machines; the message
 * is for people (lower case, no full stop, the user's words in backticks); the remedy says what to
 * do. `docs/ERRORS.md` is held against this table by a test.
 */

/** When repeating the request can help. `same`: as it is; `after`: after `afterMs`. */
export type Retry = 'never' | 'same' | 'after' | 'other-replica';

export interface ErrorKind {
  readonly status: number;
  readonly retry: Retry;
  /** One line for the manual. */
  readonly meaning: string;
}

export const ERROR_KINDS = {
  invalid_policy: {
    status: 400,
    retry: 'never',
    meaning: 'the text of a policy or query has errors',
  },
  invalid_request: {
    status: 400,
    retry: 'never',
    meaning: 'a request, frame or flag is malformed',
  },
  invalid_row: { status: 400, retry: 'never', meaning: 'a row does not fit its table' },
  unknown_policy: { status: 404, retry: 'never', meaning: 'no policy has this name' },
  unknown_route: { status: 404, retry: 'never', meaning: 'no route has this method and path' },
  unknown_table: { status: 404, retry: 'never', meaning: 'no table has this name' },
  ambiguous: {
    status: 400,
    retry: 'never',
    meaning: 'an unqualified name is a table of several policies',
  },
  conflict: {
    status: 409,
    retry: 'never',
    meaning: 'the same batch id was used with another body',
  },
  source_driven: {
    status: 409,
    retry: 'never',
    meaning: 'a driver fills the source: its rows cannot be pushed',
  },
  duplicate_id: {
    status: 409,
    retry: 'never',
    meaning: 'a frame uses an id that is in use on its connection',
  },
  policy_failed: {
    status: 422,
    retry: 'never',
    meaning: 'the policy exceeds a limit and its tables are failed',
  },
  limit_exceeded: {
    status: 422,
    retry: 'never',
    meaning: 'a limit of rows, values, steps or nesting was exceeded',
  },
  too_large: {
    status: 413,
    retry: 'never',
    meaning: 'a body, frame or row is larger than its limit',
  },
  out_of_memory: { status: 503, retry: 'after', meaning: 'the engine has no memory left' },
  disk_full: {
    status: 503,
    retry: 'after',
    meaning: 'the log cannot be written; the replica is read-only',
  },
  log_unavailable: {
    status: 503,
    retry: 'after',
    meaning: 'the log cannot be reached; what was sent may or may not be in it',
  },
  store_unavailable: {
    status: 503,
    retry: 'after',
    meaning: 'the policy database cannot be reached',
  },
  store_refused: {
    status: 500,
    retry: 'never',
    meaning: 'the policy database refuses: rights, settings or version of its server',
  },
  not_ready: { status: 503, retry: 'after', meaning: 'the replica is starting or draining' },
  replica_behind: {
    status: 503,
    retry: 'other-replica',
    meaning: 'the token is newer than this replica',
  },
  token_foreign: { status: 400, retry: 'never', meaning: 'the token belongs to another log' },
  request_timeout: { status: 408, retry: 'same', meaning: 'a request did not arrive in time' },
  token_invalid: { status: 400, retry: 'never', meaning: 'the token cannot be read' },
  revision_expired: { status: 410, retry: 'never', meaning: 'the revision is no longer retained' },
  unauthorized: { status: 401, retry: 'never', meaning: 'a secret is missing or wrong' },
  forbidden_origin: {
    status: 403,
    retry: 'never',
    meaning: 'the Origin or Host is not on the allow-list',
  },
  unsupported_media_type: {
    status: 415,
    retry: 'never',
    meaning: 'the content type is not JSON or NDJSON',
  },
  method_not_allowed: {
    status: 405,
    retry: 'never',
    meaning: 'the path exists with other methods',
  },
  log_damaged: {
    status: 500,
    retry: 'never',
    meaning: 'the log or a checkpoint on disk is damaged',
  },
  log_misconfigured: {
    status: 500,
    retry: 'never',
    meaning: 'Kafka refuses this process, or is set up so that records would be lost',
  },
  log_diverged: {
    status: 500,
    retry: 'other-replica',
    meaning: 'the log lost or changed records that this replica has applied',
  },
  state_diverged: {
    status: 503,
    retry: 'other-replica',
    meaning: 'this replica and others had different states at one revision; it is being rebuilt',
  },
  unsupported_record: {
    status: 500,
    retry: 'never',
    meaning: 'a record was written by a newer version of caucus',
  },
  data_locked: { status: 500, retry: 'never', meaning: 'another process uses the data directory' },
  internal: { status: 500, retry: 'never', meaning: 'a defect of Caucus' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/** An operating error. Programmer errors are not of this class and crash. */
export class CaucusError extends Error {
  readonly code: ErrorCode;
  /** What to do about it, for people. */
  readonly remedy: string | undefined;
  /** Positions, names and numbers for machines; printed as further members of the error object. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { remedy?: string; details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CaucusError';
    this.code = code;
    this.remedy = options.remedy;
    this.details = options.details ?? {};
  }

  get status(): number {
    return ERROR_KINDS[this.code].status;
  }

  get retry(): Retry {
    return ERROR_KINDS[this.code].retry;
  }
}
