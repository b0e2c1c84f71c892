/** The manual is held against the table of options. `UPDATE=1` writes the tables anew. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { OPTION_LIST } from '../../host/config/options.ts';
import { MANUAL_TABLES } from './manual-tables.ts';

const UPDATE = process.env['UPDATE'] === '1';
const TABLES: Readonly<Record<string, readonly string[]>> = {
  'docs/CLI.md': ['flags'],
  'docs/CONFIGURATION.md': ['options', 'drivers', 'congress', 'codes'],
};

/** What stands between the marks of a table; undefined where there are none. */
function marked(text: string, name: string): RegExpExecArray | null {
  return new RegExp(`(<!-- table: ${name} -->\\n)((?:(?!<!--)[\\s\\S])*)(\\n<!-- end -->)`).exec(
    text,
  );
}

for (const [file, names] of Object.entries(TABLES)) {
  for (const name of names) {
    test(`${file} has the table of ${name} as it is`, () => {
      const text = readFileSync(file, 'utf8');
      const expected = MANUAL_TABLES[name]?.() ?? '';
      const found = marked(text, name);
      assert.ok(found !== null, `<!-- table: ${name} --> in ${file}`);
      if (UPDATE) {
        writeFileSync(
          file,
          text.replace(found[0], () => `${found[1]}${expected}${found[3]}`),
        );
      } else assert.equal(found[2], expected, `UPDATE=1 node --test … writes ${file} anew`);
    });
  }
}

test('control: the tables have every option, flag, variable and default', () => {
  const options = MANUAL_TABLES['options']?.() ?? '';
  const flags = MANUAL_TABLES['flags']?.() ?? '';
  for (const option of OPTION_LIST) {
    assert.ok(options.includes(`\`${option.key}\``), option.key);
    if (option.flag !== undefined) assert.ok(flags.includes(`\`${option.flag}\``), option.flag);
    if (option.variable !== undefined) assert.ok(options.includes(option.variable), option.key);
    if (option.form === 'scalar' && option.fallback !== undefined) {
      assert.ok(options.includes(`\`${option.fallback}\``), option.key);
    }
  }
});
