/**
 * The values of a row → cells in the core's check area (engine-as/check.ts). Small ints, null and
 * booleans become cells here, the others by a look into the core's value table, which takes nothing
 * up. Short texts are written to the core in less time than a map would need to find their cells,
 * so nothing is kept from one row to the next but views of memory.
 */
import { ARITY_MAX, CHECK_TEXT_BYTES } from '../../engine-as/abi.ts';
import { encodeRows } from '../value/row-block.ts';
import { ASCII_LOOP_UNITS_MAX } from '../value/utf8.ts';
import type { Value } from '../value/value.ts';
import type { Core } from './core.ts';

/* Of engine-as/value-table.ts. */
const CELL_NULL = 0;
const CELL_FALSE = 2;
const CELL_TRUE = 4;
/** No row has it: the value is none that the core knows. */
const NO_CELL = -2;

const TEXT_AT = ARITY_MAX * 4;
/** An int, and its two words. */
const wide = new BigInt64Array(1);
const words = new Int32Array(wide.buffer);
const [LOW, HIGH] = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

export class CheckArea {
  readonly #core: Core;
  readonly #address: number;
  /** Has no bytes once memory grew: then both views are made anew. */
  #bytes: Uint8Array;
  #cells: DataView;

  constructor(core: Core) {
    this.#core = core;
    this.#address = core.exports.checkArea() >>> 0;
    this.#bytes = core.view(this.#address, TEXT_AT + CHECK_TEXT_BYTES);
    this.#cells = new DataView(this.#bytes.buffer, this.#address, TEXT_AT);
  }

  /**
   * False where one of the values stands in no row at all. At most `ARITY_MAX` values; throws
   * `invalid_row` for what is no value.
   */
  put(values: readonly Value[]): boolean {
    for (let column = 0; column < values.length; column++) {
      const cell = this.#cellOf(values[column] as Value);
      if (cell === NO_CELL) return false;
      if (this.#bytes.length === 0) this.#renew();
      this.#cells.setInt32(column * 4, cell, true);
    }
    return true;
  }

  #cellOf(value: Value): number {
    switch (typeof value) {
      case 'bigint': {
        wide[0] = value;
        const low = words[LOW] as number;
        const isSmall = low >> 30 === low >> 31 && words[HIGH] === low >> 31;
        // The words of an int beyond 64 bits may be those of a small one.
        return isSmall && wide[0] === value ? (low << 1) | 1 : this.#find(value);
      }
      case 'string':
        return this.#findText(value);
      case 'boolean':
        return value ? CELL_TRUE : CELL_FALSE;
      default:
        return value === null ? CELL_NULL : this.#find(value);
    }
  }

  #findText(text: string): number {
    const { length } = text;
    if (length > ASCII_LOOP_UNITS_MAX) return this.#find(text);
    if (this.#bytes.length === 0) this.#renew();
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) return this.#find(text);
      bytes[TEXT_AT + index] = unit;
    }
    return this.#core.exports.findText(length);
  }

  /** Any value, by its bytes. */
  #find(value: Value): number {
    const { bytes } = encodeRows(1, [[value]]);
    return this.#core.exports.findValue(this.#core.write(bytes), bytes.length);
  }

  #renew(): void {
    this.#bytes = this.#core.view(this.#address, TEXT_AT + CHECK_TEXT_BYTES);
    this.#cells = new DataView(this.#bytes.buffer, this.#address, TEXT_AT);
  }
}
