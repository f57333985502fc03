/**
 * Record keys: they identify a record and determine its partition.
 *
 * A canonical key is the kind as one byte, then 16 bytes of id (kinds of record, see kinds.ts) or
 * the domain in lower-case ASCII (alias). Kinds are stable, because they are stored in logs, images
 * and hashes.
 */
import { concatBytes } from "../base/bytes.ts";

/** An agent. */
export const KIND_AGENT = 1;
/** A gateway. */
export const KIND_GATEWAY = 2;
/** A domain's alias for an agent. */
export const KIND_ALIAS = 3;
/** A refused claim, which only a partition's own table holds. */
export const KIND_REVOCATION = 4;
/** Highest number of a kind: a slot has four bits for it (src/store/slot_table.ts). */
export const KIND_MAX = 15;

/** Returns the canonical key of a record; the caller owns it. */
export function keyOfId(kind: number, id: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(kind), id]);
}

/** Returns the bytes of a domain that is already lower-case ASCII; the caller owns them. */
export function domainBytes(domain: string): Uint8Array {
  const bytes = new Uint8Array(domain.length);
  for (let index = 0; index < domain.length; index++) bytes[index] = domain.charCodeAt(index);
  return bytes;
}

/** Returns the canonical key of a domain's alias; the caller owns it. */
export function keyOfDomain(domain: string): Uint8Array {
  return concatBytes([Uint8Array.of(KIND_ALIAS), domainBytes(domain)]);
}
