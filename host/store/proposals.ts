/**
 * The rules of the policy database: which writes get a version, and what becomes of them. Each
 * function is one transaction. How it is made atomic is up to the database that runs the steps.
 *
 * The table of proposals has `version`, `hash`, `previous_hash`, `live_version`, `op`, `state` and
 * `verdict`. `live_version` is the version of a proposal that counts and null for a superseded one,
 * so that its uniqueness is the compare-and-swap. The table of policies has `name`, `text` (null
 * for a deleted one) and `version`.
 */
import { CaucusError } from '../errors.ts';
import { NO_HASH, policyHash } from '../log/policy-hash.ts';
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';
import { all, numberOf, run, textOf } from './steps.ts';
import type { SqlRow, SqlValue, Steps } from './steps.ts';
import type {
  PolicyHead,
  Proposal,
  ProposalState,
  ProposeResult,
  StoredPolicy,
  Verdict,
} from './store.ts';

/** Where databases differ. */
export interface ProposalDialect {
  /** What people call the database, for errors. */
  readonly place: string;
  /** Names of the tables. */
  readonly proposals: string;
  readonly policies: string;
  /** Texts of users as they are stored. */
  encodeText(text: string): string;
  decodeText(text: string): string;
  /** `state` of the new row is as given, its `live_version` the version. */
  insert(record: PolicyRecord, state: ProposalState): Steps<void>;
  /** With their changes; `where` may end with an order. */
  select(where: string, values: readonly SqlValue[]): Steps<StoredProposal[]>;
}

/** `verdict` is not decoded yet. */
export interface StoredProposal {
  readonly row: SqlRow;
  readonly changes: readonly PolicyChange[];
}

export class Proposals {
  readonly #dialect: ProposalDialect;
  readonly #table: string;

  constructor(dialect: ProposalDialect) {
    this.#dialect = dialect;
    this.#table = dialect.proposals;
  }

  *head(): Steps<PolicyHead> {
    const [row] = yield* all(
      `SELECT version, hash FROM ${this.#table}
       WHERE live_version IS NOT NULL ORDER BY live_version DESC LIMIT 1`,
    );
    if (row === undefined) return { version: 0, hash: NO_HASH };
    return { version: numberOf(row, 'version'), hash: textOf(row, 'hash') };
  }

  *propose(
    previousVersion: number,
    previousHash: string,
    op: PolicyOp,
    changes: readonly PolicyChange[],
  ): Steps<ProposeResult> {
    const head = yield* this.head();
    if (head.version !== previousVersion || head.hash !== previousHash) return { ok: false, head };
    const version = previousVersion + 1;
    const hash = policyHash({ version, previousHash, op, changes });
    yield* this.#reviveOrInsert(
      { kind: 'policy', version, previousHash, hash, op, changes },
      'pending',
    );
    return { ok: true, version, hash };
  }

  *pending(): Steps<Proposal[]> {
    return yield* this.#proposals("state = 'pending' ORDER BY version");
  }

  *markPublished(version: number): Steps<void> {
    yield* this.#publish(yield* this.#existing(version));
  }

  *setVerdict(version: number, verdict: Verdict, detail: string | null): Steps<void> {
    const proposal = yield* this.#existing(version);
    if (proposal.state === 'accepted' || proposal.state === 'rejected') {
      if (proposal.state === verdict) return;
      throw new Error(`proposal ${version} is ${proposal.state} and cannot become ${verdict}`);
    }
    yield* run(
      `UPDATE ${this.#table} SET state = ?, verdict = ? WHERE live_version = ?`,
      verdict,
      detail === null ? null : this.#dialect.encodeText(detail),
      version,
    );
    if (verdict === 'accepted' && (proposal.op === 'put' || proposal.op === 'delete'))
      yield* this.#applyTexts(version, proposal.changes);
  }

  *copyBack(record: PolicyRecord): Steps<void> {
    const [present] = yield* this.#proposals('live_version = ?', record.version);
    if (present?.hash === record.hash) {
      yield* this.#publish(present);
    } else {
      if (present !== undefined) yield* this.#supersede(present);
      yield* this.#reviveOrInsert(record, 'published');
    }
    let { hash } = record;
    const later = yield* this.#proposals('live_version > ? ORDER BY version', record.version);
    for (const proposal of later) {
      if (proposal.previousHash === hash) hash = proposal.hash;
      else yield* this.#supersede(proposal);
    }
  }

  *proposal(version: number): Steps<Proposal | undefined> {
    return (yield* this.#proposals('live_version = ?', version))[0];
  }

  *superseded(): Steps<Proposal[]> {
    return yield* this.#proposals("state = 'superseded' ORDER BY version, hash");
  }

  *policies(): Steps<StoredPolicy[]> {
    const { policies } = this.#dialect;
    const rows = yield* all(
      `SELECT name, text, version FROM ${policies} WHERE text IS NOT NULL ORDER BY name`,
    );
    return rows.map((row) => ({
      name: textOf(row, 'name'),
      text: this.#dialect.decodeText(textOf(row, 'text')),
      version: numberOf(row, 'version'),
    }));
  }

  *#existing(version: number): Steps<Proposal> {
    const proposal = yield* this.proposal(version);
    if (proposal === undefined) throw new Error(`there is no proposal ${version}`);
    return proposal;
  }

  *#proposals(where: string, ...values: SqlValue[]): Steps<Proposal[]> {
    const stored = yield* this.#dialect.select(where, values);
    return stored.map(({ row, changes }) => {
      const verdict = row['verdict'];
      return {
        version: numberOf(row, 'version'),
        hash: textOf(row, 'hash'),
        previousHash: textOf(row, 'previous_hash'),
        op: textOf(row, 'op') as PolicyOp,
        changes,
        state: textOf(row, 'state') as ProposalState,
        verdict: typeof verdict === 'string' ? this.#dialect.decodeText(verdict) : null,
      };
    });
  }

  *#publish({ version, state }: Proposal): Steps<void> {
    if (state !== 'pending') return;
    yield* run(`UPDATE ${this.#table} SET state = 'published' WHERE live_version = ?`, version);
  }

  /** What was superseded may be what counts after all: the topic or the same write came again. */
  *#reviveOrInsert(record: PolicyRecord, state: 'pending' | 'published'): Steps<void> {
    const { version, hash } = record;
    const [superseded] = yield* all(
      `SELECT version FROM ${this.#table} WHERE version = ? AND hash = ?`,
      version,
      hash,
    );
    if (superseded === undefined) {
      yield* this.#dialect.insert(record, state);
      return;
    }
    yield* run(
      `UPDATE ${this.#table} SET state = ?, live_version = ?, verdict = NULL
       WHERE version = ? AND hash = ?`,
      state,
      version,
      version,
      hash,
    );
  }

  *#supersede(proposal: Proposal): Steps<void> {
    const { version } = proposal;
    if (proposal.state === 'accepted') {
      // Its text was in force here: another log than the one this database belongs to.
      const { place } = this.#dialect;
      throw new CaucusError(
        'log_damaged',
        `the log and \`${place}\` differ at policy version ${version}`,
        {
          remedy:
            'restore the log and the policy database from one copy, or move the database away',
          details: { file: place, version },
        },
      );
    }
    yield* run(
      `UPDATE ${this.#table} SET state = 'superseded', live_version = NULL WHERE live_version = ?`,
      version,
    );
  }

  /**
   * Verdicts may come in any order: the newest version of each text stays; null stands for a
   * deleted one.
   */
  *#applyTexts(version: number, changes: readonly PolicyChange[]): Steps<void> {
    const { policies } = this.#dialect;
    for (const { name, text } of changes) {
      const newer = yield* all(
        `SELECT version FROM ${policies} WHERE name = ? AND version > ?`,
        name,
        version,
      );
      if (newer.length > 0) continue;
      yield* run(`DELETE FROM ${policies} WHERE name = ?`, name);
      const stored = text === null ? null : this.#dialect.encodeText(text);
      yield* run(
        `INSERT INTO ${policies} (name, text, version) VALUES (?, ?, ?)`,
        name,
        stored,
        version,
      );
    }
  }
}
