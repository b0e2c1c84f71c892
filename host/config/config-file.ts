/**
 * A YAML file of options → what stands where. The structure is checked here, values are read by
 * `settings.ts`. Every scalar keeps its text (`1.10` stays `1.10`) and its span.
 */
import path from 'node:path';
import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, ErrorCode, Node, YAMLMap } from 'yaml';
import { DRIVER_OPTIONS } from '../../drivers/driver-options.ts';
import { nearestName } from '../compiler/nearest-name.ts';
import { SourceText } from '../compiler/source-text.ts';
import type { Span } from '../compiler/source-text.ts';
import { OPTION_LIST } from './options.ts';
import type { ConfigProblem, Place, Report } from './problem.ts';
import { withoutSecrets } from './secret-lines.ts';

export interface RawItem {
  readonly text: string;
  readonly place: Place;
}
/** What was written for one option. */
export interface RawSetting {
  readonly place: Place;
  readonly items: readonly RawItem[];
}
/** A map of a list of maps. */
export interface RawRecord {
  readonly place: Place;
  readonly fields: ReadonlyMap<string, RawSetting & { readonly keyPlace: Place }>;
}

/** YAML's own words mean little to who has a caret before them. */
const SYNTAX: Partial<Record<ErrorCode, string>> = {
  BAD_DQ_ESCAPE: 'this escape is not known; within single quotes a backslash is a backslash',
  BAD_INDENT: 'the indentation does not fit: options of one map begin in one column',
  BAD_SCALAR_START: 'a value cannot begin with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second `:` in one line; put the value in quotes',
  DUPLICATE_KEY: 'this option is given twice',
  MISSING_CHAR: 'something is missing here: `:` after a name, or a closing quote or bracket',
  MULTILINE_IMPLICIT_KEY: 'a name without `:`',
  MULTIPLE_DOCS: 'a second document begins here; a file has one',
  TAB_AS_INDENT: 'a tab in the indentation; use spaces',
  TAG_RESOLVE_FAILED: 'this tag is not known',
};

/** Throws nothing: what is wrong goes into the report. */
export function readConfigText(name: string, text: string, report: Report): ConfigFile {
  const file = new ConfigFile(name, text);
  file.read(report);
  return file;
}

export class ConfigFile {
  readonly name: string;
  readonly settings = new Map<string, RawSetting>();
  readonly records = new Map<string, { readonly place: Place; readonly records: RawRecord[] }>();
  readonly #source: SourceText;
  #shownLines: readonly string[] | undefined;

  constructor(name: string, text: string) {
    this.name = name;
    this.#source = new SourceText(text);
  }

  /** What relative paths in it start from. */
  get folder(): string {
    return path.dirname(this.name);
  }

  placeOf(span: Span): Partial<ConfigProblem> {
    const { line, column } = this.#source.position(span.start);
    const whole = this.#source.line(line);
    this.#shownLines ??= withoutSecrets(this.#source.text.split(/\r?\n/), isKnownName);
    const excerpt = this.#shownLines[line - 1] ?? '';
    const start = span.start - this.#source.lineStart(line);
    const marked = [...whole.slice(start, start + span.end - span.start)].length;
    // The carets below a secret do not tell its length.
    const isHidden = excerpt !== whole && !excerpt.startsWith(whole.slice(0, start + marked));
    const length = isHidden ? 1 : Math.max(1, marked);
    return { file: this.name, line, column, length, excerpt };
  }

  lineAndColumn(span: Span): string {
    const { line, column } = this.#source.position(span.start);
    return `${this.name}:${line}:${column}`;
  }

  read(report: Report): void {
    const document = parseDocument(this.#source.text, { prettyErrors: false, logLevel: 'error' });
    const errors = [...document.errors, ...document.warnings];
    for (const { code, pos } of errors) {
      const at = this.#place({ start: pos[0], end: pos[1] });
      report.add(at, 'config-syntax', SYNTAX[code] ?? 'this is not YAML');
    }
    // Of a broken text the rest would be guessed.
    if (errors.some(({ code }) => code !== 'DUPLICATE_KEY')) return;
    const root = document.contents;
    if (root === null || (isScalar(root) && root.value === null)) return;
    if (!isMap(root)) {
      report.add(this.#placeOf(root), 'config-syntax', 'this is no map of options', SAMPLE_NOTE);
      return;
    }
    this.#readMap(root, '', document, report);
  }

  #readMap(map: YAMLMap, prefix: string, document: Document, report: Report): void {
    for (const pair of map.items) {
      const key = pair.key as Node;
      const name = isScalar(key) ? String(key.value) : undefined;
      if (name === undefined) {
        report.add(this.#placeOf(key), 'config-syntax', 'a name of an option is a plain text');
        continue;
      }
      const full = prefix + name;
      // A dotted name would be a second way to write one option.
      const option = name.includes('.')
        ? undefined
        : OPTION_LIST.find(({ key: one }) => one === full);
      const section = OPTION_LIST.some((one) => one.key.startsWith(`${full}.`));
      const value = this.#resolved(pair.value as Node | null, document, report);
      if (value === null && isAlias(pair.value)) continue;
      if (option === undefined && !section) {
        report.add(
          this.#keyPlace(key),
          'unknown-option',
          `unknown option \`${full}\``,
          noteOf(name, prefix),
        );
      } else if (section) {
        // A section whose options are all commented out is empty.
        if (isEmpty(value)) continue;
        if (isMap(value)) this.#readMap(value, `${full}.`, document, report);
        else
          report.add(
            this.#placeOf(value ?? key),
            'bad-option',
            `\`${full}\` is no map of options`,
            SAMPLE_NOTE,
          );
      } else if (option?.form === 'records') {
        this.#readRecords(full, key, value, document, report);
      } else {
        const setting = this.#setting(full, key, value, document, report);
        if (setting === undefined) continue;
        if (option?.form === 'scalar' && isSeq(value)) {
          report.add(this.#placeOf(value), 'bad-option', `\`${full}\` is one value, not a list`);
        } else this.settings.set(full, setting);
      }
    }
  }

  #setting(
    full: string,
    key: Node,
    value: Node | null,
    document: Document,
    report: Report,
  ): RawSetting | undefined {
    const place = this.#placeOf(value ?? key);
    if (isEmpty(value)) {
      report.add(
        this.#keyPlace(key),
        'bad-option',
        `\`${full}\` has no value`,
        'give one, or leave the option out',
      );
      return undefined;
    }
    const nodes = isSeq(value)
      ? value.items.map((item) => this.#resolved(item as Node, document, report))
      : [value];
    const items: RawItem[] = [];
    for (const node of nodes) {
      if (isScalar(node) && !isEmpty(node)) items.push(this.#item(node));
      else {
        report.add(
          this.#placeOf(node ?? key),
          'bad-option',
          `\`${full}\`: a value is a text, a number, or true or false`,
        );
        return undefined;
      }
    }
    return { place, items };
  }

  #item(node: Node): RawItem {
    const { value, source, type } = node as { value?: unknown; source?: string; type?: string };
    const text = type === 'PLAIN' && source !== undefined ? source : String(value);
    return { text, place: this.#placeOf(node) };
  }

  #readRecords(
    full: string,
    key: Node,
    value: Node | null,
    document: Document,
    report: Report,
  ): void {
    const place = this.#placeOf(value ?? key);
    if (!isSeq(value)) {
      report.add(place, 'bad-option', `\`${full}\` is no list of maps`, SAMPLE_NOTE);
      return;
    }
    const records: RawRecord[] = [];
    for (const item of value.items) {
      const map = this.#resolved(item as Node, document, report);
      if (!isMap(map)) {
        report.add(
          this.#placeOf(map ?? key),
          'bad-option',
          `an entry of \`${full}\` is a map`,
          SAMPLE_NOTE,
        );
        continue;
      }
      const fields = new Map<string, RawSetting & { readonly keyPlace: Place }>();
      for (const pair of map.items) {
        const fieldKey = pair.key as Node;
        const name = isScalar(fieldKey) ? String(fieldKey.value) : '';
        const node = this.#resolved(pair.value as Node | null, document, report);
        const setting = this.#setting(name, fieldKey, node, document, report);
        const keyPlace = this.#keyPlace(fieldKey);
        if (setting !== undefined) fields.set(name, { ...setting, keyPlace });
        else fields.set(name, { place: keyPlace, items: [], keyPlace });
      }
      records.push({ place: this.#placeOf(map), fields });
    }
    this.records.set(full, { place, records });
  }

  #resolved(node: Node | null, document: Document, report: Report): Node | null {
    if (!isAlias(node)) return node;
    const found = node.resolve(document);
    if (found === undefined) {
      report.add(this.#placeOf(node), 'config-syntax', 'this alias names no anchor before it');
    }
    return found ?? null;
  }

  #keyPlace(node: Node): Place {
    return this.#placeOf(node);
  }

  #placeOf(node: Node): Place {
    const [start = 0, end = start] = node.range ?? [];
    return this.#place({ start, end });
  }

  #place(span: Span): Place {
    return { kind: 'file', file: this, span };
  }
}

/** Last parts of keys, sections, and names within datasources. */
function isKnownName(name: string): boolean {
  const isOption = OPTION_LIST.some(({ key }) => key.split('.').includes(name));
  const isOfSource = name === 'name' || name === 'driver';
  return (
    isOption ||
    isOfSource ||
    Object.values(DRIVER_OPTIONS)
      .flat()
      .some(({ key }) => key === name)
  );
}

const SAMPLE_NOTE = '`caucus config sample` prints every option';

function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

/** What an unknown name may have been meant to be. */
function noteOf(name: string, prefix: string): string {
  const keys = OPTION_LIST.map(({ key }) => key);
  const below = keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  const siblings = below.map((key) => key.split('.')[0] ?? key);
  const near = nearestName(name, siblings);
  if (near !== undefined) return `did you mean \`${prefix}${near}\`?`;
  if (keys.includes(name) && name.includes('.')) {
    const parts = name.split('.');
    return `write \`${parts.at(-1)}\` as a map below \`${parts.slice(0, -1).join('.')}:\``;
  }
  const congress = OPTION_LIST.find((option) =>
    option.congress?.some((theirs) => theirs.split('.').at(-1) === name),
  );
  if (congress !== undefined) return `what Congress calls \`${name}\` is \`${congress.key}\` here`;
  const elsewhere = keys.find((key) => key.endsWith(`.${name}`) || (prefix !== '' && key === name));
  if (elsewhere !== undefined) return `did you mean \`${elsewhere}\`?`;
  if (name === 'DEFAULT') return 'options of `[DEFAULT]` stand at the top level here';
  return SAMPLE_NOTE;
}
