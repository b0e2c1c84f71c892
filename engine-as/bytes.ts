/* Bytes eight at a time, where there are more than that. */

/** Two strings of one length, which is more than 8 bytes. */
export function sameBytes(a: u32, b: u32, length: u32): bool {
  const last = length - 8;
  for (let at: u32 = 0; at < last; at += 8) {
    if (load<u64>(a + at) != load<u64>(b + at)) return false;
  }
  return load<u64>(a + last) == load<u64>(b + last);
}

/** More than 8 bytes; a call of memory.copy takes longer than the few words that most have. */
export function copyBytes(to: u32, from: u32, length: u32): void {
  const last = length - 8;
  if (length > 256) {
    memory.copy(to, from, length);
    return;
  }
  for (let at: u32 = 0; at < last; at += 8) store<u64>(to + at, load<u64>(from + at));
  store<u64>(to + last, load<u64>(from + last));
}
