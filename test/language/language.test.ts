import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { NAIVE } from '../fuzz/engine-kind.ts';
import type { EngineKind } from '../fuzz/engine-kind.ts';
import { engineKinds } from '../fuzz/engines.ts';
import { randomFrom } from '../support/random.ts';
import {
  isAnswer,
  runAtOnce,
  runIncrementally,
  runReprinted,
  runShuffled,
  withoutOrdinals,
} from './modes.ts';
import type { BlockResult } from './modes.ts';
import { parseScript, printScript } from './script.ts';
import type { Block, ScriptCase } from './script.ts';

const FOLDER = 'test/language';
const UPDATE = process.env['UPDATE'] === '1';
/** Of the shuffled mode; SEED=n repeats a run. */
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const ENGINES: readonly EngineKind[] = [NAIVE, ...(await engineKinds())];

for (const file of readdirSync(FOLDER)
  .filter((name) => name.endsWith('.txt'))
  .sort()) {
  const cases = parseScript(readFileSync(path.join(FOLDER, file), 'utf8'));
  if (UPDATE) test(`${file}: expectations are rewritten`, () => rewrite(file, cases));
  else for (const script of cases) defineTests(`${file}: ${script.title}`, script);
}

function defineTests(title: string, script: ScriptCase): void {
  const expected = script.blocks.map((block) => block.expected);
  const reference = runIncrementally(NAIVE, script);
  // The tests report it; without one that waits for it, a rejection would end the process.
  reference.catch(() => undefined);
  const contents = async (): Promise<BlockResult['contents'][]> =>
    (await reference).map((result) => result.contents);

  for (const kind of ENGINES) {
    const name = `${title} (${kind.name})`;
    test(`${name}: incrementally, as written and as the reference`, async () => {
      const results = await runIncrementally(kind, script);
      results.forEach(({ lines }, index) => {
        assert.deepEqual(lines, expected[index], `block of line ${script.blocks[index]?.line}`);
      });
      assert.deepEqual(
        results.map((result) => result.contents),
        await contents(),
      );
    });
    test(`${name}: in one batch`, async () => {
      const result = await runAtOnce(kind, script);
      assert.deepEqual(result?.contents, (await contents()).at(-1));
      assert.deepEqual(result?.lines, expected.at(-1)?.filter(isAnswer));
    });
    test(`${name}: shuffled, SEED=${SEED}`, async () => {
      const results = await runShuffled(kind, script, randomFrom(SEED));
      assert.deepEqual(
        results.map((result) => withoutOrdinals(result.contents)),
        (await contents()).map(withoutOrdinals),
      );
    });
    test(`${name}: printed and reparsed`, async () => {
      const results = await runReprinted(kind, script);
      assert.deepEqual(
        results.map((result) => result.contents),
        await contents(),
      );
    });
  }
}

async function rewrite(file: string, cases: readonly ScriptCase[]): Promise<void> {
  const lines = new Map<Block, readonly string[]>();
  for (const script of cases) {
    const results = await runIncrementally(NAIVE, script);
    script.blocks.forEach((block, index) => lines.set(block, results[index]?.lines ?? []));
  }
  writeFileSync(
    path.join(FOLDER, file),
    printScript(cases, (block) => lines.get(block) ?? []),
  );
}
