/** The values in force, for people and machines: where each comes from, secrets blotted out. */
import type { DatasourceConfig } from './sources.ts';
import { isOfShape } from './option.ts';
import type { Option, Shape } from './option.ts';
import { OPTION_LIST, OPTIONS } from './options.ts';
import type { Place } from './problem.ts';
import type { Origin, Settings } from './settings.ts';

export type ShownValue = string | number | boolean | null | readonly ShownValue[] | ShownRecord;
interface ShownRecord {
  readonly [name: string]: string | number;
}

export interface ShownOption {
  readonly key: string;
  /** null: not set. */
  readonly value: ShownValue;
  readonly origin: Origin;
  /** Flag, variable or `file:line:column`. */
  readonly from?: string;
  /** false: this process has no use for it. */
  readonly used: boolean;
}

const BLOT = '********';

export function shownOptions(
  settings: Settings,
  shape: Shape,
  datasources: readonly DatasourceConfig[],
): readonly ShownOption[] {
  return OPTION_LIST.map((option) => {
    const from = fromText(settings.place(option));
    return {
      key: option.key,
      value: option === OPTIONS.datasources ? datasources.map(recordOf) : valueOf(option, settings),
      origin: settings.origin(option),
      ...(from === undefined ? {} : { from }),
      used: isOfShape(option, shape),
    };
  });
}

function recordOf({ name, driver, settings }: DatasourceConfig): ShownRecord {
  return { name, driver, ...settings };
}

function valueOf(option: Option, settings: Settings): ShownValue {
  if (option.form === 'records') return [];
  const texts = settings.texts(option).map((text) => shownText(option, text));
  if (option.form === 'list') return texts;
  const text = texts[0] ?? option.fallback;
  if (text === undefined) return null;
  if (option.kind.json === 'number') return Number(text);
  return option.kind.json === 'boolean' ? /^true$/i.test(text) : text;
}

function shownText({ secret }: Option, text: string): string {
  if (secret === undefined) return text;
  return secret === 'all' ? BLOT : withoutPassword(text);
}

/** Of every `user:password@` in an address, also a broken one. */
function withoutPassword(url: string): string {
  const start = url.indexOf('://');
  if (start < 0) return BLOT;
  const scheme = url.slice(0, start + 3);
  const query = url.indexOf('?');
  const rest = url.slice(start + 3, query < 0 ? undefined : query);
  const shown = rest.replaceAll(/(^|,)([^:@,/]*):.*@/g, `$1$2:${BLOT}@`);
  return scheme + shown + (query < 0 ? '' : `?${BLOT}`);
}

function fromText(place: Place): string | undefined {
  switch (place.kind) {
    case 'flag':
      return place.flag;
    case 'variable':
      return place.name;
    case 'file':
      return place.file.lineAndColumn(place.span);
    default:
      return undefined;
  }
}
