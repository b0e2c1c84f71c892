/** Tables of the manual that are made from the table of options. */
import { DRIVER_OPTIONS } from '../../drivers/driver-options.ts';
import { bareFlag, typeText } from '../../host/config/option.ts';
import type { Option, Shape } from '../../host/config/option.ts';
import { CONFIG_FLAG, CONFIG_VARIABLE, OPTION_LIST } from '../../host/config/options.ts';
import { CONFIG_CODES } from '../../host/config/problem.ts';

const SHAPES: Readonly<Record<Shape, string>> = { single: 'S', replica: 'R', datasources: 'D' };

/** By the name in `<!-- table: NAME -->`. */
export const MANUAL_TABLES: Readonly<Record<string, () => string>> = {
  flags: flagTable,
  options: optionTables,
  drivers: driverTable,
  congress: congressTable,
  codes: () =>
    table(
      ['code', 'meaning'],
      Object.entries(CONFIG_CODES).map(([code, meaning]) => [`\`${code}\``, meaning]),
    ),
};

function flagTable(): string {
  const rows = OPTION_LIST.flatMap((option) => {
    const switches = (option.switches ?? []).map(({ flag, meaning }) => [
      `\`${flag}\``,
      '',
      option.variable === undefined ? '' : `\`${option.variable}\``,
      meaning,
    ]);
    if (option.flag === undefined) return switches;
    const meaning = option.flagMeaning ?? option.meaning;
    return [...switches, [`\`${option.flag}\``, defaultOf(option), variableOf(option), meaning]];
  });
  const file = [`\`${CONFIG_FLAG}\``, '', `\`${CONFIG_VARIABLE}\``, 'YAML file of options'];
  return table(['flag', 'default', 'environment', 'meaning'], [file, ...rows]);
}

function optionTables(): string {
  const sections = new Map<string, Option[]>();
  for (const option of OPTION_LIST) {
    const section = option.key.includes('.') ? (option.key.split('.')[0] ?? '') : '';
    sections.set(section, [...(sections.get(section) ?? []), option]);
  }
  return [...sections]
    .map(([section, options]) => {
      const head = ['option', 'type', 'default', 'environment, flag', 'for', 'meaning'];
      const title = section === '' ? '### At the top level' : `### \`${section}\``;
      return `${title}\n\n${table(head, options.map(optionRow))}`;
    })
    .join('\n\n');
}

function optionRow(option: Option): string[] {
  const flags = [option.flag, ...(option.switches ?? []).map(({ flag }) => flag)];
  const names = flags.flatMap((flag) => (flag === undefined ? [] : [`\`${bareFlag(flag)}\``]));
  return [
    `\`${option.key}\``,
    typeText(option),
    defaultOf(option),
    [variableOf(option), ...names].filter((text) => text !== '').join(', '),
    (option.shapes ?? (['single', 'replica', 'datasources'] as const))
      .map((shape) => SHAPES[shape])
      .join(' '),
    option.meaning,
  ];
}

function driverTable(): string {
  const rows = Object.entries(DRIVER_OPTIONS).flatMap(([driver, options]) =>
    options.length === 0
      ? [[`\`${driver}\``, '', '', '', 'no options']]
      : options.map(({ key, type, defaultText, isRequired, meaning }) => [
          `\`${driver}\``,
          `\`${key}\``,
          typeof type === 'string' ? type : type.join(' | '),
          isRequired === true ? 'required' : (defaultText ?? ''),
          meaning,
        ]),
  );
  return table(['driver', 'option', 'type', 'default', 'meaning'], rows);
}

function congressTable(): string {
  const rows = OPTION_LIST.flatMap((option) =>
    (option.congress ?? []).map((theirs) => [`\`${theirs}\``, `\`${option.key}\``]),
  );
  return table(['Congress', 'Caucus'], rows);
}

function defaultOf(option: Option): string {
  if (option.form !== 'scalar') return '';
  return option.fallback === undefined ? (option.defaultNote ?? '') : `\`${option.fallback}\``;
}

function variableOf({ variable }: Option): string {
  return variable === undefined ? '' : `\`${variable}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`.replaceAll(/ {2,}/g, ' ');
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
