/** Names of topics in Kafka: `bus.topic`, in the characters and the length that Kafka allows. */
import { createHash } from 'node:crypto';
import { CaucusError } from '../../errors.ts';

/** Kafka's limit. */
const NAME_CHARS_MAX = 249;
const HASH_CHARS = 32;

/**
 * Letters, digits and dots stay; `-` doubles, `_` becomes `-_`, any other byte of UTF-8 `-x` and
 * two digits. (Kafka takes `a.b` and `a_b` for the same name in its metrics and refuses the second
 * one.) What gets too long ends in a hash.
 */
export function kafkaTopicName(bus: string, topic: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9-]*$/.test(bus) || bus.length > NAME_CHARS_MAX / 2) {
    throw new CaucusError('invalid_request', `bad bus name \`${bus}\``, {
      remedy: `use up to ${Math.floor(NAME_CHARS_MAX / 2)} letters, digits and dashes`,
    });
  }
  const escaped = topic.replaceAll(/[^A-Za-z0-9.]/gu, escape);
  const name = `${bus}.${escaped}`;
  if (name.length <= NAME_CHARS_MAX) return name;
  const hash = createHash('sha256').update(topic).digest('hex').slice(0, HASH_CHARS);
  return `${name.slice(0, NAME_CHARS_MAX - HASH_CHARS - 2)}-h${hash}`;
}

function escape(character: string): string {
  if (character === '-' || character === '_') return `-${character}`;
  return Array.from(
    new TextEncoder().encode(character),
    (byte) => `-x${byte.toString(16).padStart(2, '0')}`,
  ).join('');
}
