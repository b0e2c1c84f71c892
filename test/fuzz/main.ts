/** `npm run fuzz -- [flags]`: see `--help`. */
import { countOption, scriptCommand } from '../support/script-command.ts';
import { compareEngines, FuzzFailure } from './fuzz.ts';
import { bitsKinds, engineKinds } from './engines.ts';

interface FuzzFlags {
  readonly batches: number;
  readonly seed?: number;
  readonly engine?: string;
  readonly large?: boolean;
  readonly scratchEvery: number;
}

const values = scriptCommand(
  'fuzz',
  'Compares the engines with each other and with the reference over random programs and updates. ' +
    'A difference is printed with its seed, shrunk, and ends the run with exit code 1.',
)
  .addOption(countOption('--batches <n>', 'how many batches').default(20_000))
  .addOption(countOption('--seed <n>', 'where to begin; without it by the clock, and printed', 0))
  .option('--engine <name>', 'only this engine')
  .option('--large', 'some hundred rows a table, in which other things break')
  .addOption(
    countOption('--scratch-every <n>', 'batches between two evaluations from scratch').default(1),
  )
  .parse()
  .opts<FuzzFlags>();

const seed = values.seed ?? Date.now() % 1_000_000_000;
const kinds = [...(await engineKinds()), ...(await bitsKinds())];
const chosen = kinds.filter((kind) => values.engine === undefined || kind.name === values.engine);
if (chosen.length === 0) {
  console.error(`no engine \`${values.engine}\`: ${kinds.map((kind) => kind.name).join(', ')}`);
  process.exit(2);
}

for (const kind of chosen) {
  const started = performance.now();
  let shown = started;
  console.log(`engine ${kind.name}, seed ${seed}`);
  try {
    const report = await compareEngines(kind, {
      seed,
      batches: values.batches,
      large: values.large === true,
      scratchEvery: values.scratchEvery,
      onProgress: ({ programs, batches }) => {
        if (performance.now() - shown < 5000) return;
        shown = performance.now();
        console.log(`  ${batches} batches, ${programs} programs`);
      },
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(
      `  ${report.batches} batches, ${report.programs} programs, ${seconds} s: no difference`,
    );
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
