/** `caucus fork`: shows what a log has lost, and with `--yes` goes on without it. */
import type { ServeConfig } from '../config.ts';
import { forkLog } from '../parts/fork-log.ts';
import { EXIT_OK } from './exit-code.ts';
import { loggerOf } from './serve.ts';
import type { Terminal } from './terminal.ts';

/** Exit code 0, also where there was nothing to fork; errors are thrown. */
export async function forkCommand(
  config: ServeConfig,
  isMeant: boolean,
  terminal: Terminal,
): Promise<number> {
  const outcome = await forkLog(config, loggerOf(config, terminal), isMeant);
  if (terminal.json) {
    terminal.print(JSON.stringify(outcome));
    return EXIT_OK;
  }
  const { out } = terminal;
  const { logId, base, voidCuts, newLogId } = outcome;
  const lost = voidCuts === 1 ? '1 revision counts' : `${voidCuts} revisions count`;
  terminal.print(
    [
      `log       ${logId}`,
      `base      revision ${base}: the last one whose records are all there`,
      `lost      ${lost} for nothing`,
      newLogId === undefined
        ? out.dim('nothing was written; `--yes` goes on from the base under a new log id')
        : `${out.green('forked')}    the log is ${newLogId} from here on; start the nodes again`,
    ].join('\n'),
  );
  return EXIT_OK;
}
