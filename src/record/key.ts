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
/** A copy of another region's record. */
export const KIND_MIRROR = 5;
/** The agent that holds a domain in another region. */
export const KIND_MIRROR_ALIAS = 6;
/** A relay. */
export const KIND_RELAY = 7;
/** The relay through which an agent is reached. */
export const KIND_PLACEMENT = 8;
/** A gateway of the Maps protocol. */
export const KIND_MAPS_GATEWAY = 9;
/** An agent of the Maps protocol. */
export const KIND_MAPS_AGENT = 10;
/** The claim of a gateway of the Maps protocol on its endpoint. */
export const KIND_MAPS_ENDPOINT = 11;
/** A front that serves the Maps protocol. */
export const KIND_MAPS_SEEDER = 12;
/** The kinds of the table of a partition that are no kinds of record. */
export const RESERVED_KINDS: ReadonlySet<number> = new Set([
  KIND_ALIAS,
  KIND_REVOCATION,
  KIND_MIRROR,
  KIND_MIRROR_ALIAS,
]);
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
