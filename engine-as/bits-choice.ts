/*
 * Whether bits are taken (dense.ts, dense-once.ts). For tests and measurements: choose, never,
 * always, always but left after one round, always and anew at every other update.
 */
export const LAYOUT_AUTO: u32 = 0;
export const LAYOUT_ROWS: u32 = 1;
export const LAYOUT_BITS: u32 = 2;
export const LAYOUT_LEAVE: u32 = 3;
export const LAYOUT_AGAIN: u32 = 4;
export const LAYOUT_LATE: u32 = 5;

export let layout: u32 = LAYOUT_AUTO;

export function setLayout(choice: u32): void {
  layout = choice;
}

/** True when bits are taken wherever they can be, and every way of theirs is to be gone. */
export function isForcedToBits(): bool {
  return layout >= LAYOUT_BITS;
}

/** True when every other update is to begin anew. */
export function isAgainByTurns(): bool {
  return layout == LAYOUT_AGAIN;
}

/** Units evaluated over bits to the end, since the engine started. */
export let denseUnits: u32 = 0;

export function countDenseUnit(): void {
  denseUnits += 1;
}
