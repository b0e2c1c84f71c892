import type { Span } from './source-text.ts';

/** One thing wrong (or doubtful) in a text. `code` is stable, kebab-case: `unbound-variable`. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  /** Lower case, no full stop, the user's words in backticks. */
  readonly message: string;
  readonly span: Span;
  /** 1-based, of `span.start`; columns count Unicode code points. */
  readonly line: number;
  readonly column: number;
  /** What to do about it. */
  readonly note?: string;
  /** Policy or file that the text belongs to. */
  readonly source?: string;
}
