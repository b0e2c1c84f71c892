/**
 * What this machine can start, what it lacks, and how to get it.
 *
 * `KAFKA_BROKERS` (`host:port,…`) and `MARIADB_URL` (`mariadb://user:password@host:port/database`)
 * name components that run elsewhere: then nothing of that kind is needed here.
 */
import { existsSync } from 'node:fs';
import { findProgram } from './processes.ts';

export type Component = 'kafka' | 'mariadb' | 'galera' | 'haproxy';

export interface Missing {
  readonly component: Component;
  /** The program or library that is absent. */
  readonly what: string;
  /** The command that gets it, on Debian. */
  readonly remedy: string;
}

export const COMPONENTS: readonly Component[] = ['kafka', 'mariadb', 'galera', 'haproxy'];

const GALERA_LIBRARIES = [
  '/usr/lib/galera/libgalera_smm.so',
  '/usr/lib64/galera-4/libgalera_smm.so',
];

interface Need {
  readonly what: string;
  /** Of Debian. */
  readonly packageName: string;
  isPresent(): boolean;
}

const program = (what: string, packageName: string): Need => ({
  what,
  packageName,
  isPresent: () => findProgram(what) !== undefined,
});

const SERVER = [
  program('mariadbd', 'mariadb-server'),
  program('mariadb-install-db', 'mariadb-server'),
];

const NEEDS: Readonly<Record<Component, readonly Need[]>> = {
  kafka: [program('java', 'openjdk-17-jre-headless'), program('mvn', 'maven')],
  mariadb: SERVER,
  galera: [
    ...SERVER,
    program('rsync', 'rsync'),
    {
      what: 'libgalera_smm.so',
      packageName: 'galera-4',
      isPresent: () => galeraLibrary() !== undefined,
    },
  ],
  haproxy: [program('haproxy', 'haproxy')],
};

/** Empty if everything asked for runs elsewhere or can be started. */
export function missingComponents(components: readonly Component[] = COMPONENTS): Missing[] {
  return missingPrograms(components.filter((component) => !isGiven(component)));
}

/** Empty if everything asked for can be started here, whatever runs elsewhere. */
export function missingPrograms(components: readonly Component[]): Missing[] {
  return components.flatMap((component) =>
    NEEDS[component]
      .filter((need) => !need.isPresent())
      .map(({ what, packageName }) => ({
        component,
        what,
        remedy: `apt-get install --no-install-recommends ${packageName}`,
      })),
  );
}

/** One line a reader cannot misunderstand. */
export function missingText(missing: readonly Missing[]): string {
  const packages = new Set(missing.map(({ remedy }) => remedy.split(' ').at(-1)));
  const what = new Set(missing.map(({ component, what }) => `\`${what}\` for ${component}`));
  const remedy = `apt-get install --no-install-recommends ${[...packages].join(' ')}`;
  return `missing: ${[...what].join(', ')}; to get it: ${remedy}`;
}

/** `KAFKA_BROKERS` as addresses. */
export function givenBrokers(): readonly string[] | undefined {
  return nonEmpty('KAFKA_BROKERS')
    ?.split(',')
    .map((address) => address.trim());
}

/** `MARIADB_URL`. */
export function givenMariadbUrl(): string | undefined {
  return nonEmpty('MARIADB_URL');
}

export function galeraLibrary(): string | undefined {
  return GALERA_LIBRARIES.find((file) => existsSync(file));
}

function isGiven(component: Component): boolean {
  if (component === 'kafka') return givenBrokers() !== undefined;
  return component === 'mariadb' && givenMariadbUrl() !== undefined;
}

function nonEmpty(name: string): string | undefined {
  const text = process.env[name]?.trim();
  return text === '' ? undefined : text;
}
