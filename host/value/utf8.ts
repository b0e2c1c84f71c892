/**
 * Text as bytes: the platform's decoder costs a call per string, which short strings should not
 * pay.
 */

/** Below this length a loop over ASCII units beats the call into the decoder or encoder. */
export const ASCII_LOOP_UNITS_MAX = 64;

// Without ignoreBOM a leading U+FEFF would vanish from the string.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of bytes known to be UTF-8. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  if (to - from <= ASCII_LOOP_UNITS_MAX) {
    let text = '';
    let index = from;
    for (; index < to; index++) {
      const byte = bytes[index] as number;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (index === to) return text;
  }
  return decoder.decode(bytes.subarray(from, to));
}

/** Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  let index = from;
  while (index < to) {
    const lead = bytes[index++] as number;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const second = index < to ? (bytes[index++] as number) : 0;
    if ((second & 0xc0) !== 0x80) return false;
    if (lead < 0xe0) continue;
    if (lead === 0xe0 && second < 0xa0) return false;
    if (lead === 0xed && second >= 0xa0) return false;
    if (lead === 0xf0 && second < 0x90) return false;
    if (lead === 0xf4 && second >= 0x90) return false;
    const rest = lead < 0xf0 ? 1 : 2;
    for (let step = 0; step < rest; step++) {
      const next = index < to ? (bytes[index++] as number) : 0;
      if ((next & 0xc0) !== 0x80) return false;
    }
  }
  return true;
}
