/** Correlation ids: the caller's, if it is a ULID or a UUID, else a new UUID. */
import { formatUuid, isUuidText, UUID_BYTES } from "../base/uuid.ts";
import type { Entropy } from "../base/world.ts";

/** The header of a request and of its answer. */
export const CORRELATION_HEADER = "x-corr-id";

/** 26 characters of Crockford's base 32; the first one holds three bits. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;

/** Returns the id of a request. @param given the caller's header. */
export function requestIdOf(given: string | null | undefined, entropy: Entropy): string {
  if (typeof given === "string" && (ULID.test(given) || isUuidText(given))) return given;
  const bytes = new Uint8Array(UUID_BYTES);
  entropy.fill(bytes);
  // Version 4, RFC 9562 variant.
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return formatUuid(bytes);
}
