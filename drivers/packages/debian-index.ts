/**
 * Debian's package index: `Packages` files as apt keeps them (what could be installed) and dpkg's
 * `status` (what is). Both are stanzas of `Field: value` lines with an empty line between them.
 *
 * What is left out, on purpose: versions in dependencies and architectures (a name is one package),
 * Recommends and Suggests, Conflicts and Breaks. Alternatives `a | b` stay alternatives of one
 * clause; virtual packages stay names that `provides` maps to packages. Of a name with several
 * versions the installed one counts, else the newest. A package in section `oldlibs` is a
 * deprecated one.
 */
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { SourceError } from '../driver.ts';
import { compareDebianVersions } from './debian-version.ts';
import type { PackageRecord } from './package-tables.ts';

/** Reads every compression that the installed apt can write. */
const APT_HELPER = '/usr/lib/apt/apt-helper';

interface Stanza {
  readonly name: string;
  readonly version: string;
  readonly fields: ReadonlyMap<string, string>;
}

export class DebianIndex {
  readonly #available = new Map<string, Stanza>();
  readonly #installed = new Map<string, Stanza>();

  /** A file of stanzas. Those with a `Status` are what dpkg knows, the others are offers. */
  async read(path: string, signal: AbortSignal): Promise<void> {
    await readStanzas(path, signal, (stanza) => {
      const status = stanza.fields.get('Status');
      if (status === undefined) keepNewest(this.#available, stanza);
      else if (/ (?:installed|triggers-(?:awaited|pending))$/.test(status)) {
        keepNewest(this.#installed, stanza);
      }
    });
  }

  *records(): Generator<PackageRecord, void, undefined> {
    // Without an index nothing can be said about what is on offer; what is installed was.
    const noIndex = this.#available.size === 0;
    for (const [name, installed] of this.#installed) {
      const offer = this.#available.get(name)?.version;
      yield recordOf(installed, noIndex ? installed.version : offer, installed.version);
    }
    for (const [name, stanza] of this.#available) {
      if (!this.#installed.has(name)) yield recordOf(stanza, stanza.version, undefined);
    }
  }
}

function keepNewest(stanzas: Map<string, Stanza>, stanza: Stanza): void {
  const other = stanzas.get(stanza.name);
  if (other === undefined || compareDebianVersions(stanza.version, other.version) > 0) {
    stanzas.set(stanza.name, stanza);
  }
}

function recordOf(
  stanza: Stanza,
  available: string | undefined,
  installed: string | undefined,
): PackageRecord {
  const { name, fields } = stanza;
  const section = fields.get('Section') ?? '';
  const size = fields.get('Installed-Size') ?? '';
  return {
    name,
    section,
    sizeKb: /^\d{1,15}$/.test(size) ? BigInt(size) : null,
    available,
    installed,
    essential: fields.get('Essential') === 'yes',
    deprecated: /(?:^|\/)oldlibs$/.test(section) ? 'section oldlibs' : undefined,
    licence: undefined,
    clauses: [...clausesOf(fields.get('Pre-Depends')), ...clausesOf(fields.get('Depends'))],
    provides: clausesOf(fields.get('Provides')).flat(),
  };
}

/** `a (>= 1), b:any | c` → `[['a'], ['b', 'c']]`. */
export function clausesOf(field: string | undefined): string[][] {
  if (field === undefined || field === '') return [];
  const clauses = field.split(',').map((clause) => clause.split('|').map(nameOf).filter(Boolean));
  return clauses.filter((clause) => clause.length > 0);
}

function nameOf(alternative: string): string {
  return /^\s*([^\s(:[<]+)/.exec(alternative)?.[1] ?? '';
}

const WANTED = new Set([
  'Package',
  'Version',
  'Status',
  'Section',
  'Installed-Size',
  'Essential',
  'Pre-Depends',
  'Depends',
  'Provides',
]);

async function readStanzas(
  path: string,
  signal: AbortSignal,
  onStanza: (stanza: Stanza) => void,
): Promise<void> {
  let fields = new Map<string, string>();
  let last: string | undefined;
  let line = 0;
  const end = (): void => {
    const name = fields.get('Package');
    if (name !== undefined) onStanza({ name, version: fields.get('Version') ?? '', fields });
    fields = new Map();
    last = undefined;
  };
  const take = (text: string): void => {
    line++;
    if (text === '') return end();
    if (text.startsWith(' ') || text.startsWith('\t')) {
      if (last !== undefined) fields.set(last, `${fields.get(last) ?? ''}${text}`);
      return;
    }
    const colon = text.indexOf(':');
    if (colon <= 0) {
      throw new SourceError([
        {
          message: 'a line is no `Field: value`',
          remedy: 'fetch the package lists again (`apt-get update`), or name another file',
          file: path,
          line,
          column: 1,
        },
      ]);
    }
    const field = text.slice(0, colon);
    last = WANTED.has(field) ? field : undefined;
    if (last !== undefined) fields.set(last, text.slice(colon + 1).trim());
  };
  let rest = '';
  for await (const piece of textOf(path, signal)) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines) take(text);
  }
  if (rest !== '') take(rest);
  end();
}

async function* textOf(path: string, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  const { stream, ended } = openIndex(path, signal);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    yield decoder.decode(chunk, { stream: true });
  }
  await ended;
  yield decoder.decode();
}

function openIndex(path: string, signal: AbortSignal): { stream: Readable; ended: Promise<void> } {
  if (/\.(?:lz4|xz|bz2|zst|lzma)$/.test(path)) return openWithApt(path, signal);
  const file = createReadStream(path, { signal });
  if (!path.endsWith('.gz')) return { stream: file, ended: Promise.resolve() };
  const gunzip = createGunzip();
  file.on('error', (error) => gunzip.destroy(error));
  return { stream: file.pipe(gunzip), ended: Promise.resolve() };
}

function openWithApt(
  path: string,
  signal: AbortSignal,
): { stream: Readable; ended: Promise<void> } {
  const child = spawn(APT_HELPER, ['cat-file', path], {
    signal,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise<void>((resolve, reject) => {
    const fail = (cause?: unknown): void => {
      const message = `\`${path}\` is compressed and apt cannot read it here`;
      const remedy = 'unpack it, or let apt keep its lists plain (`Acquire::GzipIndexes "false"`)';
      reject(new SourceError([{ message, remedy, file: path }], { cause }));
    };
    child.on('error', fail);
    child.on('close', (code) => (code === 0 ? resolve() : fail()));
  });
  // It is awaited once the stream has ended; a failure before that is no unhandled one.
  ended.catch(() => undefined);
  return { stream: child.stdout, ended };
}
