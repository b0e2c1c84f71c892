/**
 * Loaded before the program of a node (`node --import`), this makes its core lose rows: the next
 * batch of `LOST_ROWS` rows or more that goes into it after the file has come to be that the
 * variable names. Nothing of the program itself knows of this.
 */
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const LOSS_VARIABLE = 'TEST_CORE_LOSES_ROWS';
export const LOST_ROWS = 5;

/** What a node needs in its environment; `file`: makes it lose rows. */
export function losingCore(file: string): Readonly<Record<string, string>> {
  const own = fileURLToPath(import.meta.url);
  return { NODE_OPTIONS: `--import=${own}`, [LOSS_VARIABLE]: file };
}

type Exports = Record<string, unknown>;
type ChangeRows = (...call: [number, number, number, number, number]) => number;
declare const WebAssembly: {
  instantiate(module: object, imports: object): Promise<{ readonly exports: Exports }>;
};

const file = process.env[LOSS_VARIABLE];
if (file !== undefined) loseRowsOnce(file);

function loseRowsOnce(trigger: string): void {
  const instantiate = WebAssembly.instantiate.bind(WebAssembly);
  WebAssembly.instantiate = async (module, imports) => {
    const { exports } = await instantiate(module, imports);
    const change = exports['changeBaseRows'] as ChangeRows;
    const changeBaseRows: ChangeRows = (handle, pointer, bytes, rows, insert) => {
      const isLost = rows >= LOST_ROWS && insert !== 0 && existsSync(trigger);
      if (!isLost) return change(handle, pointer, bytes, rows, insert);
      rmSync(trigger);
      return 0;
    };
    return { exports: { ...exports, changeBaseRows } };
  };
}
