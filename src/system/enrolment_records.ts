/**
 * What group 0 keeps of identities: join tokens (hashed) and lineages. Decided by the authority
 * (`identity/enrolment/enrolment.ts`) on what it read, and applied here only if that still stands: a change names
 * the version of each record that it replaces, so that of two deciders that race one wins and the
 * other decides anew.
 */
import type { Grants } from "../base/peer.ts";

/** A one-time right to a first certificate. Its secret is known to its bearer alone. */
export interface JoinToken {
  /** SHA-256 of the secret, 32 bytes: its key. */
  readonly hash: Uint8Array;
  /** Counts the changes of this record, from 1. */
  readonly version: number;
  /** The SPIFFE id that it is for, and so its role, region and UUID. */
  readonly subject: string;
  readonly grants: Grants;
  /** Unix ms of the authority's wall clock from which it is worth nothing. */
  readonly expiresAtMs: number;
  /** What it was spent on; `undefined`: it was not. */
  readonly spent?: {
    /** Ed25519, 32 bytes. */
    readonly publicKey: Uint8Array;
    readonly lineage: number;
  };
}

/** All leaves that were ever issued to one owner, one renewed by the other. */
export interface Lineage {
  /** Its number, `[2, 2^32)`: its key. 1 is the development identity's. */
  readonly lineage: number;
  /** Counts the changes of this record, from 1. */
  readonly version: number;
  readonly subject: string;
  readonly grants: Grants;
  /** Why no leaf of it counts any more; `undefined`: they do. */
  readonly stopped?: StopReason;
  readonly latest: IssuedLeaf;
  /** True once the latest leaf was seen in use, so that its owner has it. */
  readonly latestUsed: boolean;
  /** The leaf that was renewed by the latest, until that was seen in use. */
  readonly previous?: IssuedLeaf;
}

/**
 * Why a lineage ended: two holders were seen; its owner joined anew; an operator banned it.
 */
export type StopReason = "stolen" | "replaced" | "banned";

/** What a leaf is made from, again and again the same. */
export interface IssuedLeaf {
  /** Its place in the lineage, from 1. */
  readonly generation: number;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Unix ms, whole seconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The key identifier of the intermediate that signs it, 20 bytes. */
  readonly issuerKeyId: Uint8Array;
}

/** Records to be put, all or none. */
export interface EnrolmentChange {
  readonly token?: RecordChange<JoinToken>;
  readonly lineages: readonly RecordChange<Lineage>[];
}

/** A record to be put if the one in its place has this version; 0: if there is none. */
export interface RecordChange<T> {
  readonly replacedVersion: number;
  readonly record: T;
}
