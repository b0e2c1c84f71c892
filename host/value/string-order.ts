/**
 * By code point, which is the order of the UTF-8 bytes. Not JavaScript's `<`: that one compares
 * UTF-16 units.
 */
export function compareStrings(a: string, b: string): -1 | 0 | 1 {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const unitA = a.charCodeAt(index);
    const unitB = b.charCodeAt(index);
    if (unitA !== unitB) return byteOrderOfUnit(unitA) < byteOrderOfUnit(unitB) ? -1 : 1;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

/** Moves the surrogates (code points from 0x10000 on) behind the rest of the basic plane. */
function byteOrderOfUnit(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
