/**
 * `caucus repl`: statements and queries line by line.
 *
 *   edge(1, 2).                   ends with `.` or has `:-`: a fact or rule, defined at once
 *   table t(a: int)               a declaration
 *   path(x, y), x < y             anything else is a query; a `?` may end it
 *   :help                         a command of the shell
 *
 * A statement that is not finished goes on in the next line. What has errors is not defined.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-code.ts';
import { problemsOfError } from './problem.ts';
import { renderAnswer } from './query.ts';
import { openLocalSession, openRemoteSession } from './repl-session.ts';
import type { ReplSession } from './repl-session.ts';
import type { Terminal } from './terminal.ts';

export interface ReplOptions {
  readonly files: readonly string[];
  readonly facts?: string;
  readonly url?: string;
}

const HISTORY_LINES_MAX = 1000;
const PROMPT = 'caucus> ';
const CONTINUED = '   ...> ';

const HELP = `edge(1, 2).              define a fact
path(x, y) :- edge(x, y) define a rule
table t(a: int, b: any)  declare a table
path(x, 2), x > 0        ask; a variable that is not named before is a column of the answer
:list                    the rules and facts in force
:tables                  the tables and how many rows they have
:undo                    take the last definition back
:policy NAME             against a server: the policy that definitions go to
:help  :quit             this text; leave (also Ctrl-D)`;

export async function repl(options: ReplOptions, terminal: Terminal): Promise<number> {
  const session =
    options.url === undefined
      ? await openLocalSession(options.files, options.facts)
      : await openRemoteSession(options.url);
  try {
    return await new Repl(session, terminal).run();
  } finally {
    session.close();
  }
}

class Repl {
  private readonly session: ReplSession;
  private readonly terminal: Terminal;
  private readonly interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
  private pending = '';
  private failed = false;

  constructor(session: ReplSession, terminal: Terminal) {
    this.session = session;
    this.terminal = terminal;
  }

  /**
   * Without a terminal an error makes the exit code 1; the lines after it are read all the same.
   */
  async run(): Promise<number> {
    const lines = await this.open();
    if (this.interactive) this.terminal.print(`${this.session.title}; \`:help\` explains`);
    lines.prompt();
    for await (const line of lines) {
      if ((await this.line(line)) === 'quit') break;
      lines.setPrompt(this.interactive ? (this.pending === '' ? PROMPT : CONTINUED) : '');
      lines.prompt();
    }
    if (this.pending !== '') await this.input(this.pending);
    lines.close();
    return this.failed && !this.interactive ? EXIT_BAD_INPUT : EXIT_OK;
  }

  private async open(): Promise<Interface> {
    if (!this.interactive) {
      return createInterface({ input: process.stdin, prompt: '', terminal: false });
    }
    const file = historyFile();
    const history = (await readFile(file, 'utf8').catch(() => ''))
      .split('\n')
      .filter((line) => line !== '');
    const lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      prompt: PROMPT,
      history: history.slice(-HISTORY_LINES_MAX).reverse(),
      historySize: HISTORY_LINES_MAX,
      removeHistoryDuplicates: true,
    });
    lines.on('history', (entries: string[]) => {
      // A history that cannot be kept is no reason to stop.
      writeFile(file, `${entries.toReversed().join('\n')}\n`, { mode: 0o600 }).catch(() => {});
    });
    lines.on('SIGINT', () => {
      if (this.pending === '' && lines.line === '') lines.close();
      this.pending = '';
      process.stdout.write('^C\n');
      lines.setPrompt(PROMPT);
      lines.write(null, { ctrl: true, name: 'u' });
      lines.prompt();
    });
    return lines;
  }

  private async line(line: string): Promise<'quit' | undefined> {
    const text = line.trim();
    if (this.pending === '' && text.startsWith(':') && !text.startsWith(':-')) {
      return this.command(text);
    }
    const whole = this.pending === '' ? line : `${this.pending}\n${line}`;
    if (isUnfinished(whole)) this.pending = whole;
    else {
      this.pending = '';
      await this.input(whole);
    }
    return undefined;
  }

  private async input(text: string): Promise<void> {
    const stripped = text.trim();
    this.pending = '';
    if (stripped === '') return;
    await this.guarded(async () => {
      if (isDefinition(stripped)) {
        const said = await this.session.define(stripped);
        if (said !== '') this.terminal.print(this.terminal.out.dim(said));
        return;
      }
      const { columns, rows, json } = await this.session.ask(stripped.replace(/[?;]\s*$/, ''));
      this.terminal.print(
        this.terminal.json ? json : renderAnswer(columns, rows, this.terminal.out),
      );
    });
  }

  private async command(text: string): Promise<'quit' | undefined> {
    const [name = '', ...args] = text.split(/\s+/);
    switch (name) {
      case ':quit':
      case ':q':
      case ':exit':
        return 'quit';
      case ':help':
      case ':h':
        this.terminal.print(HELP);
        return undefined;
      case ':list':
        await this.guarded(async () => this.terminal.print((await this.session.list()).trimEnd()));
        return undefined;
      case ':tables':
        await this.guarded(async () =>
          this.terminal.print(await this.session.tables(this.terminal.out)),
        );
        return undefined;
      case ':undo':
        await this.guarded(async () => this.terminal.print(await this.session.undo()));
        return undefined;
      case ':policy':
        await this.guarded(async () => this.terminal.print(await this.session.usePolicy(args[0])));
        return undefined;
      default:
        this.failed = true;
        this.terminal.problems([
          {
            severity: 'error',
            code: 'unknown-command',
            message: `\`${name}\` is no command`,
            note: '`:help` lists them',
          },
        ]);
        return undefined;
    }
  }

  private async guarded(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const problems = problemsOfError(error);
      if (problems === undefined) throw error;
      this.failed = true;
      this.terminal.problems(problems);
    }
  }
}

/**
 * Ends inside brackets, behind a `:-` or a comma: more is to come. An empty line ends it all the
 * same.
 */
export function isUnfinished(text: string): boolean {
  if (/\n\s*$/.test(text)) return false;
  const bare = withoutStringsAndComments(text).trim();
  const open = [...bare].filter((c) => c === '(' || c === '[').length;
  const closed = [...bare].filter((c) => c === ')' || c === ']').length;
  return open > closed || /(:-|,|\bnot)$/.test(bare);
}

export function isDefinition(text: string): boolean {
  const bare = withoutStringsAndComments(text).trim();
  return bare.includes(':-') || bare.endsWith('.') || /^table\s+[^\s(]/.test(bare);
}

function withoutStringsAndComments(text: string): string {
  return text.replace(
    /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\//g,
    (found) => (found.startsWith('"') || found.startsWith("'") ? '""' : ' '),
  );
}

function historyFile(): string {
  const state = process.env['XDG_STATE_HOME'] ?? '';
  return state === ''
    ? path.join(homedir(), '.caucus_history')
    : path.join(state, 'caucus_history');
}
