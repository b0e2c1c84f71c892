/**
 * `npm run fuzz -- --batches N --seed S [--engine NAME] [--large] [--scratch-every N]`: fuzzes for
 * as long as wanted; a difference is printed with its seed, shrunk, and ends the run with exit code
 * 1.
 */
import { parseArgs } from 'node:util';
import { compareEngines, FuzzFailure } from './fuzz.ts';
import { bitsKinds, engineKinds } from './engines.ts';

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '20000' },
    seed: { type: 'string' },
    engine: { type: 'string' },
    large: { type: 'boolean', default: false },
    'scratch-every': { type: 'string', default: '1' },
  },
});

const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
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
      batches: Number(values.batches),
      large: values.large,
      scratchEvery: Number(values['scratch-every']),
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
