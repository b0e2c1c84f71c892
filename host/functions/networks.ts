/**
 * Functions over IP addresses and networks of both versions. Where one is wanted its text will do;
 * an address stands for the network of that one address.
 */
import { contains, IpAddress, IpNetwork, widthOf } from '../value/ip.ts';
import { gives, group, TEST } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { INT, IP, NETWORK } from './kinds.ts';

const define = group('networks');
const IP_OUT = gives('ip');

export const NETWORK_FUNCTIONS: readonly FunctionDefinition[] = [
  define('ip(s)', IP_OUT, 'the address of a text', [IP], (s) => s),
  define(
    'network(s)',
    gives('network'),
    'the network of a text, `10.0.0.0/8`; host bits that are set do not count',
    [NETWORK],
    (s) => s,
  ),
  define(
    'in_network(address, net)',
    TEST,
    'the address lies in the network',
    [IP, NETWORK],
    (address, net) => contains(net, address),
  ),
  define(
    'subnet_of(a, b)',
    TEST,
    'all addresses of the first network lie in the second',
    [NETWORK, NETWORK],
    (a, b) => a.prefix >= b.prefix && contains(b, a.first),
  ),
  define('ip_version(x)', gives('int'), '4 or 6', [NETWORK], (x) => BigInt(x.version)),
  define('prefix_length(net)', gives('int'), 'the length of its prefix', [NETWORK], (net) =>
    BigInt(net.prefix),
  ),
  define('first_address(net)', IP_OUT, 'its lowest address', [NETWORK], (net) => net.first),
  define('last_address(net)', IP_OUT, 'its highest address', [NETWORK], (net) => net.last),
  define(
    'address_count(net)',
    gives('int'),
    'how many addresses it has; fails beyond 64 bits',
    [NETWORK],
    (net) => {
      const bits = widthOf(net.version) - net.prefix;
      return bits > 62 ? undefined : 1n << BigInt(bits);
    },
  ),
  define(
    'address_add(address, n)',
    IP_OUT,
    'the address so far behind it; fails outside its version',
    [IP, INT],
    (address, n) => {
      const bits = address.bits + n;
      if (bits < 0n || bits >> BigInt(widthOf(address.version)) !== 0n) return undefined;
      return new IpAddress(address.version, bits);
    },
  ),
  define(
    'network_of(address, length)',
    gives('network'),
    'the network with a prefix of that length in which the address lies',
    [IP, INT],
    (address, length) => {
      if (length < 0n || length > BigInt(widthOf(address.version))) return undefined;
      return new IpNetwork(address.version, address.bits, Number(length));
    },
  ),
];
