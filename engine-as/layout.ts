/* Numbers of the core's own structures; nothing outside `engine-as` needs them. */

/** Rows, values and positions live in segments of 4096. */
export const SEGMENT_SHIFT: u32 = 12;
export const SEGMENT_COUNT: u32 = 1 << SEGMENT_SHIFT;
export const SEGMENT_MASK: u32 = SEGMENT_COUNT - 1;

/** First cell that stands for an entry of the value table. */
export const ID_CELL_BASE: u32 = 16;
