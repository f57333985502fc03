/**
 * Who is at the other end of a session, whatever proved it: the development identity, a certificate
 * checked by TLS, or the handshake inside the channel. Access rules see this and nothing else.
 */

/** What an identity is, and so what it may do. */
export type Role =
  | "agent"
  | "gateway"
  | "proxy"
  | "controller"
  | "node"
  | "development"
  /** Has proven nothing, and may ask for a certificate. */
  | "stranger";

/** What an identity may claim and name, from its certificate or token, never from a request. */
export interface Grants {
  /** Domains an agent may claim or a gateway name: exact, or `*.` and a suffix; empty means none. */
  readonly domains: readonly string[];
  /** Gateways (UUID text) an agent may name; empty means none. */
  readonly gateways: readonly string[];
  /** True where the credential hashes of others' records may be read; absent: they may not. */
  readonly credentialHashes?: boolean;
}

/** An identity that may claim and name nothing, and sees no credential hash but its own. */
export const NO_GRANTS: Grants = Object.freeze({
  domains: Object.freeze([]),
  gateways: Object.freeze([]),
});

/** The proven other end of a session. */
export interface AuthenticatedPeer {
  /** SPIFFE URI, `spiffe://<trust-domain>/region/<r>/<role>/<uuid>`. */
  readonly subject: string;
  /** The UUID (16 bytes) of the subject; all zero for the development identity and strangers. */
  readonly subjectId: Uint8Array;
  readonly role: Role;
  readonly region: string;
  /** SHA-256 of the leaf certificate, 32 bytes; empty for the development identity and strangers. */
  readonly leafHash: Uint8Array;
  /** The identity's number in the system group, `[1, 2^32)`, 0 for strangers: a record's writer. */
  readonly lineage: number;
  readonly grants: Grants;
  /** The token whose grants are among these, and what the certificate grants alone. */
  readonly token?: { readonly tokenId: string; readonly certified: Grants };
  /** Unix ms after which it counts no more. */
  readonly expiresAtMs: number;
  /** True when the peer checked our certificate by a pin, so that the session cannot be relayed. */
  readonly pinned: boolean;
  /** Fires when the identity is banned or its session must end. */
  readonly revoked: AbortSignal;
}

/** Whoever has proven nothing yet. */
export const STRANGER: AuthenticatedPeer = Object.freeze({
  subject: "a stranger",
  subjectId: new Uint8Array(16),
  role: "stranger",
  region: "",
  leafHash: new Uint8Array(0),
  lineage: 0,
  grants: NO_GRANTS,
  expiresAtMs: Infinity,
  pinned: false,
  revoked: new AbortController().signal,
});
