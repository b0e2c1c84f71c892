/**
 * Writes a source's topic and its cuts into the log itself, as processes without a replica do: what
 * the replicas then spend is spent on reading.
 */
import { encodePushBatch } from '../../host/log/batch-parts.ts';
import type { Log } from '../../host/log/log.ts';
import { encodeRecord, recordChecksum } from '../../host/log/records.ts';
import type { RecordChange, Vector } from '../../host/log/records.ts';
import { CUTS_TOPIC, sourceTopic } from '../../host/replica/topics.ts';
import { CutProposer } from '../../host/sources/cut-proposer.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';

/** The source must be known to the replicas, by a batch that one of them took. */
export class SourceLog {
  readonly #log: Log;
  readonly #topic: string;
  readonly #proposer: CutProposer;
  #written = 0;

  constructor(log: Log, source: string) {
    this.#log = log;
    this.#topic = sourceTopic(source, 1);
    this.#proposer = new CutProposer(log, Date.now);
  }

  /** For an `append` before anything else. */
  async open(): Promise<void> {
    await this.#log.ensureTopic(this.#topic);
    await this.#log.ensureTopic(CUTS_TOPIC);
  }

  /** One batch and a cut that names it; resolves when both are in the log. */
  async write(table: string, rows: readonly Row[]): Promise<void> {
    const record = this.#record(table, rows);
    const { first } = await this.#log.append(this.#topic, [record]);
    this.#proposer.raise(this.#topic, { end: first + 1, checksum: recordChecksum(record) });
    await this.#proposer.cut();
  }

  /**
   * A history: each batch with a cut of its own, as a replica would write them. Nobody else may be
   * writing; resolves with the last revision.
   */
  async writeHistory(table: string, batches: readonly (readonly Row[])[]): Promise<number> {
    const records = batches.map((rows) => this.#record(table, rows));
    const { first, offsets } = await this.#log.append(this.#topic, records);
    if (offsets !== undefined) throw new Error('somebody else writes to the topic of the source');
    let revision = (await this.#log.bounds(CUTS_TOPIC)).end - 1;
    const timeMs = Date.now();
    let before: Vector = [];
    const cuts = records.map((record, index) => {
      const end = first + index + 1;
      const vector = [{ topic: this.#topic, end, checksum: recordChecksum(record) }];
      const asOf = { offset: revision, timeMs, vector: before };
      before = vector;
      revision++;
      return encodeRecord({ kind: 'cut', vector, timeMs, asOf });
    });
    await this.#log.append(CUTS_TOPIC, cuts);
    return revision;
  }

  #record(table: string, rows: readonly Row[]): Uint8Array {
    const change: RecordChange = { table, insert: encodeRows(rows[0]?.length ?? 0, rows) };
    const [record, ...more] = encodePushBatch({
      owner: 'bench',
      batch: ++this.#written,
      batchId: null,
      bodyDigest: null,
      snapshot: false,
      changes: [change],
    });
    if (record === undefined || more.length > 0) throw new Error('a batch is one record here');
    return record;
  }
}
