/**
 * The identity records of group 0: join tokens (hashed) and lineages. The authority
 * (`identity/enrolment/enrolment.ts`) decides on changes based on what it read, and group 0 applies
 * a change only if that is still current: a change names the version of each record that it
 * replaces, so that of two concurrent decisions one succeeds and the other is made again.
 */
import type { StopReason } from "../../schemas/gen/identity.ts";
import type { Grants } from "../base/peer.ts";

/** A one-time right to a first certificate. Only its bearer knows its secret. */
export interface JoinToken {
  /** SHA-256 of the secret, 32 bytes: its key. */
  readonly hash: Uint8Array;
  /** Number of changes of this record, from 1. */
  readonly version: number;
  /** SPIFFE id that it is for, which determines role, region and UUID. */
  readonly subject: string;
  readonly grants: Grants;
  /** Expiry in Unix ms of the authority's wall clock. */
  readonly expiresAtMs: number;
  /** The use of the token; `undefined` while unused. */
  readonly spent?: {
    /** Ed25519, 32 bytes. */
    readonly publicKey: Uint8Array;
    readonly lineage: number;
  };
}

/** All leaves ever issued to one owner, each a renewal of the previous one. */
export interface Lineage {
  /** Number and key of the lineage, `[2, 2^32)`. 1 is the development identity's. */
  readonly lineage: number;
  /** Number of changes of this record, from 1. */
  readonly version: number;
  readonly subject: string;
  readonly grants: Grants;
  /** Reason why its leaves are no longer valid; `undefined` while they are. */
  readonly stopped?: StopReason;
  readonly latest: IssuedLeaf;
  /** True once the latest leaf was seen in use, which proves that its owner has it. */
  readonly latestUsed: boolean;
  /** The leaf that the latest one renewed, until the latest was seen in use. */
  readonly previous?: IssuedLeaf;
}

/** Input from which a leaf is made; the same input always gives the same leaf. */
export interface IssuedLeaf {
  /** Number of the leaf in its lineage, from 1. */
  readonly generation: number;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Unix ms, whole seconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Key identifier of the intermediate that signs it, 20 bytes. */
  readonly issuerKeyId: Uint8Array;
}

/** Records to put, all or none. */
export interface EnrolmentChange {
  readonly token?: RecordChange<JoinToken>;
  readonly lineages: readonly RecordChange<Lineage>[];
}

/** A record to put if the current one has this version; 0 if there must be none. */
export interface RecordChange<T> {
  readonly replacedVersion: number;
  readonly record: T;
}
