import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { readTree, treeOf, type Findings, type SourceTree } from './source-tree.ts';

/** GitHub's way from a heading to its anchor. */
function anchorOf(heading: string): string {
  return heading
    .replaceAll(/[`*]/g, '')
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

function withoutCode(markdown: string): string {
  return markdown.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

/** Relative links of the Markdown files that lead nowhere. */
function brokenLinks(tree: SourceTree, exists: (file: string) => boolean): Findings {
  const findings: string[] = [];
  for (const [file, text] of tree) {
    if (!file.endsWith('.md')) continue;
    for (const [, link] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (link === undefined || /^[a-z]+:/.test(link)) continue;
      const [target = '', anchor] = link.split('#');
      const place = target === '' ? file : path.posix.join(path.posix.dirname(file), target);
      if (!exists(place)) findings.push(`${file} links to ${link}, which is not there`);
      else if (anchor !== undefined && place.endsWith('.md')) {
        const headings = (tree.get(place) ?? '').matchAll(/^#+ (.*)$/gm);
        const anchors = new Set([...headings].map(([, heading]) => anchorOf(heading ?? '')));
        if (!anchors.has(anchor)) findings.push(`${file} links to ${link}, no heading of ${place}`);
      }
    }
  }
  return findings;
}

test('relative links of the documents lead somewhere', () => {
  assert.deepEqual(brokenLinks(readTree(), existsSync), []);
});

test('control: a missing file and a missing heading', () => {
  const tree = treeOf({
    'README.md': '[a](docs/A.md) [b](docs/B.md) [c](docs/A.md#two-words) [d](docs/A.md#three)',
    'docs/A.md': '# A\n\n## Two `words`!\n\n[up](../README.md) [web](https://example.org/x)',
  });
  const findings = brokenLinks(tree, (file) => tree.has(file));
  assert.deepEqual(findings, [
    'README.md links to docs/B.md, which is not there',
    'README.md links to docs/A.md#three, no heading of docs/A.md',
  ]);
});
