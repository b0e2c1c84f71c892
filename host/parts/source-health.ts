/** Log lines of what drivers say of their sources. */
import type { SourceHealth } from '../../drivers/runner.ts';
import type { Logger } from '../observe/log.ts';

export function logHealth({ source, state, problems }: SourceHealth, logger: Logger): void {
  if (state === 'fresh') logger.info('source-fresh', `\`${source}\` is up to date`, { source });
  if (state !== 'stale') return;
  for (const problem of problems) {
    const { file, line, column, remedy } = problem;
    const place = [file, line, column].filter((part) => part !== undefined).join(':');
    logger.warn('source-stale', problem.message, { source, place, remedy });
  }
}
