import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}
interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Optional packages that are not locked. npm leaves out those that its registry does not offer
 * (binaries of other platforms), and `npm ci` then refuses the whole file.
 */
function missingOptionals({ packages }: LockFile): string[] {
  return Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !(`${parent}/node_modules/${name}` in packages))
      .filter((name) => !(`node_modules/${name}` in packages))
      .map((name) => `${parent} needs ${name}`),
  );
}

const lockFile = JSON.parse(readFileSync('package-lock.json', 'utf8')) as LockFile;

test('optional packages of every platform are locked', () => {
  assert.deepEqual(missingOptionals(lockFile), []);
});

test('the lock file names no host', () => {
  const hosts = Object.values(lockFile.packages).filter(({ resolved }) => resolved !== undefined);
  assert.deepEqual(hosts, []);
});

test('every dependency of the project is of one exact version', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  for (const [name, version] of all) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
    assert.equal(lockFile.packages[`node_modules/${name}`]?.version, version, name);
  }
});

test('control: a binary of another platform that is not locked', () => {
  const optionalDependencies = { 'a-linux': '1.0.0', 'a-darwin': '1.0.0' };
  const packages = { 'node_modules/a': { optionalDependencies }, 'node_modules/a-linux': {} };
  assert.deepEqual(missingOptionals({ packages }), ['node_modules/a needs a-darwin']);
});
