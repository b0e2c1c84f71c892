/** Log and policy database of a process: on its own disk, or Kafka and MariaDB of a cluster. */
import path from 'node:path';
import { inputError } from '../cli/problem.ts';
import type { DatasourceNodeConfig, ReplicaConfig, ServeConfig, SingleConfig } from '../config.ts';
import { CaucusError } from '../errors.ts';
import { lockDataDirectory } from '../log/data-lock.ts';
import { fillReserve, freeReserve, isDiskFull } from '../log/disk-reserve.ts';
import { openFileLog } from '../log/file-log.ts';
import { openKafkaLog } from '../log/kafka-log.ts';
import type { Log } from '../log/log.ts';
import { nodeDisk } from '../log/node-disk.ts';
import type { Logger } from '../observe/log.ts';
import type { Leases } from '../store/leases.ts';
import { openMariadbStore } from '../store/mariadb-store.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import type { Closers } from './closers.ts';
import type { StartPatience } from './start-patience.ts';

export interface Data {
  readonly log: Log;
  readonly store: Store & Leases;
}

/** Its data directory is this process' alone until it is closed. */
export function lockData(directory: string, closers: Closers): void {
  const lock = withReserve(directory, () => lockDataDirectory(directory));
  closers.add(() => lock.release());
}

/** Without `patience` a log or a database that is away is an error at once. */
export async function openData(
  config: ServeConfig,
  logger: Logger,
  closers: Closers,
  patience?: StartPatience,
): Promise<Data> {
  return config.shape === 'single'
    ? await openLocal(config, closers)
    : await openShared(config, logger, closers, patience);
}

async function openLocal(config: SingleConfig, closers: Closers): Promise<Data> {
  const directory = path.resolve(config.dataDirectory);
  try {
    const log = await openFileLog({
      disk: nodeDisk,
      directory: path.join(directory, 'log'),
      now: Date.now,
    });
    closers.add(() => log.close());
    const file = config.databaseFile ?? path.join(directory, 'store.sqlite');
    const store = await openSqliteStore({ file }).catch(async (error: unknown) => {
      if (!isDiskFull(error) || !freeReserve(directory)) throw error;
      return await openSqliteStore({ file });
    });
    closers.add(() => store.close());
    fillReserve(directory);
    return { log, store };
  } catch (error) {
    throw dataProblem(error, directory);
  }
}

async function openShared(
  { kafka, database }: ReplicaConfig | DatasourceNodeConfig,
  logger: Logger,
  closers: Closers,
  patience: StartPatience | undefined,
): Promise<Data> {
  const { busId, ...connection } = kafka;
  const there = <T>(open: () => Promise<T>): Promise<T> => patience?.retry(open) ?? open();
  const log = await there(() =>
    openKafkaLog({
      ...connection,
      bus: busId,
      now: Date.now,
      onProblem: ({ message }) => logger.warn('log-trouble', message),
      onEvent: (level, message) => logger[level]('log-event', message),
    }),
  );
  closers.add(() => log.close());
  const store = await there(() =>
    openMariadbStore({
      ...database,
      onProblem: ({ message }) => logger.warn('store-trouble', message),
    }),
  );
  closers.add(() => store.close());
  return { log, store };
}

/** On a full disk the reserve is given up for what the start has to write. */
function withReserve<T>(directory: string, open: () => T): T {
  try {
    try {
      return open();
    } catch (error) {
      if (!isDiskFull(error) || !freeReserve(directory)) throw error;
      return open();
    }
  } catch (error) {
    throw dataProblem(error, directory);
  }
}

function dataProblem(error: unknown, directory: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof CaucusError || code === undefined) return error;
  return inputError(
    'data-unusable',
    `the data directory \`${directory}\` cannot be used: ${code}`,
    {
      note:
        code === 'ENOSPC'
          ? 'the disk is full: free some space, then start again'
          : 'name a directory that this user may write with `--data`',
    },
  );
}
