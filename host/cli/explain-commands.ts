/** Flags of the commands that explain: `explain`, `why-not`. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { PROOF_NODES_MAX } from '../limits.ts';
import { questionOptions, serverUrl } from './client-flags.ts';
import type { ClientFlags, Consistency } from './client-flags.ts';
import { examples } from './help-text.ts';
import type { CommandContext } from './server-commands.ts';

interface QuestionFlags extends ClientFlags {
  readonly policy?: string;
  readonly consistency?: Consistency;
}
interface ExplainFlags extends QuestionFlags {
  readonly nodes?: number;
  readonly depth?: number;
}

export function addExplainCommands(program: Command, context: CommandContext): void {
  const explain = program
    .command('explain')
    .description('show why a row of a server is there: its rule, and the rows that it rests on')
    .argument(
      '<row>',
      'a table with constants, and `_` for any value, such as `net:reach("a", _)`',
    );
  questionOptions(explain)
    .option('--nodes <number>', 'rows of the proof; others are named only (default: 1000)', count)
    .option('--depth <number>', 'steps from the row; rows that are further are named only', count)
    .addHelpText(
      'after',
      examples([
        `caucus explain 'net:reach("a", "b")'`,
        `caucus explain --policy net --depth 2 'reach("a", _)' --json`,
      ]),
    )
    .action(async (text: string, flags: ExplainFlags) => {
      const { explain: run } = await import('./explain.ts');
      await run(text, { ...flags, url: serverUrl(flags) }, context.terminal());
    });
  const whyNot = program
    .command('why-not')
    .description('show why a query of a server has no solution: the fewest literals that fail')
    .argument('<text>', 'a row or any query, such as `net:reach("b", "a")`');
  questionOptions(whyNot)
    .addHelpText(
      'after',
      examples([
        `caucus why-not 'net:reach("b", "a")'`,
        `caucus why-not 'inv:server(x, _), net:alone(x)'`,
      ]),
    )
    .action(async (text: string, flags: QuestionFlags) => {
      const { whyNot: run } = await import('./explain.ts');
      await run(text, { ...flags, url: serverUrl(flags) }, context.terminal());
    });
}

function count(text: string): number {
  const value = /^[1-9]\d*$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= PROOF_NODES_MAX) return value;
  throw new InvalidArgumentError(`give a whole number from 1 to ${PROOF_NODES_MAX}`);
}
