/* Ints and floats by value. */

/** Sign of int − float, by value, exactly: no rounding of a large int. */
export function compareIntFloat(int: i64, float: f64): i32 {
  if (float >= 9223372036854775808.0) return -1;
  if (float < -9223372036854775808.0) return 1;
  const whole = trunc(float);
  const other = whole as i64;
  if (int != other) return int < other ? -1 : 1;
  return float > whole ? -1 : float < whole ? 1 : 0;
}
