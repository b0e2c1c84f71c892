/** Flags of the commands about policy files that are no server's: `test`, `lint`. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { examples } from './help-text.ts';
import type { CommandContext } from './server-commands.ts';

export function addPolicyCommands(program: Command, context: CommandContext): void {
  addTest(program, context);
  program
    .command('lint')
    .description('find what is allowed in policy files and probably not meant')
    .argument('<file...>', 'policy files; `-` reads standard input')
    .addHelpText('after', examples(['caucus lint *.policy', 'caucus lint --json net.policy']))
    .action(async (files: string[]) => {
      const { lint } = await import('./lint.ts');
      context.end(await lint(files, context.terminal()));
    });
}

interface TestFlags {
  readonly filter?: string;
  readonly coverage?: boolean;
  readonly coverageMin?: number;
}

function addTest(program: Command, context: CommandContext): void {
  program
    .command('test')
    .description('run the tests in policy files, which are compiled together')
    .argument('<file...>', 'policy files; `-` reads standard input')
    .option('--filter <text>', 'run only tests whose names contain the text')
    .option('--coverage', 'show rules and literals that the tests do not try')
    .option('--coverage-min <percent>', 'fail where the coverage is less', percent)
    .addHelpText(
      'after',
      examples(['caucus test *.policy', 'caucus test net.policy --coverage-min 90']),
    )
    .action(async (files: string[], flags: TestFlags) => {
      const { test } = await import('./test.ts');
      context.end(await test(files, flags, context.terminal()));
    });
}

function percent(text: string): number {
  const value = Number(text);
  if (/^\d{1,3}$/.test(text) && value <= 100) return value;
  throw new InvalidArgumentError('give per cent from 0 to 100, such as `90`');
}
