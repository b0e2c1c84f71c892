import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { mariadbAddress, placeOf } from '../../host/store/mariadb-address.ts';
import type { MariadbAddressOptions } from '../../host/store/mariadb-address.ts';

const PLAIN = {
  host: 'controller',
  port: 3306,
  socketPath: undefined,
  user: 'congress',
  password: 'secret',
  database: 'congress',
  tls: undefined,
};

test('URLs of `database.connection` are read as SQLAlchemy reads them', () => {
  for (const scheme of ['mysql', 'mariadb', 'mysql+pymysql', 'mariadb+mariadbconnector']) {
    const url = `${scheme}://congress:secret@controller/congress`;
    assert.deepEqual(mariadbAddress({ url }), PLAIN);
    assert.deepEqual(mariadbAddress({ url: `${url}?charset=utf8` }), PLAIN);
  }
  assert.deepEqual(mariadbAddress({ url: 'mysql://u:p%40%2F%3A%25%23@[::1]:4000/a%20b' }), {
    ...PLAIN,
    host: '::1',
    port: 4000,
    user: 'u',
    password: 'p@/:%#',
    database: 'a b',
  });
  const local = mariadbAddress({ url: 'mysql:///db?unix_socket=/run/mysqld/mysqld.sock' });
  assert.deepEqual([local.host, local.user, local.password], ['localhost', '', '']);
  assert.equal(placeOf(local), '/run/mysqld/mysqld.sock/db');
});

test('options win over the URL', () => {
  const url = 'mysql://congress:secret@controller/congress';
  const options = { host: 'h', port: 1, user: 'u', password: '', database: 'd', ssl: true };
  const { ssl: _, ...expected } = options;
  assert.deepEqual(mariadbAddress({ url, ...options }), {
    ...expected,
    socketPath: undefined,
    tls: {},
  });
});

test('TLS settings of a URL name files', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'caucus-tls-'));
  const file = path.join(directory, 'ca.pem');
  writeFileSync(file, 'PEM');
  const url = `mysql://u:p@h/d?ssl_ca=${file}&ssl_verify_cert=true`;
  assert.deepEqual(mariadbAddress({ url }).tls, { ca: 'PEM', verify: true });
  assert.deepEqual(mariadbAddress({ url, ssl: { cert: 'C', key: 'K' } }).tls, {
    cert: 'C',
    key: 'K',
  });
  assert.equal(mariadbAddress({ url, ssl: false }).tls, undefined);
  assert.deepEqual(mariadbAddress({ url: 'mysql://u:p@h/d?ssl_verify_cert=false' }).tls, {
    verify: false,
  });
  rmSync(directory, { recursive: true });
});

const BAD: readonly (readonly [MariadbAddressOptions, RegExp])[] = [
  [{ url: 'postgresql://u:geheim@h/d' }, /scheme `postgresql`/],
  [{ url: 'sqlite:////var/geheim.db' }, /scheme `sqlite`/],
  [{ url: 'u:geheim@h/d' }, /scheme/],
  [{ url: 'h/d' }, /no scheme/],
  [{ url: 'mysql://u:geheim@h:port/d' }, /cannot be read/],
  [{ url: 'mysql://u:geheim@h' }, /no database/],
  [{ url: 'mysql://u:geheim@h/' }, /no database/],
  [{ url: 'mysql://u:geheim%@h/d' }, /`%`/],
  [{ url: 'mysql://u:geheim@h/d?read_timeout=3' }, /parameter `read_timeout`/],
  [{ url: 'mysql://u:geheim@h/d?charset=latin1' }, /charset `latin1`/],
  [{ url: 'mysql://u:geheim@h/d?ssl_ca=/no/such/file' }, /`\/no\/such\/file`/],
  [{ host: 'h', port: 70_000, database: 'd' }, /port `70000`/],
  [{ host: 'h', user: 'u', password: 'geheim' }, /no database/],
];
for (const [options, message] of BAD) {
  test(`refused, without the password: ${JSON.stringify(options)}`, () => {
    assert.throws(
      () => mariadbAddress(options),
      (error) => {
        assert.ok(error instanceof CaucusError && error.code === 'invalid_request');
        assert.match(error.message, message);
        assert.ok(error.remedy !== undefined);
        const isNamed = `${error.message} ${error.remedy} ${JSON.stringify(error.details)}`;
        assert.ok(!isNamed.includes('geheim'));
        return true;
      },
    );
  });
}
