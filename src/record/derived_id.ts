/**
 * Ids derived from names: that of a domain, and that of a key which another system gave. Hashes are
 * passed in, because this layer has no cryptography.
 */
import { concatBytes } from "../base/bytes.ts";
import { formatUuid, parseUuid, UUID_BYTES } from "../base/uuid.ts";
import { canonicalDomain } from "./domain.ts";

/** Namespace of ids derived from domains: that of domain names (RFC 9562 §6.6). */
const DOMAIN_NAMESPACE = parseUuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8");

/**
 * Returns the id of a record without one of its own, in development: the UUIDv5 of its domain, so
 * that a retry addresses the same record (RFC 9562 §5.5).
 *
 * @param sha1 SHA-1, 20 bytes; passed in, because this layer has no cryptography.
 * @returns UUID text.
 */
export function idOfDomain(domain: string, sha1: (bytes: Uint8Array) => Uint8Array): string {
  const name = new TextEncoder().encode(canonicalDomain(domain));
  const id = sha1(concatBytes([DOMAIN_NAMESPACE, name])).slice(0, UUID_BYTES);
  return formatUuid(versioned(id, 5));
}

/**
 * Returns the id of a record whose key another system gave: a UUIDv8 (RFC 9562 §5.8) made of the
 * first 16 bytes of the SHA-256 of its parts. The length of each part is hashed before it, so that
 * two keys never give the same bytes.
 *
 * @param sha256 SHA-256, 32 bytes.
 * @returns 16 bytes, which the caller owns.
 */
export function idOfForeignKey(
  parts: readonly string[],
  sha256: (bytes: Uint8Array) => Uint8Array,
): Uint8Array {
  const encoder = new TextEncoder();
  const hashed = parts.flatMap((part) => {
    const bytes = encoder.encode(part);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    return [length, bytes];
  });
  return versioned(sha256(concatBytes(hashed)).slice(0, UUID_BYTES), 8);
}

/** Sets the version and the variant of a UUID in place. */
function versioned(id: Uint8Array, version: number): Uint8Array {
  id[6] = (id[6]! & 0x0f) | (version << 4);
  id[8] = (id[8]! & 0x3f) | 0x80;
  return id;
}
