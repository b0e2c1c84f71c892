/** Flags of the commands that explain: `explain`, `why-not`. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Layout } from '../engine/engine-options.ts';
import { PROOF_NODES_MAX } from '../limits.ts';
import { questionOptions, serverUrl } from './client-flags.ts';
import type { ClientFlags, Consistency } from './client-flags.ts';
import { examples } from './help-text.ts';
import { UsageError } from './problem.ts';
import type { CommandContext } from './server-commands.ts';

interface QuestionFlags extends ClientFlags {
  readonly policy?: string;
  readonly consistency?: Consistency;
}
interface ExplainFlags extends QuestionFlags {
  readonly nodes?: number;
  readonly depth?: number;
  readonly plan?: readonly string[] | true;
  readonly facts?: string;
  readonly updates?: boolean;
  readonly layout?: Layout;
}

/** Flags of `--plan` and of nothing else, and those of a server's row. */
const PLAN_FLAGS = ['facts', 'updates', 'layout'] as const;
const ROW_FLAGS = ['policy', 'consistency', 'nodes', 'depth'] as const;

export function addExplainCommands(program: Command, context: CommandContext): void {
  const explain = program
    .command('explain')
    .description('show why a row of a server is there, or how the rules of files are run')
    .argument('[row]', 'a table with constants, and `_` for any value, such as `net:up("a", _)`');
  questionOptions(explain)
    .option('--nodes <number>', 'rows of the proof; others are named only (default: 1000)', count)
    .option('--depth <number>', 'steps from the row; rows that are further are named only', count)
    .option('--plan [file...]', "how the rules of policy files are run; without files the server's")
    .option('--facts <dir>', 'with `--plan`: sizes from `<table>.facts`; the plan is run once')
    .option('--updates', 'with `--plan`: also what updates and deletes run')
    .addOption(layoutOption('with `--facts`: how recursive tables are evaluated from scratch'))
    .addHelpText(
      'after',
      examples([
        `caucus explain 'net:reach("a", "b")'`,
        `caucus explain --policy net --depth 2 'reach("a", _)' --json`,
        'caucus explain --plan net.policy --facts data',
        'caucus explain --plan --url http://127.0.0.1:1789',
      ]),
    )
    .action(async (text: string | undefined, flags: ExplainFlags) => {
      if (flags.plan !== undefined) {
        refuseWithPlan(text, flags);
        const { explainPlan, explainServerPlan } = await import('./explain-plan.ts');
        if (flags.plan !== true) return await explainPlan(flags.plan, flags, context.terminal());
        return await explainServerPlan(serverUrl(flags), flags, context.terminal());
      }
      const row = rowOf(text, flags);
      const { explain: run } = await import('./explain.ts');
      await run(row, { ...flags, url: serverUrl(flags) }, context.terminal());
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

function refuseWithPlan(text: string | undefined, flags: ExplainFlags): void {
  if (flags.plan !== true && flags.url !== undefined) {
    throw new UsageError(
      '`--url` and files of `--plan` exclude each other',
      'leave one of them out',
    );
  }
  if (flags.plan === true && flags.facts !== undefined) {
    throw new UsageError('`--facts` needs files of `--plan`', 'name them behind `--plan`');
  }
  const other = ROW_FLAGS.find((name) => flags[name] !== undefined);
  if (text === undefined && other === undefined) {
    if (flags.layout === undefined || flags.facts !== undefined) return;
    throw new UsageError('`--layout` needs `--facts`', 'without rows nothing is evaluated');
  }
  const what = other === undefined ? `the row \`${text}\`` : `\`--${other}\``;
  throw new UsageError(
    `\`--plan\` and ${what} exclude each other`,
    'ask for the plan of files, or for a row of a server',
  );
}

function rowOf(text: string | undefined, flags: ExplainFlags): string {
  const only = PLAN_FLAGS.find((name) => flags[name] !== undefined);
  if (only !== undefined) {
    throw new UsageError(`\`--${only}\` needs \`--plan\``, 'name the policy files with `--plan`');
  }
  if (text !== undefined) return text;
  throw new UsageError(
    'missing required argument `row`',
    'name a row, such as `net:reach("a", _)`, or policy files with `--plan`',
  );
}

export function layoutOption(meaning: string): Option {
  return new Option('--layout <layout>', meaning).choices(['auto', 'rows', 'bits']);
}
