/**
 * The values of the language, as the host holds them.
 *
 * `bigint` is a 64-bit signed integer and `number` is a finite float: the JavaScript type *is* the
 * language type, so 1n and 1 are different values (`1 ≠ 1.0`). −0, NaN and infinities are no values.
 */
export type Value = null | boolean | bigint | number | string;
export type Row = readonly Value[];

export const INT_MIN = -(2n ** 63n);
export const INT_MAX = 2n ** 63n - 1n;
