/* What the core asks of its host. */

/**
 * Writes the shortest decimal that reads back as `value`, with `.` or `e`; answers its length (≤ 32
 * bytes).
 */
export declare function formatFloat(value: f64, to: u32): u32;

/**
 * Writes the JSON text of the value whose `length` bytes are at `from` (a date-time, address,
 * network, list or document); answers its length (≤ 7 times `length` + 64 bytes).
 */
export declare function formatEncoded(from: u32, length: u32, to: u32): u32;

/**
 * Calls function `number` with the `count` values whose `length` bytes are at `from`; writes its
 * value to `to`, if it has no more than `room` bytes. Answers the bytes of the value, or
 * 0xffffffff: the call failed. Pure: equal inputs, equal answers.
 */
export declare function callFunction(
  number: u32,
  count: u32,
  from: u32,
  length: u32,
  to: u32,
  room: u32,
): u32;

/** Writes the value of the last call, which had no room. */
export declare function takeValue(to: u32): void;

/** Steps that the last call took besides reading its inputs. */
export declare function callWork(): u32;
