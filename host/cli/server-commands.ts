/** `caucus serve` and `caucus config`: their flags are those of the table of options. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { bareFlag, defaultText } from '../config/option.ts';
import type { Option as ConfigOption } from '../config/option.ts';
import { CONFIG_FLAG, CONFIG_VARIABLE, OPTION_LIST } from '../config/options.ts';
import type { ServeFlags } from '../config/settings.ts';
import { examples } from './help-text.ts';
import type { Terminal } from './terminal.ts';

/** What a command needs of the command line that it belongs to. */
export interface CommandContext {
  terminal(): Terminal;
  end(exitCode: number): void;
}

export function addServerCommands(program: Command, context: CommandContext): void {
  const serve = program
    .command('serve')
    .description('run the server: HTTP and WebSocket API, log, store, sources');
  addServeFlags(serve)
    .addHelpText(
      'after',
      `\nOptions without a flag stand in the file: \`caucus config sample\`.\n${examples([
        'caucus serve --policy inventory.policy',
        'caucus serve --data /var/lib/caucus --source inv=data/ --port 8080',
        'caucus serve --config caucus.yaml --api --policy-engine --node-id pe1',
        'caucus serve --config caucus.yaml --datasources --node-id ds1',
      ])}`,
    )
    .action(async (flags: ServeFlags) => {
      const { parseServeConfig } = await import('../config.ts');
      const config = parseServeConfig(flags, process.env);
      const { serve: run } = await import('./serve.ts');
      context.end(await run(config, context.terminal()));
    });

  const fork = program
    .command('fork')
    .description('go on after the log has lost acknowledged records; all nodes must be stopped')
    .option('--yes', 'write it; without, what would be lost is shown');
  addServeFlags(fork)
    .addHelpText(
      'after',
      examples([
        'caucus fork --config caucus.yaml --api --policy-engine --node-id pe1',
        'caucus fork --config caucus.yaml --api --policy-engine --node-id pe1 --yes',
      ]),
    )
    .action(async ({ yes, ...flags }: ServeFlags & { readonly yes?: boolean }) => {
      const { parseServeConfig } = await import('../config.ts');
      const { forkCommand } = await import('./fork.ts');
      const config = parseServeConfig(flags, process.env);
      context.end(await forkCommand(config, yes === true, context.terminal()));
    });

  const config = program
    .command('config')
    .description('print, check and show the options of the server')
    .addHelpText(
      'after',
      examples([
        'caucus config sample > caucus.yaml',
        'caucus config check caucus.yaml',
        'caucus config show --config caucus.yaml --api --policy-engine',
      ]),
    );
  config
    .command('sample')
    .description('print every option as YAML, with type, default and meaning')
    .addHelpText('after', examples(['caucus config sample > caucus.yaml']))
    .action(async () => {
      const { printSample } = await import('./config.ts');
      printSample(context.terminal());
    });
  config
    .command('check')
    .description('check a file of options; all errors are shown')
    .argument('<file>', 'YAML file; `-` reads standard input')
    .addHelpText('after', examples(['caucus config check caucus.yaml']))
    .action(async (file: string) => {
      const { checkConfig } = await import('./config.ts');
      context.end(await checkConfig(file, context.terminal()));
    });
  const show = config
    .command('show')
    .description('show the options that `caucus serve` would have, and where each comes from');
  addServeFlags(show)
    .addHelpText('after', examples(['caucus config show --config caucus.yaml --json']))
    .action(async (flags: ServeFlags) => {
      const { showConfig } = await import('./config.ts');
      showConfig(flags, process.env, context.terminal());
    });
}

function addServeFlags(command: Command): Command {
  const fileNote = `(env: ${CONFIG_VARIABLE})`;
  command.option(CONFIG_FLAG, `YAML file with these options and more ${fileNote}`);
  for (const option of OPTION_LIST) {
    for (const { flag, meaning } of option.switches ?? []) {
      command.addOption(new Option(flag, meaning).helpGroup(groupOf(option)));
    }
    if (option.flag === undefined) continue;
    const meaning = (option.flagMeaning ?? option.meaning) + notesOf(option);
    command.addOption(new Option(option.flag, meaning).helpGroup(groupOf(option)));
  }
  return command;
}

function notesOf(option: ConfigOption): string {
  const found = defaultText(option);
  const isSwitch = option.flag !== undefined && bareFlag(option.flag) === option.flag;
  const notes = [
    found === undefined || isSwitch ? '' : `default: ${found}`,
    option.variable === undefined ? '' : `env: ${option.variable}`,
  ].filter((note) => note !== '');
  return notes.length === 0 ? '' : ` (${notes.join(', ')})`;
}

function groupOf({ key, shapes }: ConfigOption): string {
  if (/^(kafka|database|cluster)\.|^(transport_url|bus_id)$/.test(key)) return 'Cluster:';
  if (/^(log\.|verbose|debug)/.test(key)) return 'Log:';
  return key.startsWith('api.') || shapes === undefined ? 'Server:' : 'Rules and rows:';
}
