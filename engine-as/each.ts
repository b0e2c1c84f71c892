/* The step that goes through the items of a list. */
import { TAG_LIST } from './abi';
import { EXHAUSTED, FOUND, PAUSED, TRIES_MAX } from './iteration';
import { readBytes, readCell } from './row-codec';
import { isEncoded, NO_CELL, stringBytes, stringLength } from './value-table';

/** Items that the last call tried. */
export let eachTries: u32 = 0;

/** Cursor of EACH: | offset of the next item in the list's bytes | their number |. */
export function openEach(pc: u32, frame: u32): void {
  const cursor = frame + load<u32>(pc, 8);
  const list = load<u32>(frame + load<u32>(pc, 12));
  const isList = isEncoded(list) && load<u8>(stringBytes(list)) == TAG_LIST;
  store<u32>(cursor, 5);
  store<u32>(cursor, isList ? stringLength(list) : 0, 4);
}

/** FOUND, EXHAUSTED, PAUSED, or NO_CELL without memory. */
export function nextEach(pc: u32, frame: u32): u32 {
  const cursor = frame + load<u32>(pc, 8);
  const output = frame + load<u32>(pc, 16);
  const isCheck = load<u32>(pc, 20) != 0;
  const end = load<u32>(cursor, 4);
  let at = load<u32>(cursor);
  for (eachTries = 0; at < end; eachTries++) {
    if (eachTries == TRIES_MAX) {
      store<u32>(cursor, at);
      return PAUSED;
    }
    const bytes = stringBytes(load<u32>(frame + load<u32>(pc, 12)));
    const cell = readCell(bytes + at, bytes + end);
    if (cell == NO_CELL) return NO_CELL;
    at += readBytes;
    if (isCheck && load<u32>(output) != cell) continue;
    store<u32>(output, cell);
    store<u32>(cursor, at);
    return FOUND;
  }
  store<u32>(cursor, at);
  return EXHAUSTED;
}
