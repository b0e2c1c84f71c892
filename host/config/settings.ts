/**
 * Flags, environment and file together: for each option the value in force, where it came from, and
 * everything that is wrong. A flag wins over the environment, the environment over the file, the
 * file over the default; a list is replaced as a whole.
 */
import { nearestName } from '../compiler/nearest-name.ts';
import type { ConfigFile, RawItem, RawRecord, RawSetting } from './config-file.ts';
import { BadValue } from './kind.ts';
import type { Kind } from './kind.ts';
import { bareFlag, flagName } from './option.ts';
import type { DefaultOption, FreeOption, ListOption, Option } from './option.ts';
import { CONFIG_VARIABLE, OPTION_LIST } from './options.ts';
import { subjectOf } from './problem.ts';
import type { Place, Report } from './problem.ts';

/** As the argument parser has them; undefined where nothing was written. */
export type ServeFlags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** `computed`: found from other options or the machine. */
export type Origin = 'flag' | 'environment' | 'file' | 'default' | 'computed';

/** A value with the place it came from. */
export interface Placed<T> {
  readonly value: T;
  readonly text: string;
  readonly place: Place;
}

interface Held {
  readonly origin: Origin;
  readonly place: Place;
  readonly items: readonly Placed<unknown>[];
}

export const NOWHERE: Place = { kind: 'nowhere' };

const PREFIX = 'CAUCUS_';
/** Of clients, of the tests, and what Kubernetes sets for a service that is called `caucus`. */
const OTHER_VARIABLES = ['CAUCUS_URL', CONFIG_VARIABLE, 'CAUCUS_COVERAGE_ROOT'];
const SERVICE_LINK = /^CAUCUS_(PORT_\d|SERVICE_)/;
/** `user:password@` in an address. */
const PASSWORD_IN_URL = /:\/\/[^/@:]*:[^@]+@/;

export class Settings {
  readonly report: Report;
  readonly #held = new Map<Option, Held>();
  readonly #computed = new Map<Option, string>();
  readonly #flags: ServeFlags;
  readonly #env: Environment;
  readonly #file: ConfigFile | undefined;

  constructor(
    input: { readonly flags: ServeFlags; readonly env: Environment; readonly file?: ConfigFile },
    report: Report,
  ) {
    this.report = report;
    this.#flags = input.flags;
    this.#env = input.env;
    this.#file = input.file;
    this.#refuseUnknownVariables();
    for (const option of OPTION_LIST) {
      if (option.form === 'records') this.#holdRecords(option);
      else this.#hold(option, option.kind);
    }
  }

  get<T>(option: DefaultOption<T>): T;
  get<T>(option: FreeOption<T>): T | undefined;
  get<T>(option: DefaultOption<T> | FreeOption<T>): T | undefined {
    const held = this.#held.get(option)?.items[0];
    if (held !== undefined) return held.value as T;
    return option.fallback === undefined ? undefined : option.kind.read(option.fallback, '');
  }

  list<T>(option: ListOption<T>): readonly Placed<T>[] {
    return (this.#held.get(option)?.items ?? []) as readonly Placed<T>[];
  }

  /** Whether something was written, be it good or not. */
  isGiven(option: Option): boolean {
    return this.#held.has(option);
  }

  place(option: Option): Place {
    return this.#held.get(option)?.place ?? NOWHERE;
  }

  origin(option: Option): Origin {
    return this.#held.get(option)?.origin ?? (this.#computed.has(option) ? 'computed' : 'default');
  }

  /** As they were written or found. */
  texts(option: Option): readonly string[] {
    const held = this.#held.get(option);
    if (held !== undefined) return held.items.map(({ text }) => text);
    const computed = this.#computed.get(option);
    return computed === undefined ? [] : [computed];
  }

  /** Keeps for `config show` what was found from other options. */
  compute(option: Option, text: string): void {
    this.#computed.set(option, text);
  }

  /** Entries of a list of maps that a file has, or texts of its flag or variable. */
  records(
    option: Option,
  ):
    | { readonly items: readonly RawItem[] }
    | { readonly records: readonly RawRecord[] }
    | undefined {
    const items = this.#held.get(option)?.items;
    if (items !== undefined && items.length > 0) return { items };
    return this.#file?.records.get(option.key);
  }

  /** At what was written for the option. */
  problemAt(
    option: Option,
    code: Parameters<Report['add']>[1],
    message: string,
    note?: string,
  ): void {
    this.report.add(this.place(option), code, message, note);
  }

  /** Texts of the flag or variable stay texts; the list of a file has its own way of reading. */
  #holdRecords(option: Option): void {
    const raw = this.#ofFlag(option) ?? this.#ofVariable(option);
    const found = this.#file?.records.get(option.key);
    if (raw !== undefined) {
      const items = raw.items.map((item) => ({ ...item, value: item.text }));
      this.#held.set(option, { ...raw, items });
    } else if (found !== undefined) {
      this.#held.set(option, { origin: 'file', place: found.place, items: [] });
    }
  }

  #hold(option: Option, kind: Kind<unknown>): void {
    const ofFile = this.#file?.settings.get(option.key);
    const layers = [
      this.#ofFlag(option),
      this.#ofVariable(option),
      ofFile === undefined ? undefined : { ...ofFile, origin: 'file' as const },
    ].filter((layer) => layer !== undefined);
    const [inForce] = layers;
    if (inForce === undefined) return;
    this.#held.set(option, { ...inForce, items: this.#read(option, kind, inForce) });
    // All of a file is checked, also what a flag replaces.
    if (ofFile !== undefined && inForce.origin !== 'file') this.#read(option, kind, ofFile);
  }

  #read(option: Option, kind: Kind<unknown>, raw: RawSetting): Placed<unknown>[] {
    const good: Placed<unknown>[] = [];
    for (const { text, place } of splitItems(option, raw)) {
      const value = readItem(
        { key: option.key, secret: option.secret !== undefined, kind, text, place },
        this.report,
      );
      if (value !== undefined) good.push({ value, text, place });
    }
    return good;
  }

  #ofFlag(option: Option): (RawSetting & { readonly origin: Origin }) | undefined {
    const items: RawItem[] = [];
    for (const { flag, item } of option.switches ?? []) {
      if (this.#flags[flagName(flag)] === true)
        items.push({ text: item, place: { kind: 'flag', flag } });
    }
    if (option.flag !== undefined) {
      const place: Place = { kind: 'flag', flag: bareFlag(option.flag) };
      const written = this.#flags[flagName(option.flag)];
      const texts =
        written === undefined ? [] : Array.isArray(written) ? written : [String(written)];
      for (const text of texts as readonly string[]) {
        if (option.secret === 'url' && PASSWORD_IN_URL.test(text)) {
          const where = `\`${option.variable}\` or \`${option.secretFileKey}\``;
          this.report.add(
            place,
            'bad-option',
            'every user of this machine can read a password on a command line',
            `give it with ${where}`,
          );
        }
        items.push({ text, place });
      }
    }
    const [first] = items;
    return first === undefined ? undefined : { origin: 'flag', place: first.place, items };
  }

  #ofVariable(option: Option): (RawSetting & { readonly origin: Origin }) | undefined {
    const name = option.variable ?? '';
    const written = this.#env[name];
    if (written === undefined || written === '') return undefined;
    const place: Place = { kind: 'variable', name };
    const texts = option.form === 'scalar' ? [written] : commaSeparated(written);
    return { origin: 'environment', place, items: texts.map((text) => ({ text, place })) };
  }

  #refuseUnknownVariables(): void {
    const known = [...OPTION_LIST.flatMap(({ variable = '' }) => variable), ...OTHER_VARIABLES];
    for (const name of Object.keys(this.#env).toSorted()) {
      if (!name.startsWith(PREFIX) || known.includes(name) || SERVICE_LINK.test(name)) continue;
      const near = nearestName(name, known);
      const note =
        near === undefined
          ? '`caucus config sample` names every variable'
          : `did you mean \`${near}\`?`;
      this.report.add({ kind: 'variable', name }, 'unknown-option', 'unknown variable', note);
    }
  }
}

/** Undefined where it is bad, which is reported. */
export function readItem<T>(
  item: {
    readonly key: string;
    readonly secret: boolean;
    readonly kind: Kind<T>;
    readonly text: string;
    readonly place: Place;
  },
  report: Report,
): T | undefined {
  const { key, secret, kind, text, place } = item;
  try {
    return kind.read(text, place.kind === 'file' ? place.file.folder : '');
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    const near = nearestName(text, error.names);
    const shown = secret ? 'the value' : `\`${text}\``;
    const hint = near === undefined ? '' : `did you mean \`${near}\`? `;
    report.add(
      place,
      'bad-option',
      `${subjectOf(place, key)}${shown} ${error.what}`,
      hint + error.remedy,
    );
    return undefined;
  }
}

/** A list in one scalar of YAML is separated by commas, as in the environment. */
function splitItems(option: Option, { items }: RawSetting): readonly RawItem[] {
  const [only] = items;
  if (option.form !== 'list' || items.length !== 1 || only?.place.kind !== 'file') return items;
  return commaSeparated(only.text).map((text) => ({ text, place: only.place }));
}

function commaSeparated(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
