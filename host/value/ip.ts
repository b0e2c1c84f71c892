/**
 * IP addresses and networks (a prefix: the address with all host bits zero, and its length), of
 * versions 4 and 6. An IPv4-mapped IPv6 address stays an IPv6 one. Texts as in RFC 4291 and, when
 * written, RFC 5952; no zones (`%eth0`), no leading zeros in IPv4.
 */
import { CaucusError } from '../errors.ts';

export type IpVersion = 4 | 6;

export class IpAddress {
  readonly version: IpVersion;
  /** The address as a number of 32 or 128 bits. */
  readonly bits: bigint;

  constructor(version: IpVersion, bits: bigint) {
    if (bits < 0n || bits >> BigInt(widthOf(version)) !== 0n) throw noAddress(String(bits));
    this.version = version;
    this.bits = bits;
  }

  toString(): string {
    return this.version === 4 ? text4(this.bits) : text6(this.bits);
  }
}

export class IpNetwork {
  readonly version: IpVersion;
  /** The first address; host bits are zero. */
  readonly bits: bigint;
  /** Length of the prefix: 0 to 32 or 128. */
  readonly prefix: number;

  /** Host bits of `bits` are cleared. */
  constructor(version: IpVersion, bits: bigint, prefix: number) {
    const width = widthOf(version);
    if (!Number.isInteger(prefix) || prefix < 0 || prefix > width) throw noAddress(`/${prefix}`);
    const host = BigInt(width - prefix);
    this.version = version;
    this.bits = (new IpAddress(version, bits).bits >> host) << host;
    this.prefix = prefix;
  }

  get first(): IpAddress {
    return new IpAddress(this.version, this.bits);
  }

  get last(): IpAddress {
    const hosts = (1n << BigInt(widthOf(this.version) - this.prefix)) - 1n;
    return new IpAddress(this.version, this.bits | hosts);
  }

  toString(): string {
    return `${this.first.toString()}/${this.prefix}`;
  }
}

/** Bits of an address. */
export function widthOf(version: IpVersion): 32 | 128 {
  return version === 4 ? 32 : 128;
}

export function contains(network: IpNetwork, address: IpAddress): boolean {
  if (network.version !== address.version) return false;
  const host = BigInt(widthOf(network.version) - network.prefix);
  return network.bits >> host === address.bits >> host;
}

/** The text of an address of either version, or undefined. */
export function parseIp(text: string): IpAddress | undefined {
  if (text.length > 45) return undefined;
  const isFour = !text.includes(':');
  const bits = isFour ? parse4(text) : parse6(text);
  return bits === undefined ? undefined : new IpAddress(isFour ? 4 : 6, bits);
}

/**
 * `address/length`, or an address alone, which is the network of that one address. Host bits may be
 * set; they do not count.
 */
export function parseNetwork(text: string): IpNetwork | undefined {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const width = widthOf(address.version);
  const length = slash < 0 ? String(width) : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) > width) return undefined;
  return new IpNetwork(address.version, address.bits, Number(length));
}

function parse4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let bits = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bits = (bits << 8n) | BigInt(part);
  }
  return bits;
}

function parse6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = [
    groups(halves[0] ?? '', halves.length === 1),
    groups(halves[1] ?? '', true),
  ];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(group), 0n);
}

/** 16-bit groups; the last two may be written as an IPv4 address. */
function groups(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const found: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (isEnd && index === parts.length - 1 && part.includes('.')) {
      const four = parse4(part);
      if (four === undefined) return undefined;
      found.push(Number(four >> 16n), Number(four & 0xffffn));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) found.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return found;
}

function text4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((bits >> shift) & 255n)).join('.');
}

/** The longest run of at least two zero groups, the first of equals, is `::`. */
function text6(bits: bigint): string {
  const parts = Array.from({ length: 8 }, (_, index) =>
    Number((bits >> BigInt(112 - index * 16)) & 0xffffn),
  );
  let [start, length] = [-1, 1];
  for (let index = 0; index < 8; index++) {
    let end = index;
    while (end < 8 && parts[end] === 0) end++;
    if (end - index > length) [start, length] = [index, end - index];
  }
  const hex = parts.map((part) => part.toString(16));
  if (start < 0) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function noAddress(what: string): CaucusError {
  return new CaucusError('invalid_row', `\`${what}\` is no part of an IP address`, {
    remedy: 'an IPv4 address has 32 bits, an IPv6 address 128',
  });
}
