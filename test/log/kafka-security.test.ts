/** Listeners that let in only whom they know: SASL in its mechanisms, and TLS. */
import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import type { RunningKafka } from '../../deploy/loopback/kafka.ts';
import { freePorts, LOOPBACK } from '../../deploy/loopback/ports.ts';
import { runProgram } from '../../deploy/loopback/processes.ts';
import { CaucusError } from '../../host/errors.ts';
import type { KafkaLogOptions } from '../../host/log/kafka-log.ts';
import { BrokerConnection } from '../../host/log/kafka/broker-connection.ts';
import type { WireRequest } from '../../host/log/kafka/requests.ts';
import { WireReader, WireWriter } from '../../host/log/kafka/wire.ts';
import { bytesOf, readAll, textsOf } from '../suites/log-suite.ts';
import { canStartOrSkip, componentDirectory } from '../support/components.ts';
import { openTestLog } from '../support/kafka-client.ts';

const MODULES = 'org.apache.kafka.common.security';
const STORE_PASSWORD = 'not a secret';

let kafka: RunningKafka;
let ca: Buffer;
const ports = { plain: 0, sasl: 0, tls: 0, both: 0, controller: 0 };
let isAbsent = false;

/** A key and a certificate that signs itself, for the address of the loopback. */
async function makeStore(directory: string): Promise<{ store: string; certificate: Buffer }> {
  const store = path.join(directory, 'broker.p12');
  const common = ['-alias', 'broker', '-keystore', store, '-storepass', STORE_PASSWORD];
  const key = [
    '-genkeypair',
    '-keyalg',
    'RSA',
    '-dname',
    'CN=broker',
    '-ext',
    `SAN=IP:${LOOPBACK}`,
  ];
  await runProgram(
    { command: 'keytool', args: [...key, ...common, '-storetype', 'PKCS12'] },
    directory,
  );
  const file = path.join(directory, 'broker.pem');
  const args = ['-exportcert', '-rfc', '-file', file, ...common];
  await runProgram({ command: 'keytool', args }, directory);
  return { store, certificate: await readFile(file) };
}

function propertiesOf(store: string): Record<string, string> {
  const at = (name: string, port: number): string => `${name}://${LOOPBACK}:${port}`;
  const forClients = [
    at('PLAINTEXT', ports.plain),
    at('SASL', ports.sasl),
    at('TLS', ports.tls),
    at('BOTH', ports.both),
  ];
  const plain = `${MODULES}.plain.PlainLoginModule required user_caucus="right";`;
  const scram = `${MODULES}.scram.ScramLoginModule required;`;
  const token = `${MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";`;
  return {
    listeners: [...forClients, at('CONTROLLER', ports.controller)].join(','),
    'advertised.listeners': forClients.join(','),
    'listener.security.protocol.map':
      'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL',
    'controller.quorum.voters': `1@${LOOPBACK}:${ports.controller}`,
    'listener.name.sasl.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'listener.name.sasl.plain.sasl.jaas.config': plain,
    'listener.name.sasl.scram-sha-256.sasl.jaas.config': scram,
    'listener.name.sasl.scram-sha-512.sasl.jaas.config': scram,
    'listener.name.sasl.oauthbearer.sasl.jaas.config': token,
    'listener.name.both.sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.both.plain.sasl.jaas.config': plain,
    'ssl.keystore.location': store,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': STORE_PASSWORD,
    'ssl.key.password': STORE_PASSWORD,
  };
}

const ITERATIONS = 4096;
const MECHANISMS = { 'scram-sha-256': 1, 'scram-sha-512': 2 } as const;

/** Only the broker's own tools can make such users; this is their request. */
function addUser(mechanism: keyof typeof MECHANISMS, password: string): WireRequest<number[]> {
  const digest = mechanism.slice(-3);
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, Number(digest) / 8, `sha${digest}`);
  const compactBytes = (writer: WireWriter, bytes: Buffer): WireWriter => {
    writer.uvarint(bytes.length + 1);
    for (const byte of bytes) writer.i8(byte > 127 ? byte - 256 : byte);
    return writer;
  };
  return {
    name: 'AlterUserScramCredentials',
    key: 51,
    version: 0,
    encode: () => {
      const writer = new WireWriter()
        .tags()
        .compactArray([], () => undefined)
        .uvarint(2);
      writer.compactString('caucus').i8(MECHANISMS[mechanism]).i32(ITERATIONS);
      return compactBytes(compactBytes(writer, salt), salted).tags().tags().finish();
    },
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      reader.tags();
      const throttleMs = reader.i32();
      const value = reader.compactArray(() => {
        reader.compactString();
        const error = reader.i16();
        reader.compactString();
        reader.tags();
        return error;
      });
      return { value, throttleMs };
    },
  };
}

/** Of a token that nobody signed, as the broker takes them in this test. */
function unsignedToken(lifeS: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'none' })}.${part({ sub: 'caucus', iat: now, exp: now + lifeS })}.`;
}

before(async (t) => {
  isAbsent = !canStartOrSkip(t as TestContext, ['kafka']);
  if (isAbsent) return;
  const directory = componentDirectory();
  const { store, certificate } = await makeStore(directory);
  ca = certificate;
  const [plain = 0, sasl = 0, tls = 0, both = 0, controller = 0] = await freePorts(5);
  Object.assign(ports, { plain, sasl, tls, both, controller });
  kafka = await startKafka({ directory, nodes: 1, properties: propertiesOf(store) });
  const settings = { clientId: 'test', onEvent: () => undefined };
  const { signal } = new AbortController();
  const connection = await BrokerConnection.open(LOOPBACK, plain, settings, signal);
  for (const mechanism of Object.keys(MECHANISMS) as (keyof typeof MECHANISMS)[]) {
    assert.deepEqual(await connection.send(addUser(mechanism, 'right'), 5_000), [0]);
  }
  connection.destroy(new Error('done'));
});

after(async () => {
  if (!isAbsent) await kafka.stop();
});

function check(title: string, body: () => Promise<void>): void {
  test(title, async (t) => {
    if (isAbsent) t.skip('kafka cannot be started');
    else await body();
  });
}

type Access = Pick<Partial<KafkaLogOptions>, 'ssl' | 'sasl'>;

async function works(port: number, access: Access): Promise<void> {
  const log = await openTestLog([`${LOOPBACK}:${port}`], 'secure', access);
  await log.ensureTopic('a');
  const { first } = await log.append('a', [bytesOf('x')]);
  assert.equal(textsOf(await readAll(log, 'a')).length, first + 1);
  await log.close();
}

async function refused(port: number, access: Access): Promise<CaucusError> {
  try {
    await works(port, access);
  } catch (error) {
    assert.ok(error instanceof CaucusError, String(error));
    assert.ok(error.remedy);
    return error;
  }
  return assert.fail('it was let in');
}

describe('kafka with users and TLS', () => {
  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
    check(`${mechanism}: the right password, and a wrong one`, async () => {
      await works(ports.sasl, { sasl: { mechanism, username: 'caucus', password: 'right' } });
      const sasl = { mechanism, username: 'caucus', password: 'wrong' };
      const error = await refused(ports.sasl, { sasl });
      assert.equal(error.code, 'log_misconfigured');
      assert.match(error.message, /does not let us in: .*authentication failed/i);
      assert.ok(!error.message.includes('wrong'));
    });
  }

  check('oauthbearer: a token that holds, and one that has run out', async () => {
    const token = (lifeS: number): Access => ({
      sasl: { mechanism: 'oauthbearer', token: () => Promise.resolve(unsignedToken(lifeS)) },
    });
    await works(ports.sasl, token(3600));
    assert.equal((await refused(ports.sasl, token(-3600))).code, 'log_misconfigured');
  });

  check('TLS: an authority that we trust, and one that we do not', async () => {
    await works(ports.tls, { ssl: { ca } });
    const error = await refused(ports.tls, { ssl: {} });
    assert.equal(error.code, 'log_misconfigured');
    assert.match(error.message, /is not trusted/);
    const sasl = { mechanism: 'plain', username: 'caucus', password: 'right' } as const;
    await works(ports.both, { ssl: { ca }, sasl });
  });

  check('a mechanism that the listener does not have', async () => {
    const sasl = { mechanism: 'scram-sha-256', username: 'caucus', password: 'right' } as const;
    const error = await refused(ports.both, { ssl: { ca }, sasl });
    assert.equal(error.code, 'log_misconfigured');
  });
});
