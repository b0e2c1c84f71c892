/** What an option is. The table of all of them is `options.ts`. */
import type { Kind } from './kind.ts';

/** What one process of Caucus can be. */
export type Shape = 'single' | 'replica' | 'datasources';

export const SHAPE_NAMES: Readonly<Record<Shape, string>> = {
  single: 'the single process',
  replica: 'a replica (`--api --policy-engine`)',
  datasources: 'a datasource node (`--datasources`)',
};

export interface OptionText {
  /** Place in the YAML file: `api.port`. */
  readonly key: string;
  /** As the argument parser wants it: `--port <number>`. Secrets have none. */
  readonly flag?: string;
  /** Flags that each add one item to a list. */
  readonly switches?: readonly {
    readonly flag: string;
    readonly item: string;
    readonly meaning: string;
  }[];
  /** Variable of the environment; items of lists are separated by commas. */
  readonly variable?: string;
  /** One line without a full stop. */
  readonly meaning: string;
  /** Where the flag is a shorthand for less than the option. */
  readonly flagMeaning?: string;
  /** How the default is found, where it is no constant. */
  readonly defaultNote?: string;
  /** For the sample, of options without a default. */
  readonly example?: string;
  /** All without it. */
  readonly shapes?: readonly Shape[];
  /** What Congress calls it, `group.option`. */
  readonly congress?: readonly string[];
  /** Never shown; `url`: only the password in it is not. */
  readonly secret?: 'all' | 'url';
  /** The remedy says which option of the file hides the secret. */
  readonly secretFileKey?: string;
}

/** The default is a constant, written as a person would. */
export interface DefaultOption<T> extends OptionText {
  readonly form: 'scalar';
  readonly kind: Kind<T>;
  readonly fallback: string;
}
export interface FreeOption<T> extends OptionText {
  readonly form: 'scalar';
  readonly kind: Kind<T>;
  readonly fallback?: undefined;
}
/** Empty by default. */
export interface ListOption<T> extends OptionText {
  readonly form: 'list';
  readonly kind: Kind<T>;
}
/** A list of maps. */
export interface RecordsOption extends OptionText {
  readonly form: 'records';
}

export type Option =
  | DefaultOption<unknown>
  | FreeOption<unknown>
  | ListOption<unknown>
  | RecordsOption;

export function withDefault<T>(
  kind: Kind<T>,
  fallback: string,
  rest: OptionText,
): DefaultOption<T> {
  return { form: 'scalar', kind, fallback, ...rest };
}

export function free<T>(kind: Kind<T>, rest: OptionText): FreeOption<T> {
  return { form: 'scalar', kind, ...rest };
}

export function list<T>(kind: Kind<T>, rest: OptionText): ListOption<T> {
  return { form: 'list', kind, ...rest };
}

export function isOfShape({ shapes }: Option, shape: Shape): boolean {
  return shapes === undefined || shapes.includes(shape);
}

/** `--allow-host <host...>` → `allowHost`, the name that the argument parser gives it. */
export function flagName(flag: string): string {
  return bareFlag(flag)
    .slice(2)
    .replaceAll(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

/** `--allow-host <host...>` → `--allow-host`. */
export function bareFlag(flag: string): string {
  return flag.split(' ')[0] ?? flag;
}

/** For the manual, the sample and the help. */
export function typeText(option: Option): string {
  if (option.form === 'records') return 'list of maps';
  return option.form === 'list' ? `list of: ${option.kind.type}` : option.kind.type;
}

export function defaultText(option: Option): string | undefined {
  if (option.form === 'scalar' && option.fallback !== undefined) return option.fallback;
  return option.defaultNote;
}
