import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileWithTests } from '../../host/compiler/compile-tests.ts';
import { DIAGNOSTIC_CODES } from '../../host/compiler/diagnostic.ts';
import { render } from './compile-text.ts';

const MANUAL = readFileSync('docs/LANGUAGE.md', 'utf8');

interface Block {
  readonly line: number;
  readonly tag: string;
  readonly code: string | undefined;
  readonly policies: Readonly<Record<string, string>>;
}

/** A line `// policy: name` begins another policy. */
function policiesOf(body: string): Record<string, string> {
  const parts = body.split(/^\/\/ policy: (\w+)\n/m);
  const policies: Record<string, string> = {};
  if (parts[0] !== '') policies['example'] = parts[0] ?? '';
  for (let at = 1; at < parts.length; at += 2) policies[parts[at] ?? ''] = parts[at + 1] ?? '';
  return policies;
}

const BLOCKS: readonly Block[] = [...MANUAL.matchAll(/^```(\S+)(?: (\S+))?\n([^]*?)^```$/gm)].map(
  ({ index, 1: tag = '', 2: code, 3: body = '' }) => ({
    line: MANUAL.slice(0, index).split('\n').length,
    tag,
    code,
    policies: policiesOf(body),
  }),
);

for (const { line, tag, code, policies } of BLOCKS) {
  test(`LANGUAGE.md:${line} ${tag} ${code ?? ''}`, () => {
    const catalog = Object.entries(policies).map(([name, text]) => ({ name, text }));
    const { diagnostics } = compileWithTests({ policies: catalog, sources: [] });
    const shown = render(diagnostics, policies);
    const errors = diagnostics.filter((one) => one.severity === 'error').map((one) => one.code);
    const warnings = diagnostics.filter((one) => one.severity === 'warning').map((one) => one.code);
    switch (tag) {
      case 'policy':
        assert.deepEqual(errors, [], shown);
        assert.deepEqual(
          warnings.filter((one) => !/^un.*-table$/.test(one)),
          [],
          shown,
        );
        break;
      case 'policy-warning':
        assert.deepEqual(errors, [], shown);
        assert.ok(warnings.includes(code ?? ''), shown);
        break;
      case 'policy-error':
        assert.ok(errors.includes(code ?? ''), shown);
        assert.deepEqual(new Set(errors).size, 1, shown);
        break;
      default:
        assert.fail(`no such kind of example: ${tag}`);
    }
  });
}

test('the manual has examples of every kind', () => {
  const tags = BLOCKS.map((block) => block.tag);
  assert.ok(tags.filter((tag) => tag === 'policy').length > 10);
  assert.ok(tags.filter((tag) => tag === 'policy-error').length > 10);
  assert.equal(tags.length, (MANUAL.match(/^```\S/gm) ?? []).length);
});

test('the manual lists every diagnostic code with its meaning, and no other', () => {
  const [, listed = ''] = MANUAL.split('## Diagnostics');
  const rows = [...listed.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map((row) => [row[1], row[2]]);
  assert.deepEqual(Object.fromEntries(rows), DIAGNOSTIC_CODES);
});
