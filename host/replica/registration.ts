/**
 * What the policy topic says of a source: which incarnation of its topic counts, and who writes to
 * it. The text of the record: `1` for a push source, `1 fenced` for one with a driver.
 */
import { CaucusError } from '../errors.ts';

/** `push`: any writer, whole batches. `fenced`: one writer at a time, by generation. */
export type SourceKind = 'push' | 'fenced';

export interface Registration {
  readonly incarnation: number;
  readonly kind: SourceKind;
}

/** The first incarnation of a source's topic. */
export const FIRST_INCARNATION = 1;

export function registrationText({ incarnation, kind }: Registration): string {
  return kind === 'push' ? String(incarnation) : `${incarnation} ${kind}`;
}

/** Throws `unsupported_record` for what a later version may have written. */
export function parseRegistration(source: string, text: string | null): Registration {
  const [, incarnation, kind] = /^([1-9][0-9]{0,14})(?: (fenced))?$/.exec(text ?? '') ?? [];
  if (incarnation === undefined) {
    throw new CaucusError(
      'unsupported_record',
      `source \`${source}\` is registered as \`${text ?? ''}\``,
      { remedy: 'run the version of caucus that wrote it, or a later one' },
    );
  }
  return { incarnation: Number(incarnation), kind: kind === undefined ? 'push' : 'fenced' };
}

/** A source keeps its kind for ever: its topic has records of one sort. */
export function kindTaken(source: string, kind: SourceKind): CaucusError {
  return kind === 'push'
    ? new CaucusError('conflict', `source \`${source}\` is filled by pushed batches`, {
        remedy: 'give the driver another source name; rows that were pushed stay in this one',
        details: { name: source },
      })
    : new CaucusError('source_driven', `source \`${source}\` is filled by a driver`, {
        remedy: 'push to a source of another name',
        details: { name: source },
      });
}
