/**
 * Real components for a test. Where they cannot be had the test is skipped, which one line says
 * loudly; with `CI` set it fails instead.
 *
 *   const components = await componentsOrSkip(t);
 *   if (components === undefined) return;
 *   const database = await freshDatabase(components.mariadbUrl);
 *
 * The shared ones are for everybody: use `freshDatabase` and `freshTopicPrefix`, and kill nothing.
 * A test that kills starts its own, after `canStartOrSkip`.
 */
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { createConnection } from 'mariadb';
import { missingPrograms, missingText } from '../../deploy/loopback/components.ts';
import type { Component } from '../../deploy/loopback/components.ts';
import { HANDOVER_VARIABLE, handedOver, newDirectory, startShared } from './shared-components.ts';
import type { Shared, SharedKind } from './shared-components.ts';

export interface SharedComponents {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  /** Of a user that may create databases. */
  readonly mariadbUrl: string;
}

export interface FreshDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

const PREFIX_BYTES = 5;

/** Kafka (one node at least) and MariaDB; undefined: the test is skipped, return. */
export async function componentsOrSkip(t: TestContext): Promise<SharedComponents | undefined> {
  const brokers = await kafkaOrSkip(t);
  const mariadbUrl = await mariadbOrSkip(t);
  return brokers === undefined || mariadbUrl === undefined ? undefined : { brokers, mariadbUrl };
}

/** The shared brokers; undefined: the test is skipped, return. */
export async function kafkaOrSkip(t: TestContext): Promise<readonly string[] | undefined> {
  return (await sharedOrSkip(t, 'kafka'))?.split(',');
}

/** The URL of the shared MariaDB; undefined: the test is skipped, return. */
export async function mariadbOrSkip(t: TestContext): Promise<string | undefined> {
  return await sharedOrSkip(t, 'mariadb');
}

/** For tests that start components of their own; false: the test is skipped, return. */
export function canStartOrSkip(t: TestContext, components: readonly Component[]): boolean {
  const missing = missingPrograms(components);
  if (missing.length === 0) return true;
  skip(t, missingText(missing));
  return false;
}

/** A folder for components that a test starts; removed at the end of this process. */
export function componentDirectory(): string {
  return newDirectory();
}

/** An empty database on the server of the URL. */
export async function freshDatabase(url: string): Promise<FreshDatabase> {
  const name = `test_${randomBytes(PREFIX_BYTES).toString('hex')}`;
  const execute = async (sql: string): Promise<void> => {
    const connection = await createConnection(url);
    try {
      await connection.query(sql);
    } finally {
      await connection.end();
    }
  };
  await execute(`CREATE DATABASE ${name}`);
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  return { url: fresh.href, drop: () => execute(`DROP DATABASE ${name}`) };
}

/** For the names of topics: no other test has it. */
export function freshTopicPrefix(): string {
  return `test-${randomBytes(PREFIX_BYTES).toString('hex')}-`;
}

const started = new Map<SharedKind, Promise<Shared>>();
const said = new Set<string>();

async function sharedOrSkip(t: TestContext, kind: SharedKind): Promise<string | undefined> {
  const start = async (): Promise<Shared> => (await handedOver(kind)) ?? (await startShared(kind));
  const shared = started.get(kind) ?? start();
  started.set(kind, shared);
  const outcome = await shared;
  if ('address' in outcome) return outcome.address;
  skip(t, outcome.absent);
  return undefined;
}

/** `test/run.ts` says it for all processes at once. */
function skip(t: TestContext, reason: string): void {
  if (process.env['CI'] !== undefined) throw new Error(reason);
  if (process.env[HANDOVER_VARIABLE] === undefined && !said.has(reason)) {
    said.add(reason);
    console.error(skippedText([reason]));
  }
  t.skip(reason);
}

export function skippedText(reasons: readonly string[]): string {
  return `!!! NOT TESTED: what needs real components is skipped. ${[...new Set(reasons)].join('; ')}`;
}
