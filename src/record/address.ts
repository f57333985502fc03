/**
 * IP addresses: text at the edges, 16 bytes inside. An IPv4 address is mapped into IPv6 (RFC 4291
 * §2.5.5.2); 16 zero bytes stand for "none". Text is canonical (RFC 5952; IPv4 dotted).
 */
import { RegistryError } from "../base/errors.ts";

/** Length of a stored address. */
export const ADDRESS_BYTES = 16;

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Reports whether the address is 16 zero bytes, which means no address. */
export function isNoAddress(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function isMapped(bytes: Uint8Array): boolean {
  return MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
}

/**
 * Returns the kind of an address that cannot identify one host to others; `undefined` if it can.
 * Loopback is accepted, because in development all parts share a machine.
 */
export function unreachableKind(bytes: Uint8Array): string | undefined {
  if (isNoAddress(bytes)) return "the unspecified address";
  if (!isMapped(bytes)) {
    if (bytes[0] === 0xff) return "a multicast address";
    const isLinkLocal = bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;
    return isLinkLocal ? "a link-local address, which says nothing on another link" : undefined;
  }
  const [first, second] = [bytes[12]!, bytes[13]!];
  // 0.0.0.0/8 means this host or network, and only as a source (RFC 6890).
  if (first === 0) return "an address of 0.0.0.0/8, the unspecified ones";
  if (first >= 224 && first < 240) return "a multicast address";
  if (first === 255 && second === 255 && bytes[14] === 255 && bytes[15] === 255) {
    return "the broadcast address";
  }
  const isLinkLocal = first === 169 && second === 254;
  return isLinkLocal ? "a link-local address, which says nothing on another link" : undefined;
}

/** Returns the canonical text of an address; "" for no address. */
export function formatAddress(bytes: Uint8Array): string {
  if (isNoAddress(bytes)) return "";
  if (isMapped(bytes)) return bytes.subarray(12).join(".");
  const groups: number[] = [];
  for (let at = 0; at < ADDRESS_BYTES; at += 2) groups.push((bytes[at]! << 8) | bytes[at + 1]!);
  const { start, length } = longestZeros(groups);
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

/** Returns the first longest run of zero groups (RFC 5952 §4.2). */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}

/**
 * Parses an IPv4 or IPv6 address into 16 new bytes; "" gives no address.
 *
 * @throws RegistryError `invalid_argument` for anything else, including zones (`%eth0`) and ports.
 */
export function parseAddress(text: string, field = "address"): Uint8Array {
  if (text === "") return new Uint8Array(ADDRESS_BYTES);
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (bytes !== undefined) return bytes;
  throw new RegistryError(
    "invalid_argument",
    `${field} must be an IPv4 or IPv6 address: found ${JSON.stringify(text.slice(0, 64))}`,
    { field },
  );
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(ADDRESS_BYTES);
  bytes.set(MAPPED_PREFIX);
  for (let index = 0; index < 4; index++) {
    const part = parts[index]!;
    // Refused, because some parsers read a leading zero as octal (RFC 6943 §3.1.1).
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return undefined;
    const value = Number(part);
    if (value > 255) return undefined;
    bytes[12 + index] = value;
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const before = parseGroups(halves[0]!, halves.length === 1);
  const after = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (before === undefined || after === undefined) return undefined;
  const missing = ADDRESS_BYTES - before.length - after.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  const bytes = new Uint8Array(ADDRESS_BYTES);
  bytes.set(before);
  bytes.set(after, ADDRESS_BYTES - after.length);
  return bytes;
}

/** Parses groups separated by colons; the last may be dotted when it ends the address. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (let index = 0; index < groups.length; index++) {
    const group = groups[index]!;
    if (group.includes(".")) {
      const dotted = last && index === groups.length - 1 ? parseIpv4(group) : undefined;
      if (dotted === undefined) return undefined;
      bytes.push(...dotted.subarray(12));
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return bytes.length > ADDRESS_BYTES ? undefined : bytes;
}
