import type { History } from '../../support/history.ts';
import type { Reference } from '../reference.ts';

/** The invariants of the design, and that a run comes to rest. */
export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'rest';

export interface Violation {
  readonly invariant: Invariant;
  readonly message: string;
}

/** The reference is of the log that the history ends with. */
export type Checker = (history: History, reference: Reference) => Violation[];
