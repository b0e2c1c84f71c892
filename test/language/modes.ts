/** The ways to run a case, which must all lead to the same tables. */
import { DiagnosticList } from '../../host/compiler/diagnostic.ts';
import { parsePolicy } from '../../host/compiler/parser.ts';
import { printPolicy } from '../../host/compiler/printer.ts';
import type { TableKey } from '../../host/compiler/stratified.ts';
import type { StatementNode } from '../../host/compiler/syntax-tree.ts';
import type { EngineKind } from '../fuzz/engine-kind.ts';
import { ERRORS_TABLE } from '../oracle/naive-evaluator.ts';
import { shuffled } from '../support/prng.ts';
import type { Random } from '../support/random.ts';
import { CaseRun, parseAtoms, printAtom } from './run-case.ts';
import type { Block, Input, RowsInput, ScriptCase } from './script.ts';

export interface BlockResult {
  readonly lines: readonly string[];
  /** All tables after the block, printed. */
  readonly contents: ReadonlyMap<TableKey, readonly string[]>;
}

/** Block by block, as written. */
export function runIncrementally(kind: EngineKind, script: ScriptCase): Promise<BlockResult[]> {
  return runBlocks(kind, script.blocks, (block) => [block.inputs]);
}

/** Every policy printed and read again; the printed form prints as itself. */
export function runReprinted(kind: EngineKind, script: ScriptCase): Promise<BlockResult[]> {
  return runBlocks(kind, script.blocks, (block) => [
    block.inputs.map((input): Input => {
      if (input.kind !== 'policy' || input.text === undefined) return input;
      return { ...input, text: reprint(input.text) };
    }),
  ]);
}

/**
 * Rows one by one in random order, statements of policies in random order. Only the tables are
 * compared with other modes: what comes and goes in between differs.
 */
export function runShuffled(
  kind: EngineKind,
  script: ScriptCase,
  random: Random,
): Promise<BlockResult[]> {
  return runBlocks(kind, script.blocks, (block) => {
    // What is refused is refused as a whole, rows included.
    const isRefused = block.expected.some((line) => line.startsWith('error '));
    return isRefused ? [block.inputs] : shuffleInputs(block.inputs, random);
  });
}

/** The last policies and the last rows, in one transaction; the last block's queries. */
export async function runAtOnce(
  kind: EngineKind,
  script: ScriptCase,
): Promise<BlockResult | undefined> {
  const gradual = await CaseRun.start(kind);
  const atOnce = await CaseRun.start(kind);
  try {
    for (const block of script.blocks) await gradual.block(block.inputs);
    const policies = [...gradual.policies].map(([name, text]): Input => ({
      kind: 'policy',
      name,
      text,
    }));
    const rows = (await gradual.baseRows()).map((atom): Input => ({
      kind: 'insert',
      atoms: printAtom(atom),
    }));
    const queries = script.blocks.at(-1)?.inputs.filter((input) => input.kind === 'query') ?? [];
    const lines = await atOnce.block([
      ...gradual.sources.values(),
      ...policies,
      ...rows,
      ...queries,
    ]);
    return { lines: lines.filter(isAnswer), contents: atOnce.contents() };
  } finally {
    await gradual.close();
    await atOnce.close();
  }
}

/** Lines of answers to queries: the ones that do not depend on how the state came about. */
export function isAnswer(line: string): boolean {
  return line.startsWith('?') || line.startsWith('  ');
}

/** Numbers of rules change when statements change places. */
export function withoutOrdinals(
  contents: ReadonlyMap<TableKey, readonly string[]>,
): Map<TableKey, readonly string[]> {
  return new Map(
    [...contents].map(([table, rows]) => {
      if (table !== ERRORS_TABLE) return [table, rows];
      return [table, rows.map((row) => row.replace(/, \d+, /, ', ')).sort()];
    }),
  );
}

async function runBlocks(
  kind: EngineKind,
  blocks: readonly Block[],
  transactions: (block: Block) => readonly Block['inputs'][],
): Promise<BlockResult[]> {
  const run = await CaseRun.start(kind);
  try {
    const results: BlockResult[] = [];
    for (const block of blocks) {
      const lines: string[] = [];
      for (const inputs of transactions(block)) lines.push(...(await run.block(inputs)));
      results.push({ lines, contents: run.contents() });
    }
    return results;
  } finally {
    await run.close();
  }
}

function reprint(text: string): string {
  const diagnostics = new DiagnosticList(text);
  const tree = parsePolicy(text, diagnostics);
  // A text with errors stays: its errors have places in it.
  if (diagnostics.errorCount > 0) return text;
  const printed = printPolicy(tree);
  const again = printPolicy(parsePolicy(printed, new DiagnosticList(printed)));
  if (again !== printed) throw new Error(`printed again it differs:\n${printed}---\n${again}`);
  return printed;
}

function shuffleInputs(inputs: Block['inputs'], random: Random): Block['inputs'][] {
  const isSingle = (one: Input): one is RowsInput => one.kind === 'insert' || one.kind === 'delete';
  const rowInputs = inputs.filter(isSingle);
  const rest = inputs.filter((one) => one.kind !== 'query' && !isSingle(one));
  const queries = inputs.filter((one) => one.kind === 'query');
  const policies = rest.map((input): Input => {
    if (input.kind !== 'policy' || input.text === undefined) return input;
    return { ...input, text: shuffleStatements(input.text, random) };
  });
  // The last operation on a row counts; the operations on one row stay in order.
  const lastByRow = new Map<string, Input>();
  for (const { kind, atoms } of rowInputs) {
    for (const atom of parseAtoms(atoms)) {
      lastByRow.set(printAtom(atom), { kind, atoms: printAtom(atom) });
    }
  }
  const singles = shuffled(random, [...lastByRow.values()]).map((input) => [input]);
  return [policies, ...singles, queries];
}

function shuffleStatements(text: string, random: Random): string {
  const diagnostics = new DiagnosticList(text);
  const tree = parsePolicy(text, diagnostics);
  if (diagnostics.errorCount > 0) return text;
  // The kind of the policy has to stay the first one.
  const isKind = (one: StatementNode): boolean => one.kind === 'policy';
  const kind = tree.statements.filter(isKind);
  const rest = tree.statements.filter((one) => !isKind(one));
  return printPolicy({ ...tree, statements: [...kind, ...shuffled(random, rest)] });
}
