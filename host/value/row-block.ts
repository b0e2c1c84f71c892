/**
 * Rows as bytes: the one encoding that the log stores, the engine reads and the engine answers in.
 *
 * A block is `count` rows of `arity` values one after another, nothing between them. A value:
 *
 *   tag u8   payload
 *   0        null          (none)
 *   1        false         (none)
 *   2        true          (none)
 *   3        int           i64 little-endian; only when it does not fit tag 6
 *   4        float         f64 little-endian; finite, never −0
 *   5        string        u32 little-endian byte length, UTF-8 bytes; only when longer than 255 bytes
 *   6        int           i32 little-endian
 *   7        string        u8 byte length, UTF-8 bytes
 *
 * Each value has exactly one encoding, so equal blocks are equal bytes.
 */
export interface RowBlock {
  readonly arity: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}
