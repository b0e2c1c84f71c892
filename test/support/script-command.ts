/**
 * Command lines of the programs behind `npm run`: `--help` prints the usage and ends with 0; what a
 * program does not know is told in a line and ends with 2, before anything runs.
 */
import { Command, InvalidArgumentError, Option } from 'commander';

const EXIT_USAGE = 2;

/** `npm run NAME`; takes no words unless `argument` adds some. */
export function scriptCommand(name: string, description: string): Command {
  return new Command(`npm run ${name} --`)
    .description(description)
    .allowExcessArguments(false)
    .showHelpAfterError('(`--help` lists what there is)')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE));
}

/** A flag with a whole number from `min` on. */
export function countOption(flags: string, description: string, min = 1): Option {
  return new Option(flags, description).argParser((text: string): number => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`It is a whole number from ${min} on.`);
  });
}
