/** `caucus config`: what can be set, whether a file is right, what is in force. */
import { readFileSync } from 'node:fs';
import { checkConfigText, readConfigFile, resolveServeConfig } from '../config.ts';
import { SHAPE_NAMES } from '../config/option.ts';
import { Report } from '../config/problem.ts';
import type { ConfigProblem } from '../config/problem.ts';
import { sampleText } from '../config/sample.ts';
import type { Environment, ServeFlags } from '../config/settings.ts';
import { shownOptions } from '../config/show.ts';
import type { ShownOption, ShownValue } from '../config/show.ts';
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-code.ts';
import { problemObject, renderTable } from './terminal.ts';
import type { Terminal } from './terminal.ts';

const STDIN = 0;

export function printSample(terminal: Terminal): void {
  terminal.print(sampleText().trimEnd());
}

/** Exit code 1 where there are errors. */
export async function checkConfig(file: string, terminal: Terminal): Promise<number> {
  const { problems, optionCount } = check(file);
  if (terminal.json) {
    const diagnostics = problems.map(problemObject);
    terminal.print(JSON.stringify({ diagnostics, options: optionCount }));
  } else {
    terminal.problems(problems);
    const options = optionCount === 1 ? '1 option' : `${optionCount} options`;
    const errors = problems.length === 1 ? '1 error' : `${problems.length || 'no'} errors`;
    terminal.print(`${file === '-' ? 'stdin' : file}: ${options}, ${errors}`);
  }
  return problems.length === 0 ? EXIT_OK : EXIT_BAD_INPUT;
}

function check(file: string): {
  readonly problems: readonly ConfigProblem[];
  readonly optionCount: number;
} {
  const report = new Report();
  const text =
    file === '-' ? readFileSync(STDIN, 'utf8') : readConfigFile(file, { kind: 'nowhere' }, report);
  if (text === undefined) return { problems: report.problems, optionCount: 0 };
  const checked = checkConfigText(file === '-' ? 'stdin' : file, text);
  return { problems: checked.report.problems, optionCount: checked.optionCount };
}

export function showConfig(flags: ServeFlags, env: Environment, terminal: Terminal): void {
  const { config, settings } = resolveServeConfig(flags, env);
  const options = shownOptions(settings, config.shape, config.datasources);
  if (terminal.json) {
    terminal.print(JSON.stringify({ shape: config.shape, options }));
    return;
  }
  const { out } = terminal;
  const shape = SHAPE_NAMES[config.shape].replaceAll('`', '');
  terminal.print(`${out.bold('caucus serve')} would be ${shape}\n`);
  const rows = options.map((option) => [option.key, valueText(option.value), originText(option)]);
  terminal.print(renderTable(['option', 'value', 'from'], rows, out));
}

function originText({ origin, from, used }: ShownOption): string {
  const place = from ?? (origin === 'computed' ? 'found' : origin);
  return used ? place : `${place}, not used here`;
}

function valueText(value: ShownValue): string {
  if (value === null) return '';
  if (Array.isArray(value)) return (value as readonly ShownValue[]).map(valueText).join(', ');
  if (typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([name, text]) => `${name}=${String(text)}`)
    .join(' ');
}
