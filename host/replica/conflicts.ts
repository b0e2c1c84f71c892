/** Errors that the writer finds before the log and the fold after it. */
import { CaucusError } from '../errors.ts';

export function idConflict(key: string): CaucusError {
  return new CaucusError('conflict', `batch id \`${key}\` was used with another body`, {
    remedy: 'use a new id for a new body; repeat the same body to get the first answer',
    details: { id: key },
  });
}

export function nameTaken(what: 'policy' | 'source', name: string, other: string): CaucusError {
  return new CaucusError('conflict', `\`${name}\` is already the name of a ${other}`, {
    remedy: `choose another name for the ${what}: tables of both would be \`${name}:…\``,
    details: { name },
  });
}

/** Throws `unsupported_record`, which stops a replica: it would get other results. */
export function expectKnownLevel(level: number, known: number): void {
  if (level <= known) return;
  throw new CaucusError('unsupported_record', `semantics level ${level} is not known here`, {
    remedy: 'run a later version of caucus on this node',
    details: { level, known },
  });
}

export function logAway(): CaucusError {
  return new CaucusError('log_unavailable', 'the log cannot be reached', {
    remedy: 'send it again in a moment: a batch with an id counts once',
  });
}
