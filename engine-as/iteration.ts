/* What steps that iterate have in common. */

/** What an iterating step came to. */
export const FOUND: u32 = 0;
export const EXHAUSTED: u32 = 1;
export const PAUSED: u32 = 2;
/** Rows or items that one step tries before it looks at the budget again. */
export const TRIES_MAX: u32 = 8192;
