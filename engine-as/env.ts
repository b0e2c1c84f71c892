/* What the core asks of its host. */

/**
 * Writes the shortest decimal that reads back as `value`, with `.` or `e`; answers its length (≤ 32
 * bytes).
 */
export declare function formatFloat(value: f64, to: u32): u32;
