/**
 * Flags → commands. Each command is loaded when it is asked for, so that `caucus fmt` does not wait
 * for a server's parts. What can be decided from the command line alone is decided here: exit code
 * 2.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ConfigError } from '../config/problem.ts';
import { nearestName } from '../compiler/nearest-name.ts';
import { CaucusError } from '../errors.ts';
import { ROWS_PER_TABLE_MAX } from '../limits.ts';
import { clientOptions, questionOptions, serverUrl, URL_DEFAULT } from './client-flags.ts';
import type { ClientFlags, Consistency } from './client-flags.ts';
import { packageVersion } from './core-wasm.ts';
import {
  EXIT_BAD_INPUT,
  EXIT_BAD_USAGE,
  EXIT_DEFECT,
  EXIT_INTERRUPTED,
  EXIT_OK,
  EXIT_UNAVAILABLE,
} from './exit-code.ts';
import { addExplainCommands, layoutOption } from './explain-commands.ts';
import { examples } from './help-text.ts';
import { problemsOfError, UnavailableError, UsageError } from './problem.ts';
import { addPolicyCommands } from './policy-commands.ts';
import { addServerCommands } from './server-commands.ts';
import { Terminal } from './terminal.ts';

/** Between two looks of `status --watch`. */
const WATCH_MS = 1_000;
const WATCH_SECONDS_MIN = 0.1;
const WATCH_SECONDS_MAX = 3_600;

/** What every command may be given. */
interface GlobalFlags {
  readonly json?: boolean;
  readonly color?: boolean;
}

/** Runs one command line (without `node` and script); resolves with the exit code. */
export async function runCli(args: readonly string[]): Promise<number> {
  const cli = new Cli();
  const removeHandlers = handleSignals();
  try {
    return await cli.run(args);
  } finally {
    removeHandlers();
  }
}

class Cli {
  private readonly program = new Command('caucus');
  private terminal = new Terminal({ color: 'auto', json: false });
  private exitCode = EXIT_OK;

  constructor() {
    const { program } = this;
    program
      .description('A Datalog policy engine: live tables, recursive rules, exact streaming deltas.')
      .version(packageVersion(), '--version', 'print the version')
      .option('--json', 'for machines: answers and errors as JSON')
      .option('--color', 'colours even where no terminal reads')
      .option('--no-color', 'no colours (also with NO_COLOR in the environment)')
      .helpOption('-h, --help', 'show help')
      .helpCommand('help [command]', 'show help for a command')
      .showHelpAfterError('(`caucus help` lists the commands)')
      .configureHelp({ sortSubcommands: false, showGlobalOptions: true });
    const context = {
      terminal: (): Terminal => this.terminal,
      end: (code: number): void => {
        this.exitCode = code;
      },
    };
    addServerCommands(program, context);
    this.check();
    addPolicyCommands(program, context);
    this.fmt();
    this.runProgram();
    this.query();
    addExplainCommands(program, context);
    this.subscribe();
    this.load();
    this.repl();
    this.status();
    for (const command of commandsOf(program)) {
      command.exitOverride();
      command.configureOutput({ outputError: (text, write) => write(this.usageText(text)) });
    }
  }

  async run(args: readonly string[]): Promise<number> {
    this.terminal = terminalOf({
      json: args.includes('--json'),
      ...(args.includes('--no-color') ? { color: false } : {}),
      ...(args.includes('--color') ? { color: true } : {}),
    });
    if (this.terminal.json) {
      // Each line of stderr is JSON.
      for (const command of commandsOf(this.program)) {
        command.showHelpAfterError(false);
      }
    }
    try {
      this.refuseUnknownHelp(args);
      await this.program.parseAsync(args, { from: 'user' });
      return this.exitCode;
    } catch (error) {
      return this.failed(error);
    }
  }

  /** The parser answers `help nope` with the general help and no word of what is wrong. */
  private refuseUnknownHelp(args: readonly string[]): void {
    const [help, name] = args.filter((arg) => !arg.startsWith('-'));
    if (help !== 'help' || name === undefined || name === 'help') return;
    const names = this.program.commands.map((command) => command.name());
    if (names.includes(name)) return;
    const nearest = nearestName(name, names);
    throw new UsageError(
      `unknown command \`${name}\``,
      nearest === undefined ? '`caucus help` lists the commands' : `did you mean \`${nearest}\`?`,
    );
  }

  private check(): void {
    this.program
      .command('check')
      .description('check policy files together; all errors of all files are shown')
      .argument('<file...>', 'policy files; `-` reads standard input')
      .addHelpText('after', examples(['caucus check *.policy', 'caucus check --json net.policy']))
      .action(async (files: string[]) => {
        const { check } = await import('./check.ts');
        this.exitCode = await check(files, this.terminal);
      });
  }

  private fmt(): void {
    this.program
      .command('fmt')
      .description('write policy files in the standard layout')
      .argument('<file...>', 'policy files; `-` reads standard input and writes standard output')
      .option('--check', 'change nothing; exit with 1 where a file is not in the standard layout')
      .addHelpText('after', examples(['caucus fmt *.policy', 'caucus fmt --check *.policy']))
      .action(async (files: string[], flags: { check?: boolean }) => {
        const { format } = await import('./fmt.ts');
        this.exitCode = await format(files, { check: flags.check === true }, this.terminal);
      });
  }

  private runProgram(): void {
    this.program
      .command('run')
      .description('evaluate a program over files of facts')
      .argument('<program>', 'policy file; its base name is the name of the policy')
      .option('--facts <dir>', 'directory with `<table>.facts`, tab separated, no header')
      .option('--out <dir>', 'write `<table>.csv` there; without it nothing is written')
      .option(
        '--output <tables>',
        'tables to write instead of those with rules, as `t1,p:t2`',
        tableList,
      )
      .option('--updates <file>', 'batches of `+table` and `-table` lines, ended by blank lines')
      .option('--stats', 'print sizes and times; JSON with `--json`')
      .addOption(layoutOption('how recursive tables are evaluated from scratch (default: auto)'))
      .option('--explain <row>', 'show a proof of a row that is there, such as `p(1, _)`')
      .option('--why-not <row>', 'show why a row is not there')
      .option('--explain-changes', 'with `--updates`: print what made each row come or go')
      .option('--batch-only', 'keep nothing that only updates need; not together with `--updates`')
      .option(
        '--max-rows <number>',
        `rows that any table may have (default: ${ROWS_PER_TABLE_MAX} where a recursion makes new values)`,
        rowsMax,
      )
      .addHelpText(
        'after',
        examples([
          'caucus run paths.dl --facts data --out result',
          'caucus run paths.dl --facts data --out result --updates changes.txt --stats',
        ]),
      )
      .action(async (program: string, flags: RunFlags) => {
        // Checked here and not by the parser, which would say so before it names a mistyped flag.
        const { facts } = flags;
        if (facts === undefined) {
          throw new UsageError(
            'required option `--facts <dir>` not specified',
            'name the directory of the `.facts` files',
          );
        }
        const { run } = await import('./run.ts');
        await run(program, { ...flags, facts }, this.terminal);
      });
  }

  private query(): void {
    const command = this.program
      .command('query')
      .description('ask a server')
      .argument('<text>', 'the query, such as `inv:vm(x, host), not down(host)`');
    questionOptions(command)
      .addHelpText(
        'after',
        examples([
          "caucus query 'path(x, y)'",
          'caucus query --json --policy net \'path("a", y)\'',
        ]),
      )
      .action(
        async (
          text: string,
          flags: ClientFlags & { policy?: string; consistency?: Consistency },
        ) => {
          const { query } = await import('./query.ts');
          await query(text, { ...flags, url: serverUrl(flags) }, this.terminal);
        },
      );
  }

  private subscribe(): void {
    const command = this.program
      .command('subscribe')
      .description('follow a query: its rows, then every change')
      .argument('<text>', 'the query');
    clientOptions(command)
      .option('--policy <name>', 'policy that unqualified names belong to')
      .option('--from <token>', 'go on after this token instead of a snapshot')
      .addOption(
        new Option(
          '--view <kind>',
          'for people: `log` of changes or `table` that follows them',
        ).choices(['log', 'table']),
      )
      .addHelpText(
        'after',
        `${examples(["caucus subscribe 'path(x, y)'", "caucus subscribe --json 'down(host)' | jq -c .changes"])}
With --json each transaction is one line:
  {"revision":7,"token":"…","snapshot":false,"changes":[["+",["a",1]],["-",["b",2]]]}
A lost connection is taken up again where it ended.`,
      )
      .action(async (text: string, flags: ClientFlags & SubscribeFlags) => {
        const { subscribe } = await import('./subscribe.ts');
        this.exitCode = await subscribe(text, { ...flags, url: serverUrl(flags) }, this.terminal);
      });
  }

  private load(): void {
    const command = this.program
      .command('load')
      .description('send the rows of a file to a source, as one batch')
      .argument('<source>', 'the source whose table is filled')
      .argument(
        '<file>',
        'CSV, TSV, JSON, NDJSON or .facts; `-` reads standard input (with `--format`)',
      );
    clientOptions(command)
      .option('--table <name>', 'the table; without it the base name of the file')
      .addOption(
        new Option('--format <format>', 'instead of the one that the file name ends in').choices([
          'csv',
          'tsv',
          'json',
          'ndjson',
          'facts',
        ]),
      )
      .addOption(
        new Option('--snapshot', 'the file is the whole table (default)').conflicts([
          'insert',
          'delete',
        ]),
      )
      .addOption(new Option('--insert', 'add the rows').conflicts(['snapshot', 'delete']))
      .addOption(new Option('--delete', 'remove the rows').conflicts(['snapshot', 'insert']))
      .option('--header', 'the first line of the CSV or TSV file names columns')
      .option('--no-header', 'the first line of the CSV or TSV file is a row')
      .option('--id <key>', 'idempotency id; without it a random one')
      .addHelpText(
        'after',
        examples([
          'caucus load inv servers.csv',
          'caucus load inv changes.ndjson --table vm --insert',
        ]),
      )
      .action(async (source: string, file: string, flags: ClientFlags & LoadFlags) => {
        const { load } = await import('./load.ts');
        await load(source, file, { ...flags, url: serverUrl(flags) }, this.terminal);
      });
  }

  private repl(): void {
    this.program
      .command('repl')
      .description('define facts and rules and ask, line by line; over files or against a server')
      .argument('[file...]', 'policy files to start with')
      .option('--facts <dir>', 'directory with `<table>.facts`')
      .option('--url <url>', 'ask this server instead')
      .addHelpText(
        'after',
        examples(['caucus repl paths.dl --facts data', `caucus repl --url ${URL_DEFAULT}`]),
      )
      .action(async (files: string[], flags: { facts?: string; url?: string }) => {
        if (flags.url !== undefined && (files.length > 0 || flags.facts !== undefined)) {
          throw new UsageError(
            '`--url` and files exclude each other',
            'write the policy to the server with `caucus serve --policy`, or leave `--url` out',
          );
        }
        const url = flags.url === undefined ? undefined : serverUrl(flags);
        const { repl } = await import('./repl.ts');
        this.exitCode = await repl(
          {
            files,
            ...(flags.facts === undefined ? {} : { facts: flags.facts }),
            ...(url === undefined ? {} : { url }),
          },
          this.terminal,
        );
      });
  }

  private status(): void {
    const command = this.program
      .command('status')
      .description('show what a server and its cluster serve, and whether it is ready');
    clientOptions(command)
      .option('--watch [seconds]', 'show it again and again, until stopped (default: 1)', watchMs)
      .addHelpText(
        'after',
        examples(['caucus status', 'caucus status --json', 'caucus status --watch']),
      )
      .action(async (flags: ClientFlags & { watch?: number | true }) => {
        const { status } = await import('./status.ts');
        const { watch } = flags;
        const everyMs = watch === true ? WATCH_MS : watch;
        const options = { url: serverUrl(flags), ...(everyMs === undefined ? {} : { everyMs }) };
        this.exitCode = await status(options, this.terminal);
      });
  }

  private usageText(text: string): string {
    const { err } = this.terminal;
    const [first = '', ...rest] = text.trimEnd().split('\n');
    const message = first
      .replace(/^error: /, '')
      .replace(/'([^']*)'/g, '`$1`')
      .replace(/\.$/, '');
    if (this.terminal.json) {
      return `${JSON.stringify({ severity: 'error', code: 'usage', message, ...(rest.length === 0 ? {} : { note: rest.join(' ') }) })}\n`;
    }
    return [`${err.red('error')}: ${message}`, ...rest, ''].join('\n');
  }

  private failed(error: unknown): number {
    const { terminal } = this;
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT_OK : EXIT_BAD_USAGE;
    }
    if (error instanceof ConfigError) {
      terminal.problems(error.problems);
      return error.isUsage ? EXIT_BAD_USAGE : EXIT_BAD_INPUT;
    }
    if (error instanceof UsageError) {
      const note = error.remedy === undefined ? {} : { note: error.remedy };
      terminal.problems([{ severity: 'error', code: 'usage', message: error.message, ...note }]);
      return EXIT_BAD_USAGE;
    }
    const problems = problemsOfError(error);
    if (problems === undefined) {
      terminal.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
      terminal.note('this is a defect of Caucus; please report it with the lines above');
      return EXIT_DEFECT;
    }
    terminal.problems(problems);
    const later =
      error instanceof UnavailableError ||
      (error instanceof CaucusError && error.retry !== 'never');
    return later ? EXIT_UNAVAILABLE : EXIT_BAD_INPUT;
  }
}

interface RunFlags {
  readonly facts?: string;
  readonly out?: string;
  readonly output?: readonly string[];
  readonly updates?: string;
  readonly stats?: boolean;
  readonly batchOnly?: boolean;
  readonly maxRows?: number;
  readonly layout?: 'auto' | 'rows' | 'bits';
  readonly explain?: string;
  readonly whyNot?: string;
  readonly explainChanges?: boolean;
}
interface SubscribeFlags {
  readonly policy?: string;
  readonly from?: string;
  readonly view?: 'log' | 'table';
}
interface LoadFlags {
  readonly table?: string;
  readonly format?: 'csv' | 'tsv' | 'json' | 'ndjson' | 'facts';
  readonly header?: boolean;
  readonly snapshot?: boolean;
  readonly insert?: boolean;
  readonly delete?: boolean;
  readonly id?: string;
}
function terminalOf(flags: GlobalFlags): Terminal {
  const color = flags.color === undefined ? 'auto' : flags.color ? 'always' : 'never';
  return new Terminal({ color, json: flags.json === true });
}

function tableList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) {
    throw new InvalidArgumentError(
      'give names of tables separated by commas, such as `path,inv:vm`',
    );
  }
  return names;
}

function rowsMax(text: string): number {
  const rows = Number(text);
  if (/^[1-9][0-9]*$/.test(text) && Number.isSafeInteger(rows)) return rows;
  throw new InvalidArgumentError('give a number of rows from 1, such as `100000000`');
}

function watchMs(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds >= WATCH_SECONDS_MIN && seconds <= WATCH_SECONDS_MAX) return seconds * 1_000;
  throw new InvalidArgumentError(`give seconds from ${WATCH_SECONDS_MIN} to ${WATCH_SECONDS_MAX}`);
}

/** Commands below commands, too. */
function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap((below) => commandsOf(below))];
}

/**
 * SIGINT ends any command that does not handle it itself; a reader that went away ends it quietly.
 */
function handleSignals(): () => void {
  const onInterrupt = (): void => {
    // A command that wants to end in its own way has its own listener.
    if (process.listenerCount('SIGINT') === 1) process.exit(EXIT_INTERRUPTED);
  };
  const onPipeError = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE') process.exit(EXIT_OK);
    throw error;
  };
  process.on('SIGINT', onInterrupt);
  process.stdout.on('error', onPipeError);
  return () => {
    process.off('SIGINT', onInterrupt);
  };
}
