/** `caucus fork`: goes on from the last whole cut of a log that has lost acknowledged records. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { ServeConfig } from '../config.ts';
import { CaucusError } from '../errors.ts';
import { MEMBER_SILENT_MS } from '../limits.ts';
import type { Logger } from '../observe/log.ts';
import { fork, planFork } from '../replica/forks.ts';
import type { ForkPlan } from '../replica/forks.ts';
import { pastMembers } from '../replica/members.ts';
import { Closers } from './closers.ts';
import { lockData, openData } from './open-data.ts';

const ID_BYTES = 16;

export interface ForkOutcome extends ForkPlan {
  /** Undefined: only looked. */
  readonly newLogId: string | undefined;
}

/** Writes the fork only where `isMeant`. Throws `conflict` while a replica runs. */
export async function forkLog(
  config: ServeConfig,
  logger: Logger,
  isMeant: boolean,
): Promise<ForkOutcome> {
  const closers = new Closers();
  try {
    if (config.shape === 'single') lockData(path.resolve(config.dataDirectory), closers);
    const { log } = await openData(config, logger, closers);
    const since = Date.now() - MEMBER_SILENT_MS;
    const running = (await pastMembers(log))
      .filter(({ seenMs, phase }) => seenMs >= since && phase !== 'stopped')
      .map(({ nodeId }) => nodeId);
    if (running.length > 0) {
      throw new CaucusError('conflict', `\`${running.join('`, `')}\` still runs`, {
        remedy: 'stop all nodes of the cluster, wait some seconds, then try again',
        details: { running },
      });
    }
    const plan = await planFork(log);
    if (!isMeant) return { ...plan, newLogId: undefined };
    const newLogId = randomBytes(ID_BYTES).toString('hex');
    await fork(log, plan, newLogId);
    return { ...plan, newLogId };
  } finally {
    await closers.close();
  }
}
