/** What the SDK passes of identities: certificates as bytes, orders and answers as plain objects. */
import type { Grants } from "../base/peer.ts";

/** A join token, which is shown once. */
export interface MadeJoinToken {
  readonly token: string;
  /** Unix ms. */
  readonly expiresAtMs: number;
}

/** A certificate that was issued. */
export interface IssuedIdentity {
  /** DER, the certificate first, without the root. */
  readonly chain: readonly Uint8Array[];
  /** The trust bundle; empty where there is none. */
  readonly bundle: string;
}

/** The request for a first certificate, or for the next one of an administrator's key. */
export interface EnrolOrder {
  /** The join token; empty for an administrator, whose key the nodes know. */
  readonly token: string;
  /** SPIFFE id. */
  readonly subject: string;
  /** A certificate request, DER. */
  readonly request: Uint8Array;
  /** An administrator's: Unix ms, and the proof that `identity/enrolment/renewal_proof.ts` makes. */
  readonly timeMs?: number;
  readonly proof?: Uint8Array;
}

/** The request for the next certificate; `identity/enrolment/renewal_proof.ts` makes its proof. */
export interface RenewalOrder {
  readonly chain: readonly Uint8Array[];
  /** A certificate request, DER. */
  readonly request: Uint8Array;
  /** Unix ms. */
  readonly timeMs: number;
  readonly proof: Uint8Array;
}

/** A token that a controller has made for somebody else. */
export interface TokenIssue {
  /** SPIFFE id; the token is bound to its latest certificate. */
  readonly subject: string;
  /** For whom it is; for sessions of a registry `spiffe://<trust-domain>/region/<region>`. */
  readonly audience: string;
  /** At most 15 minutes. */
  readonly lifeMs: number;
  readonly grants: Grants;
}

/** What a ban names. */
export interface BanOrder {
  readonly kind: "subject" | "lineage" | "token";
  readonly name: string;
  readonly reason?: string;
  /** Unix ms; absent: until it is lifted. */
  readonly untilMs?: number;
}

/** What became of a ban. */
export interface BanResult {
  /** The name in the one spelling that is compared. */
  readonly name: string;
  /** True where a certificate, or a token with grants, of that name is known by now. */
  readonly known: boolean;
}

/** A ban that was not lifted. */
export interface ListedBan {
  readonly kind: BanOrder["kind"];
  readonly name: string;
  readonly reason: string;
  /** Unix ms; `null`: until it is lifted. It may have passed. */
  readonly untilMs: number | null;
  /** Lineage of who made it; 0: the registry itself, or not known. */
  readonly writer: number;
  /** Unix ms; 0: not known. */
  readonly madeAtMs: number;
}

/** Some bans, in the order of their making. */
export interface Bans {
  readonly bans: readonly ListedBan[];
  /** Of all. */
  readonly count: number;
}

/** Some entries of the audit log, encoded, oldest first. */
export interface AuditEntries {
  readonly entries: readonly Uint8Array[];
  /** Of all that were ever made. */
  readonly count: number;
  /** The hash before the oldest that is kept, and that of the newest. */
  readonly anchor: Uint8Array;
  readonly head: Uint8Array;
}

/** All certificates of one owner. */
export interface LineageInfo {
  readonly subject: string;
  readonly generation: number;
  /** `stolen`, `replaced`, `banned`, or empty. */
  readonly stopped: string;
  /** Unix ms: the end of the latest certificate. */
  readonly notAfterMs: number;
}
