/** A text with its lines, so that an offset becomes a position and an error can show its line. */

/** Offsets in UTF-16 units into the text; `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}
