/** Rows pushed into a source: one body is one atomic batch. */
import { CaucusError } from '../errors.ts';
import { BatchBuilder, BatchLines, readJsonBatch } from './batch-body.ts';
import { bodyKind, bodyPieces, readBody } from './body.ts';
import { jsonOf } from './json-text.ts';
import type { Route } from './route-table.ts';

export const batchRoute: Route = {
  method: 'POST',
  path: '/v1/sources/<source>/batches',
  query: [],
  async handle({ replica, limits }, { message, parameters }) {
    const source = parameters['source'] as string;
    const builder = new BatchBuilder();
    const idleMsMax = limits.bodyIdleMsMax;
    if (bodyKind(message, ['json', 'ndjson']) === 'json') {
      const bytes = await readBody(message, { bytesMax: limits.jsonBodyBytesMax, idleMsMax });
      readJsonBatch(bytes, builder);
    } else {
      const lines = new BatchLines(builder, limits.ndjsonLineBytesMax);
      const bytesMax = limits.ndjsonBodyBytesMax;
      for await (const piece of bodyPieces(message, { bytesMax, idleMsMax })) {
        lines.add(piece);
        if (builder.byteLength > limits.batchBytesMax) throw tooManyRows(limits.batchBytesMax);
      }
      lines.end();
    }
    const { revision, token } = await replica.writeBatch(builder.finish(source));
    return { status: 200, body: jsonOf({ revision, token }) };
  },
};

function tooManyRows(bytesMax: number): CaucusError {
  return new CaucusError('too_large', `the rows of the batch take more than ${bytesMax} bytes`, {
    remedy: 'send it in several batches',
    details: { bytesMax },
  });
}
