/** A text with its lines, so that an offset becomes a position and an error can show its line. */

/** Offsets in UTF-16 units into the text; `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** 1-based; columns count Unicode code points. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

export class SourceText {
  readonly text: string;
  readonly #lineStarts: readonly number[];
  /**
   * Last position asked for: a column is counted on from it, so that sorted questions cost one
   * pass.
   */
  #cursor = { lineIndex: 0, offset: 0, column: 1 };

  constructor(text: string) {
    this.text = text;
    const starts = [0];
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
  }

  get lineCount(): number {
    return this.#lineStarts.length;
  }

  position(offset: number): TextPosition {
    const bounded = Math.max(0, Math.min(offset, this.text.length));
    const lineIndex = this.#lineIndex(bounded);
    let from = this.#lineStarts[lineIndex] ?? 0;
    let column = 1;
    if (this.#cursor.lineIndex === lineIndex && this.#cursor.offset <= bounded) {
      from = this.#cursor.offset;
      column = this.#cursor.column;
    }
    column += codePointCount(this.text, from, bounded);
    this.#cursor = { lineIndex, offset: bounded, column };
    return { line: lineIndex + 1, column };
  }

  /** Line `line` (1-based) without its end. */
  line(line: number): string {
    const start = this.#lineStarts[line - 1];
    if (start === undefined) return '';
    const next = this.#lineStarts[line];
    const end = next === undefined ? this.text.length : next - 1;
    return this.text.slice(start, this.text[end - 1] === '\r' && end > start ? end - 1 : end);
  }

  lineStart(line: number): number {
    return this.#lineStarts[line - 1] ?? this.text.length;
  }

  #lineIndex(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

const WINDOW_COLUMNS = 120;

/**
 * The line of `span.start` and the carets under the span's part of it; at least one caret. Long
 * lines are cut to a window around the span. Control characters are shown as `�`, so that a text
 * cannot write to the terminal.
 */
export function caretLines(source: SourceText, span: Span): { line: string; carets: string } {
  const { line: lineNumber } = source.position(span.start);
  const lineStart = source.lineStart(lineNumber);
  const line = source.line(lineNumber);
  const from = Math.min(Math.max(span.start - lineStart, 0), line.length);
  const to = Math.min(Math.max(span.end - lineStart, from), line.length);
  const before = Array.from(line.slice(0, from));
  const marked = Array.from(line.slice(from, to));
  const after = Array.from(line.slice(to));
  const shown = Math.min(Math.max(marked.length, 1), WINDOW_COLUMNS);
  const room = Math.max(WINDOW_COLUMNS - shown, 20);
  const cutBefore = before.length > room ? before.length - (room >> 1) : 0;
  const head = (cutBefore > 0 ? ['…'] : []).concat(before.slice(cutBefore));
  const roomAfter = Math.max(room - head.length, 0);
  const tail = marked.slice(shown).concat(after);
  const cutTail = tail.length > roomAfter ? tail.slice(0, roomAfter).concat('…') : tail;
  return {
    line: printable(head.concat(marked.slice(0, shown), cutTail).join('')),
    carets: head.map((char) => (char === '\t' ? '\t' : ' ')).join('') + '^'.repeat(shown),
  };
}

// Tabs stay: the caret line repeats them. U+202A..202E and U+2066..2069 reorder what is shown.
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE =
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;

export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}

function codePointCount(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; count++) {
    at += (text.codePointAt(at) ?? 0) > 0xffff && at + 1 < end ? 2 : 1;
  }
  return count;
}

/** Whether a text has more UTF-8 bytes than `bound`. Lone surrogates count as 3. */
export function exceedsUtf8(text: string, bound: number): boolean {
  if (text.length * 3 <= bound) return false;
  let bytes = 0;
  for (let at = 0; at < text.length && bytes <= bound; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(at + 1))) {
      bytes += 4;
      at++;
    } else bytes += 3;
  }
  return bytes > bound;
}

export function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

export function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
