/**
 * Keys: what a record is found by, and what decides its partition.
 *
 * A canonical key is the kind as one byte, then 16 bytes of id (agent, gateway) or the domain in
 * lower-case ASCII (alias). Kinds are stable: they stand in logs, images and hashes.
 */
import { concatBytes } from "../base/bytes.ts";

/** An agent. */
export const KIND_AGENT = 1;
/** A gateway. */
export const KIND_GATEWAY = 2;
/** A domain's alias for an agent. */
export const KIND_ALIAS = 3;

/** The kinds that have an owner and a lease. */
export type RecordKind = typeof KIND_AGENT | typeof KIND_GATEWAY;

/** True for the kinds that have an owner and a lease. */
export function isRecordKind(kind: number): kind is RecordKind {
  return kind === KIND_AGENT || kind === KIND_GATEWAY;
}

/** The word for a kind of record, for people. */
export function recordKindName(kind: RecordKind): "agent" | "gateway" {
  return kind === KIND_AGENT ? "agent" : "gateway";
}

/** The canonical key of an agent or gateway; the caller owns it. */
export function keyOfId(kind: RecordKind, id: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(kind), id]);
}

/** The bytes of a domain that is lower-case ASCII already; the caller owns them. */
export function domainBytes(domain: string): Uint8Array {
  const bytes = new Uint8Array(domain.length);
  for (let index = 0; index < domain.length; index++) bytes[index] = domain.charCodeAt(index);
  return bytes;
}

/** The canonical key of a domain's alias; the caller owns it. */
export function keyOfDomain(domain: string): Uint8Array {
  return concatBytes([Uint8Array.of(KIND_ALIAS), domainBytes(domain)]);
}
