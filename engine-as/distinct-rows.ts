/*
 * Whether a version gives each head row once: that is so where the head holds all that its loops
 * bind, because a body of sets has no two solutions that are alike. Found while the code of the
 * version is decoded.
 */
import { MATCH_EACH, REGISTERS_MAX } from './abi';

/** A byte a register: a loop binds it. */
const iterated: u32 = memory.data(1024, 8) as u32;
let isDistinct: bool = true;

function bitOf(column: u32): u64 {
  const one: u64 = 1;
  return one << (column as u64);
}

/** Before the code of a version. */
export function beginDistinct(): void {
  memory.fill(iterated, 0, REGISTERS_MAX);
  isDistinct = true;
}

/** A step that may give a value more than once. */
export function noteRepetition(): void {
  isDistinct = false;
}

/**
 * A SCAN or LOOKUP, decoded, of a relation with so many columns; `index`: address of the columns of
 * its index.
 */
export function noteIteration(pc: u32, arity: u32, index: u32, indexCount: u32): void {
  if (load<u32>(pc, 20) != MATCH_EACH) return;
  // A column that nothing reads may differ where all others agree.
  let read: u64 = 0;
  for (let i: u32 = 0; i < indexCount; i++) read |= bitOf(load<u32>(index + (i << 2)));
  const binds = load<u32>(pc, 32);
  const pairs = pc + 40;
  for (let i: u32 = 0; i < binds + load<u32>(pc, 36); i++) {
    read |= bitOf(load<u32>(pairs + (i << 3)) >> 2);
    if (i >= binds) continue;
    const register = iterated + (load<u32>(pairs + (i << 3), 4) >> 2);
    if (load<u8>(register) != 0) isDistinct = false;
    store<u8>(register, 1);
  }
  if ((popcnt(read) as u32) != arity) isDistinct = false;
}

/** The EMIT of the version, decoded: are its rows distinct? */
export function givesDistinct(registers: u32, arity: u32): bool {
  for (let i: u32 = 0; i < arity; i++)
    store<u8>(iterated + (load<u32>(registers + (i << 2)) >> 2), 0);
  for (let i: u32 = 0; i < (REGISTERS_MAX as u32); i++)
    if (load<u8>(iterated + i) != 0) return false;
  return isDistinct;
}
