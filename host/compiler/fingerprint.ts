/**
 * A 106-bit hash of a text, for telling definitions apart: a multiply-xorshift mix of UTF-16 units,
 * twice.
 */
export function fingerprint(text: string): string {
  let a = BEGIN_A;
  let b = BEGIN_B;
  let c = BEGIN_A ^ SEED;
  let d = BEGIN_B ^ SEED;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
    c = Math.imul(c ^ unit, 2654435761);
    d = Math.imul(d ^ unit, 1597334677);
  }
  return finish53(a, b) + finish53(c, d);
}

const BEGIN_A = 0xdeadbeef;
const BEGIN_B = 0x41c6ce57;
const SEED = 0x9e3779b9;

function finish53(first: number, second: number): string {
  let [a, b] = [first, second];
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36).padStart(11, '0');
}
