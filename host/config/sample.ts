/** Every option as YAML: with its default, or, where it has none, commented out with an example. */
import { DRIVER_OPTIONS } from '../../drivers/driver-options.ts';
import { SHAPE_NAMES, typeText } from './option.ts';
import type { Option } from './option.ts';
import { bareFlag } from './option.ts';
import { OPTION_LIST } from './options.ts';

const COLUMNS = 96;

/** Read back it is the defaults; with every `#?` line uncommented, it is still without errors. */
export function sampleText(): string {
  const lines = [
    '# Options of `caucus serve --config FILE`. What is set here is the default. `#?` begins an option',
    '# that has none, with an example. A flag wins over a variable of the environment, which wins over',
    '# this file. Relative paths start from the folder of this file. `caucus config check FILE` checks it.',
  ];
  let open: readonly string[] = [];
  for (const option of OPTION_LIST) {
    const sections = option.key.split('.').slice(0, -1);
    lines.push('', ...openSections(sections, open));
    open = sections;
    const indent = '  '.repeat(sections.length);
    lines.push(...commentOf(option).map((line) => `${indent}# ${line}`));
    lines.push(...valueLines(option).map((line) => indentLine(line, indent)));
  }
  return `${lines.join('\n')}\n`;
}

/** Sections that only hold examples stay open and empty, which is allowed. */
function openSections(sections: readonly string[], open: readonly string[]): string[] {
  return sections.flatMap((name, depth) => {
    const isOpen = sections.slice(0, depth + 1).every((one, index) => open[index] === one);
    return isOpen ? [] : [`${'  '.repeat(depth)}${name}:`];
  });
}

function commentOf(option: Option): string[] {
  const sources = [
    option.flag === undefined ? '' : `flag ${bareFlag(option.flag)}`,
    ...(option.switches ?? []).map(({ flag }) => `flag ${flag}`),
    option.variable === undefined ? '' : `env ${option.variable}`,
  ].filter((text) => text !== '');
  const note =
    option.form === 'scalar' && option.fallback === undefined ? option.defaultNote : undefined;
  const facts = [
    `type: ${typeText(option)}`,
    `default: ${plainDefault(option) ?? note ?? 'none'}`,
    ...sources,
    option.shapes === undefined
      ? ''
      : `for ${option.shapes.map((one) => SHAPE_NAMES[one]).join(', ')}`,
  ].filter((text) => text !== '');
  return [...wrap(`${option.meaning}.`), ...wrap(facts.join('; '))];
}

function plainDefault(option: Option): string | undefined {
  return option.form === 'scalar' ? option.fallback : 'none';
}

function valueLines(option: Option): string[] {
  const name = option.key.split('.').at(-1) ?? option.key;
  if (option.form === 'list') return [`${name}: []`];
  if (option.form === 'records') return [`${name}: []`, ...driverLines()];
  if (option.fallback !== undefined) return [`${name}: ${option.fallback}`];
  return [`#? ${name}: ${option.example ?? ''}`];
}

/** What an entry of each driver may have. */
function driverLines(): string[] {
  return Object.entries(DRIVER_OPTIONS).flatMap(([driver, options]) => [
    `# - name: NAME`,
    `#   driver: ${driver}`,
    ...options.map(({ key, defaultText, isRequired, meaning }) => {
      const value = defaultText ?? key.toUpperCase();
      return `#   ${key}: ${value}  # ${meaning}${isRequired === true ? ' (required)' : ''}`;
    }),
  ]);
}

function indentLine(line: string, indent: string): string {
  return line.startsWith('#? ') ? `#? ${indent}${line.slice(3)}` : indent + line;
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length >= COLUMNS) {
      lines.push(line);
      line = word;
    } else line += (line === '' ? '' : ' ') + word;
  }
  return [...lines, line];
}
