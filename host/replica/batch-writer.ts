/** Rows of clients: checked, made into records, written once per batch id. */
import { tableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import { BATCH_BYTES_MAX, BATCH_ID_BYTES_MAX } from '../limits.ts';
import { encodePushBatch } from '../log/batch-parts.ts';
import { idConflict, logAway, nameTaken } from './conflicts.ts';
import type { Compiled } from './program.ts';
import { kindTaken } from './registration.ts';
import type { ReplicatedState, SourceState } from './replicated-state.ts';
import type { Batch } from './replica.ts';
import { checkRows, readTexts } from './row-check.ts';
import type { RowBlock } from '../value/row-block.ts';
import type { TableShape } from './row-check.ts';
import type { Timer } from './revision-waiters.ts';
import type { Verdict } from './sequencer.ts';
import { checkName, sourceTopic } from './topics.ts';

export interface BatchWriterOptions {
  readonly state: ReplicatedState;
  readonly compiled: () => Compiled;
  readonly submit: (
    topic: string,
    records: readonly Uint8Array[],
    onCut?: () => void,
  ) => Promise<Verdict>;
  /** Makes the source known; resolves when it is. */
  readonly addSource: (name: string) => Promise<void>;
  readonly setTimer: Timer;
  /** So long the log may take to have a batch; then the caller is told that it is not known. */
  readonly logMs: number;
  /** Random per start. */
  readonly owner: string;
  readonly recordBytes: number;
}

interface Pending {
  readonly bodyDigest: string;
  readonly revision: Promise<number>;
}

export class BatchWriter {
  readonly #options: BatchWriterOptions;
  /** Batches on their way, by source and id. */
  readonly #pending = new Map<string, Pending>();
  #written = 0;

  constructor(options: BatchWriterOptions) {
    this.#options = options;
  }

  /** The revision in which the batch, or the first one with its id, was applied. */
  async write(batch: Batch): Promise<number> {
    checkName('source', batch.source);
    if (batch.id === undefined) return await this.#writeOnce(batch);
    const { key, bodyDigest } = batch.id;
    const bytes = new TextEncoder().encode(key).length;
    if (bytes === 0 || bytes > BATCH_ID_BYTES_MAX) {
      throw new CaucusError('invalid_request', `the batch id has ${bytes} bytes`, {
        remedy: `use 1 to ${BATCH_ID_BYTES_MAX} bytes`,
      });
    }
    const slot = `${batch.source}\n${key}`;
    for (;;) {
      const known = this.#options.state.sources.get(batch.source)?.batchIds.find(key);
      if (known !== undefined) {
        if (known.bodyDigest !== bodyDigest) throw idConflict(key);
        return known.revision;
      }
      const pending = this.#pending.get(slot);
      if (pending === undefined) break;
      if (pending.bodyDigest === bodyDigest) return await pending.revision;
      // The other batch may yet be refused; then its id is free.
      await pending.revision.catch(() => undefined);
    }
    const revision = this.#writeOnce(batch);
    this.#pending.set(slot, { bodyDigest, revision });
    try {
      return await revision;
    } finally {
      this.#pending.delete(slot);
    }
  }

  /** What JSON could only write as strings becomes what the declared columns hold. */
  #withTexts(batch: Batch, source: SourceState | undefined): Batch {
    const changes = batch.changes.map((change) => {
      const shape = this.#shapeOf(batch.source, change.table, source);
      if (shape === undefined) return change;
      const read = (block: RowBlock | undefined): RowBlock | undefined =>
        block === undefined ? undefined : readTexts(shape, block);
      const [removed, added] = [read(change.delete), read(change.insert)];
      return {
        ...change,
        ...(removed === undefined ? {} : { delete: removed }),
        ...(added === undefined ? {} : { insert: added }),
      };
    });
    return { ...batch, changes };
  }

  async #writeOnce(given: Batch): Promise<number> {
    const { state, addSource, owner, recordBytes } = this.#options;
    if (state.policies.has(given.source)) throw nameTaken('source', given.source, 'policy');
    const known = state.sources.get(given.source);
    const batch = this.#withTexts(given, known);
    if (known?.kind === 'fenced') throw kindTaken(batch.source, known.kind);
    this.#check(batch, known);
    const records = encodePushBatch(
      {
        owner,
        batch: ++this.#written,
        batchId: batch.id?.key ?? null,
        bodyDigest: batch.id?.bodyDigest ?? null,
        snapshot: batch.snapshot === true,
        changes: batch.changes,
      },
      recordBytes,
    );
    if (known === undefined) await addSource(batch.source);
    const source = state.sources.get(batch.source);
    if (source === undefined) throw new Error(`source ${batch.source} was added and is not there`);
    const verdict = await this.#submitInTime(sourceTopic(source.name, source.incarnation), records);
    if (verdict.kind === 'applied') return verdict.revision;
    if (verdict.kind === 'rejected') throw verdict.error;
    throw new Error('a batch was superseded');
  }

  /** An evaluation may take as long as it takes; the log may not. */
  async #submitInTime(topic: string, records: readonly Uint8Array[]): Promise<Verdict> {
    const { submit, setTimer, logMs } = this.#options;
    if (logMs === Infinity) return await submit(topic, records);
    return await new Promise((resolve, reject) => {
      const cancel = setTimer(() => reject(logAway()), logMs);
      submit(topic, records, cancel).then(resolve, reject).finally(cancel);
    });
  }

  /** What the fold will check again, so that nothing unfit reaches the log. */
  #check(batch: Batch, source: SourceState | undefined): void {
    const fixed = new Map<string, number>();
    let bytes = 0;
    for (const change of batch.changes) {
      checkName('table', change.table);
      for (const block of [change.delete, change.insert]) {
        if (block === undefined || block.count === 0) continue;
        bytes += block.bytes.length;
        const shape = this.#shapeOf(batch.source, change.table, source);
        const arity = shape?.arity ?? fixed.get(change.table) ?? block.arity;
        checkRows(`${batch.source}:${change.table}`, shape ?? { arity }, block);
        fixed.set(change.table, arity);
      }
    }
    if (bytes > BATCH_BYTES_MAX) {
      throw new CaucusError('too_large', `the batch has ${bytes} bytes of rows`, {
        remedy: `send at most ${BATCH_BYTES_MAX} bytes at once`,
      });
    }
  }

  #shapeOf(owner: string, name: string, source: SourceState | undefined): TableShape | undefined {
    const arity = source?.tables.get(name);
    const shape = this.#options.compiled().shapes.get(tableKey({ owner, name }));
    if (shape?.columns !== undefined && (arity === undefined || arity === shape.arity))
      return shape;
    return arity === undefined ? undefined : { arity };
  }
}
