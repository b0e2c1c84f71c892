/** Flags of the commands that talk to a server. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { UsageError } from './problem.ts';

/** Where clients look for a server without `--url`. */
export const URL_DEFAULT = 'http://127.0.0.1:1789';
const URL_VARIABLE = 'CAUCUS_URL';

export interface ClientFlags {
  readonly url?: string;
}

export type Consistency =
  | 'any'
  | 'latest'
  | { readonly atLeast: string }
  | { readonly exact: string };

export function clientOptions(command: Command): Command {
  return command.option(
    '--url <url>',
    `the server (default: ${URL_DEFAULT}, env: ${URL_VARIABLE})`,
  );
}

/** Those of a question about one state. */
export function questionOptions(command: Command): Command {
  return clientOptions(command)
    .option('--policy <name>', 'policy that unqualified names belong to')
    .option(
      '--consistency <level>',
      '`any`, `latest`, `atLeast:TOKEN` or `exact:TOKEN`',
      consistency,
    );
}

function consistency(text: string): Consistency {
  if (text === 'any' || text === 'latest') return text;
  const colon = text.indexOf(':');
  const kind = text.slice(0, Math.max(0, colon));
  const token = text.slice(colon + 1);
  if (token !== '' && kind === 'atLeast') return { atLeast: token };
  if (token !== '' && kind === 'exact') return { exact: token };
  throw new InvalidArgumentError('give `any`, `latest`, `atLeast:TOKEN` or `exact:TOKEN`');
}

export function serverUrl(flags: ClientFlags): string {
  const variable = process.env[URL_VARIABLE] ?? '';
  const text = flags.url ?? (variable === '' ? URL_DEFAULT : variable);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`\`${text}\` is no URL`, `write it as \`${URL_DEFAULT}\``);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UsageError(
      `\`${text}\` is no URL of a server`,
      `begin it with \`http://\` or \`https://\``,
    );
  }
  return url.href.replace(/\/$/, '');
}
