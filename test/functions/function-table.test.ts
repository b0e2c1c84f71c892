import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { functionTables } from './function-table.ts';

const PAGE = 'docs/LANGUAGE.md';
const BEGIN = '<!-- functions -->\n';
const END = '<!-- end of functions -->';

test('the page tells of all functions; UPDATE=1 writes it', () => {
  const page = readFileSync(PAGE, 'utf8');
  const start = page.indexOf(BEGIN) + BEGIN.length;
  const end = page.indexOf(END);
  assert.ok(start >= BEGIN.length && end >= start);
  const tables = `\n${functionTables()}\n\n`;
  if (process.env['UPDATE'] === '1') {
    writeFileSync(PAGE, page.slice(0, start) + tables + page.slice(end));
  } else assert.equal(page.slice(start, end), tables);
});
