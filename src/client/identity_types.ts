/** The identity types of the SDK: certificates as bytes, requests and answers as plain objects. */
import type { Caveat } from "../../identity/capabilities/caveat.ts";
import type { Grants, Role } from "../base/peer.ts";

/** A one-time join token; the registry returns it only here. */
export interface MadeJoinToken {
  readonly token: string;
  /** Unix ms. */
  readonly expiresAtMs: number;
}

/** An issued certificate. */
export interface IssuedIdentity {
  /** DER certificates, the leaf first, without the root. */
  readonly chain: readonly Uint8Array[];
  /** The trust bundle; empty if there is none. */
  readonly bundle: string;
}

/** A request for a first certificate, or for the next certificate of an administrator's key. */
export interface EnrolOrder {
  /** The join token; empty for an administrator, whose key the nodes know. */
  readonly token: string;
  /** SPIFFE id. */
  readonly subject: string;
  /** Certificate signing request, DER. */
  readonly request: Uint8Array;
  /** For an administrator: Unix ms, and the proof made by `identity/enrolment/renewal_proof.ts`. */
  readonly timeMs?: number;
  readonly proof?: Uint8Array;
}

/** A request for the next certificate; `identity/enrolment/renewal_proof.ts` makes its proof. */
export interface RenewalOrder {
  readonly chain: readonly Uint8Array[];
  /** Certificate signing request, DER. */
  readonly request: Uint8Array;
  /** Unix ms. */
  readonly timeMs: number;
  readonly proof: Uint8Array;
}

/** A request by a controller for a token that somebody else will use. */
export interface TokenIssue {
  /** SPIFFE id; the token is bound to its latest certificate. */
  readonly subject: string;
  /** The token's audience; for sessions of a registry `spiffe://<trust-domain>/region/<region>`. */
  readonly audience: string;
  /** Lifetime, ms; at most 15 minutes. */
  readonly lifeMs: number;
  readonly grants: Grants;
}

/** A request by a controller for a capability. */
export interface CapabilityOrder {
  /** With a scope; the registry adds the expiry. */
  readonly caveats: readonly Caveat[];
  /** Lifetime, ms; at most 30 days. */
  readonly lifeMs: number;
}

/** A verified capability. */
export interface VerifiedCapability {
  /** UUID text; bans name it. */
  readonly capabilityId: string;
  /** Unix ms. */
  readonly expiresAtMs: number;
}

/** The target of a ban. */
export interface BanOrder {
  readonly kind: "subject" | "lineage" | "token" | "capability";
  readonly name: string;
  readonly reason?: string;
  /** End of the ban, Unix ms; absent for a ban without end. */
  readonly untilMs?: number;
}

/** The result of a ban. */
export interface BanResult {
  /** The name in its canonical spelling, which is the one compared. */
  readonly name: string;
  /** Whether a certificate, or a token with grants, of that name is known at this time. */
  readonly known: boolean;
}

/** A ban that was not lifted. */
export interface ListedBan {
  readonly kind: BanOrder["kind"];
  readonly name: string;
  readonly reason: string;
  /** End of the ban, Unix ms, possibly in the past; `null` for a ban without end. */
  readonly untilMs: number | null;
  /** Lineage of the ban's author; 0 if it was the registry itself or is unknown. */
  readonly writer: number;
  /** Unix ms; 0 if unknown. */
  readonly madeAtMs: number;
}

/** A page of bans, in order of creation. */
export interface Bans {
  readonly bans: readonly ListedBan[];
  /** The number of all bans. */
  readonly count: number;
}

/** A page of encoded entries of the audit log, oldest first. */
export interface AuditEntries {
  readonly entries: readonly Uint8Array[];
  /** The number of all entries ever made. */
  readonly count: number;
  /** The hash before the oldest retained entry, and the hash of the newest entry. */
  readonly anchor: Uint8Array;
  readonly head: Uint8Array;
}

/** A lineage: the identity to which successive certificates of one owner belong. */
export interface LineageInfo {
  readonly subject: string;
  readonly generation: number;
  /** Reason why the lineage was stopped: `stolen`, `replaced` or `banned`; empty if it was not. */
  readonly stopped: string;
  /** Unix ms: expiry of the latest certificate. */
  readonly notAfterMs: number;
}

/** An identity as the registry knows it. */
export interface KnownIdentity {
  /** SPIFFE id; `capability:` and its id. */
  readonly subject: string;
  readonly role: Role;
  /** Empty: none. */
  readonly region: string;
  /** Number of its lineage of certificates, as `writer` of a record has it; 0: none. */
  readonly lineage: number;
  /** Unix ms; `null`: never. */
  readonly expiresAtMs: number | null;
  /** Rights beyond those of its role. */
  readonly grants: Required<Grants>;
  /** Scopes of a capability. */
  readonly scopes: readonly string[];
  /** Subject of the front that acts for it; empty: none does. */
  readonly front: string;
}

/** A request for the first certificate of a node, which gets its number in the cluster with it. */
export interface EnrolNodeOrder {
  /** The wished number; 0: the next free one. */
  readonly nodeId: number;
  readonly partitionCount: number;
  readonly applyVersionMax: number;
  /** Random, made with the data folder, 16 bytes. */
  readonly folderId: Uint8Array;
  readonly region: string;
  readonly zone: string;
  readonly host: string;
  /** A join token for a node. */
  readonly token: string;
  /** A certificate request (PKCS #10). */
  readonly request: Uint8Array;
}

/** The number and the first certificate of a node. */
export interface EnrolledNode extends IssuedIdentity {
  readonly nodeId: number;
  /** SPIFFE id. */
  readonly subject: string;
}
