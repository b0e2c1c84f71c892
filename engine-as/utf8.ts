/* UTF-8 as it is read from outside. */
import { shortWord } from './hash';

/**
 * Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing past
 * U+10FFFF.
 */
export function isUtf8(pointer: u32, length: u32): bool {
  if (length <= 8 && (shortWord(pointer, length) & 0x8080808080808080) == 0) return true;
  const start = pointer;
  const end = pointer + length;
  while (pointer < end) {
    // What is left of a text of ASCII letters is in its last word.
    const last = pointer + 8 > end && pointer >= start + 8;
    if (last && (load<u64>(end - 8) & 0x8080808080808080) == 0) return true;
    if (pointer + 8 <= end && (load<u64>(pointer) & 0x8080808080808080) == 0) {
      pointer += 8;
      continue;
    }
    const lead = load<u8>(pointer) as u32;
    pointer += 1;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    let low: u32 = 0x80;
    let high: u32 = 0xbf;
    if (lead == 0xe0) low = 0xa0;
    else if (lead == 0xed) high = 0x9f;
    else if (lead == 0xf0) low = 0x90;
    else if (lead == 0xf4) high = 0x8f;
    const more: u32 = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (pointer + more > end) return false;
    for (let i: u32 = 0; i < more; i++) {
      const byte = load<u8>(pointer + i) as u32;
      if (byte < low || byte > high) return false;
      low = 0x80;
      high = 0xbf;
    }
    pointer += more;
  }
  return true;
}
