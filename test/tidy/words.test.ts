import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { readTree, treeOf, type Findings, type SourceTree } from './source-tree.ts';

/** Names that say nothing: files, folders, classes, interfaces and types may not carry them. */
const EMPTY_NAMES = [
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'manager',
  'handler',
  'processor',
  'misc',
];

/** Written in pieces, so that this file does not contain what it looks for. */
const PRIVATE: readonly (readonly [pattern: RegExp, what: string])[] = [
  [new RegExp('/wo' + 'rk/'), 'a path of one machine'],
  [new RegExp('/ho' + 'me/[a-z]'), 'a path of one machine'],
  [new RegExp('/ro' + 'ot/'), 'a path of one machine'],
  [new RegExp('/t' + 'mp/(brief|build-)'), 'a path of one machine'],
  [/registry\.[a-z-]+\.(org|com|io|net)/, 'the host of a package registry'],
  [/\b(TODO|FIXME|XXX)\b(?!`)/, 'work that is left; do it or open an issue'],
];

function namesOf(file: string): string[] {
  return file
    .replace(/\.[^/]*$/, '')
    .split('/')
    .flatMap((part) => part.split('-'));
}

function emptyNames(tree: SourceTree): Findings {
  const findings: string[] = [];
  for (const [file, text] of tree) {
    for (const name of namesOf(file)) {
      if (EMPTY_NAMES.includes(name)) findings.push(`${file}: \`${name}\` says nothing`);
    }
    if (!file.endsWith('.ts')) continue;
    for (const [, name] of text.matchAll(
      /^\s*(?:export )?(?:abstract )?(?:class|interface|type) (\w+)/gm,
    )) {
      const words = (name ?? '').split(/(?=[A-Z])/).map((word) => word.toLowerCase());
      const empty = words.find((word) => EMPTY_NAMES.includes(word));
      if (empty !== undefined) findings.push(`${file}: \`${name}\` says nothing with \`${empty}\``);
    }
  }
  return findings;
}

function privateWords(tree: SourceTree): Findings {
  const findings: string[] = [];
  for (const [file, text] of tree) {
    if (file === SELF) continue;
    for (const [index, line] of text.split('\n').entries()) {
      for (const [pattern, what] of PRIVATE) {
        if (pattern.test(line)) findings.push(`${file}:${index + 1} contains ${what}`);
      }
    }
  }
  return findings;
}

const SELF = 'test/tidy/words.test.ts';

function badFileNames(tree: SourceTree): Findings {
  return [...tree.keys()]
    .filter(
      (file) => /^(engine-as|host|drivers|deploy|test|bench)\//.test(file) && file.endsWith('.ts'),
    )
    .filter(
      (file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.as|\.d)?\.ts$/.test(path.posix.basename(file)),
    )
    .map((file) => `${file} is not in kebab-case`);
}

const tree = readTree();

test('names say something', () => {
  assert.deepEqual(emptyNames(tree), []);
});

test('file names are in kebab-case', () => {
  assert.deepEqual(badFileNames(tree), []);
});

test('nothing names one machine, a registry or left-over work', () => {
  assert.deepEqual(privateWords(tree), []);
});

test('control: empty names, in files and in types', () => {
  const bad = treeOf({
    'host/utils/a.ts': '',
    'host/log/row-helper.ts': '',
    'host/log/a.ts': 'export class LogManager {}\n',
    'host/log/b.ts': '// a common handler of managers\nconst handlers = [];\n',
  });
  assert.equal(emptyNames(bad).length, 3);
});

test('control: private words and file names', () => {
  const bad = treeOf({
    'docs/A.md': 'see /wo' + 'rk/main and https://registry.' + 'npmjs.org',
    'host/a.ts': '// TO' + 'DO\n',
    'host/camelCase.ts': '',
  });
  assert.equal(privateWords(bad).length, 3);
  assert.equal(badFileNames(bad).length, 1);
});
