/**
 * Networks in CIDR notation (RFC 4632, RFC 4291 §2.3), as caveats name them. An IPv4 address that is
 * mapped into IPv6 counts as the IPv4 address. Bits beyond the prefix are zero, so that a network
 * has one spelling.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { ADDRESS_BYTES, formatAddress, parseAddress } from "../../src/record/address.ts";

/** A network: its prefix length, then its 4 or 16 bytes. */
export type NetworkBytes = Uint8Array;

/** Bits of the part of a mapped address that says that it is one. */
const MAPPED_BITS = 96;
const IPV4_BYTES = 4;

/**
 * Parses `10.0.0.0/8`, `2001:db8::/32`, or an address, which is a network of its own.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function parseNetwork(text: string, field = "address"): NetworkBytes {
  const slash = text.indexOf("/");
  const host = slash === -1 ? text : text.slice(0, slash);
  if (host === "") throw invalid(field, text);
  const bytes = unmapped(parseAddress(host, field));
  // An IPv4 network has one spelling; its mapped form would need a prefix of 96 bits more.
  if (host.includes(":") && bytes.length === IPV4_BYTES) throw invalid(field, text);
  const length = slash === -1 ? String(8 * bytes.length) : text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length)) throw invalid(field, text);
  const network = Uint8Array.of(Number(length), ...bytes);
  if (!isNetwork(network)) throw invalid(field, text);
  return network;
}

/** Returns the text of a network, always with its prefix length. */
export function formatNetwork(network: NetworkBytes): string {
  const address = network.subarray(1);
  const text = address.length === IPV4_BYTES ? address.join(".") : formatAddress(address) || "::";
  return `${text}/${network[0]}`;
}

/** Reports whether bytes are a network in its one form. */
export function isNetwork(bytes: Uint8Array): boolean {
  const length = bytes[0];
  const address = bytes.subarray(1);
  if (length === undefined) return false;
  if (address.length !== IPV4_BYTES && address.length !== ADDRESS_BYTES) return false;
  if (address.length === ADDRESS_BYTES && unmapped(address).length === IPV4_BYTES) return false;
  if (length > 8 * address.length) return false;
  return address.every((byte, index) => (byte & hostMask(length, index)) === 0);
}

/** Reports whether a network contains an address; false for text that is none. */
export function contains(network: NetworkBytes, address: string): boolean {
  const bytes = addressBytes(address);
  const length = network[0]!;
  if (bytes === undefined || bytes.length !== network.length - 1) return false;
  return bytes.every((byte, index) =>
    ((byte ^ network[index + 1]!) & ~hostMask(length, index) & 0xff) === 0
  );
}

function addressBytes(text: string): Uint8Array | undefined {
  if (text === "") return undefined;
  try {
    return unmapped(parseAddress(text));
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

/** Returns the bits of a byte that are beyond a prefix. */
function hostMask(length: number, index: number): number {
  const bits = Math.min(8, Math.max(0, length - 8 * index));
  return 0xff >> bits;
}

/** Returns the 4 bytes of an IPv4 address, or all 16 of another. */
function unmapped(address: Uint8Array): Uint8Array {
  const mapped = address.subarray(0, MAPPED_BITS / 8)
    .every((byte, index) => byte === (index < 10 ? 0 : 0xff));
  return mapped ? address.subarray(MAPPED_BITS / 8) : address;
}

function invalid(field: string, found: string): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `${field} must be a network such as 10.0.0.0/8 or 2001:db8::/32, without bits beyond its ` +
      `prefix: found ${JSON.stringify(found.slice(0, 64))}`,
    { field },
  );
}
