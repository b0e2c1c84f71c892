/** Random values of every kind, small ones, so that equal ones meet. */
import { Document, List } from '../../host/value/composite.ts';
import { DateTime } from '../../host/value/datetime.ts';
import { IpAddress, IpNetwork } from '../../host/value/ip.ts';
import type { Value } from '../../host/value/value.ts';
import type { Random } from './random.ts';

const TEXTS = ['', 'a', 'b', 'ab', 'é', '\u{1f600}', 'x'.repeat(260)];

/** `depth`: levels of lists and documents that it may have. */
export function randomValue(random: Random, depth = 3): Value {
  switch (random.int(depth > 0 ? 11 : 8)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return BigInt(random.int(7) - 3);
    case 2:
      return random.pick([2n ** 31n, -(2n ** 31n) - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 30n]);
    case 3:
      return random.pick([0, 1, -1.5, 2 ** 53, 1e300]);
    case 4:
      return random.pick(TEXTS);
    case 5:
      return new DateTime(BigInt(random.int(5) - 2) * 10n ** BigInt(random.int(15)));
    case 6: {
      const version = random.pick([4, 6] as const);
      return new IpAddress(version, BigInt(random.int(3)) << BigInt(random.int(30)));
    }
    case 7: {
      const version = random.pick([4, 6] as const);
      const prefix = random.int(version === 4 ? 33 : 129);
      return new IpNetwork(version, BigInt(random.int(3)) << BigInt(random.int(30)), prefix);
    }
    case 8:
      return new Document(
        Array.from({ length: random.int(4) }, (): [string, Value] => [
          random.pick(TEXTS),
          randomValue(random, depth - 1),
        ]),
      );
    default:
      return new List(Array.from({ length: random.int(4) }, () => randomValue(random, depth - 1)));
  }
}
