/**
 * The identity at the other end of a session, however it was proven: the development identity, a
 * certificate checked by TLS, or the handshake inside the channel. Access rules see only this.
 */
import type { CapabilityRights } from "./capability.ts";

/** The role of an identity, which determines its rights. */
export type Role =
  | "agent"
  | "gateway"
  | "proxy"
  | "controller"
  | "node"
  /** A process that serves other protocols, and acts for its callers by delegations. */
  | "front"
  /** Whoever holds a capability. */
  | "capability"
  /** A node of a peer region, which follows this one's records. */
  | "region"
  | "development"
  /** Unauthenticated; may ask for a certificate, and what the node's setting permits. */
  | "anonymous";

/**
 * Rights to claim and name, taken from an identity's certificate or token, never from a request.
 */
export interface Grants {
  /**
   * Domains an agent may claim or a gateway may name: exact, or `*.` and a suffix; empty means
   * none.
   */
  readonly domains: readonly string[];
  /** Gateways (UUID text) an agent may name; empty means none. */
  readonly gateways: readonly string[];
  /** Whether the credential hashes of others' records may be read; absent means no. */
  readonly credentialHashes?: boolean;
  /**
   * Limits within all of which a record of others must be to be read; absent means no limit. They
   * only narrow what the role may read.
   */
  readonly reads?: readonly ReadLimit[];
}

/** Conditions on the records that an identity may read; an empty list is no condition. */
export interface ReadLimit {
  /** The record is of one of these regions. */
  readonly regions: readonly string[];
  /** The record has all of these labels. */
  readonly labels: readonly ReadLabel[];
  /** The record's domain is one of these: exact, or `*.` and a suffix. */
  readonly domains: readonly string[];
}

/** A label that a record must have. */
export interface ReadLabel {
  readonly key: string;
  readonly value: string;
}

/** Grants that permit no claims and names, and no credential hashes but the identity's own. */
export const NO_GRANTS: Grants = Object.freeze({
  domains: Object.freeze([]),
  gateways: Object.freeze([]),
});

/** The kind of evidence by which a delegation was opened; `none`: the caller is anonymous. */
export type DelegatedBy = "certificate" | "token" | "capability" | "none";

/** The front through which a peer calls, and what that front stated of it. */
export interface Delegated {
  /** Subject of the front. */
  readonly front: string;
  readonly evidence: DelegatedBy;
  /** Address of the caller as the front saw it; empty if it did not say. */
  readonly address: string;
}

/** The authenticated peer of a session, or of a delegation on the session of a front. */
export interface AuthenticatedPeer {
  /** SPIFFE URI, `spiffe://<trust-domain>/region/<r>/<role>/<uuid>`; `capability:<uuid>`. */
  readonly subject: string;
  /**
   * UUID (16 bytes) of the subject; all zero for the development identity and unauthenticated
   * clients.
   */
  readonly subjectId: Uint8Array;
  readonly role: Role;
  readonly region: string;
  /**
   * SHA-256 of the leaf certificate, 32 bytes; empty for the development identity and
   * unauthenticated clients.
   */
  readonly leafHash: Uint8Array;
  /**
   * Number of the identity in the system group, `[1, 2^32)`; 0 for unauthenticated clients. Stored
   * as the writer of a record.
   */
  readonly lineage: number;
  readonly grants: Grants;
  /** The token whose grants are included in `grants`, and the grants of the certificate alone. */
  readonly token?: { readonly tokenId: string; readonly certified: Grants };
  /** The capability that the peer is. */
  readonly capability?: CapabilityRights;
  /** Set if it calls through a front. */
  readonly delegated?: Delegated;
  /** Expiry of the identity, Unix ms. */
  readonly expiresAtMs: number;
  /**
   * True when the peer verified our certificate by a pin, so that the session cannot be relayed.
   */
  readonly pinned: boolean;
  /** Fires when the identity is banned or its session must end. */
  readonly revoked: AbortSignal;
}

/** The peer of a session that is not authenticated. */
export const ANONYMOUS: AuthenticatedPeer = Object.freeze({
  subject: "an unauthenticated client",
  subjectId: new Uint8Array(16),
  role: "anonymous",
  region: "",
  leafHash: new Uint8Array(0),
  lineage: 0,
  grants: NO_GRANTS,
  expiresAtMs: Infinity,
  pinned: false,
  revoked: new AbortController().signal,
});

/** Returns how a message that begins with a peer names it. */
export function peerTitle({ role, subject, capability }: AuthenticatedPeer): string {
  if (capability !== undefined) return `The capability ${capability.capabilityId}`;
  return role === "anonymous"
    ? subject.charAt(0).toUpperCase() + subject.slice(1)
    : `The identity ${subject}`;
}
