/**
 * Steps that a handshake requests from its owner, one at a time, and their answers. The state
 * machine has no clock, key or socket: its owner reads and writes the stream, signs, verifies and
 * decides. Node, client and simulation therefore run the same machine.
 */
import type { CapabilityRights } from "../../src/base/capability.ts";
import type { Grants, Role } from "../../src/base/peer.ts";
import type { HandshakeFailure } from "./fault.ts";
import type { Signing } from "./transcript.ts";

/** The identity that a certificate proves once its path, usage and ban status are checked. */
export interface ProvenIdentity {
  /** SPIFFE URI. */
  readonly subject: string;
  /** UUID of the subject, 16 bytes. */
  readonly subjectId: Uint8Array;
  readonly role: Role;
  readonly region: string;
  readonly lineage: number;
  readonly grants: Grants;
  /** SHA-256 of the leaf, 32 bytes. */
  readonly leafHash: Uint8Array;
  /** The leaf's Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Unix ms after which the leaf is invalid. */
  readonly notAfterMs: number;
  /** The capability that the identity is; then there is no leaf, and its fields are empty. */
  readonly capability?: CapabilityRights;
}

/** A chain to validate, and a signature that its leaf must have made. */
export interface Authentication {
  /** The end that presented the chain; the leaf must be allowed to act as that end. */
  readonly end: "client" | "server";
  /** DER, the leaf first; its number and size are bounded, its content is as the peer sent it. */
  readonly chain: readonly Uint8Array[];
  readonly signing: Signing;
  readonly signature: Uint8Array;
}

/** A client with a proven identity, for the server to admit or refuse. */
export interface Candidate {
  readonly identity: ProvenIdentity;
  /**
   * Whether the client knew the server's TLS leaf; if it knew only a CA, the session could be
   * relayed.
   */
  readonly pinned: boolean;
}

/** The server's grant to an admitted client. */
export interface Admittance {
  /** Unix ms at which the session ends; never later than the identity's expiry. */
  readonly expiresAtMs: number;
  /** Token bound to the client's leaf. */
  readonly token?: string;
}

/** Result of a successful handshake, on either end. */
export interface HandshakeResult {
  /** The other end's identity. */
  readonly peer: ProvenIdentity;
  /** Whether the client knew the server's TLS leaf, which excludes a relay. */
  readonly pinned: boolean;
  /**
   * Unix ms at which the session ends: the earliest of both leaves' expiry, the token's expiry and
   * the server's limit.
   */
  readonly expiresAtMs: number;
  /** Maximum duration of the session from now on, by the local clock, ms. */
  readonly sessionMsMax: number;
  /** On the client: the token that the server sent. */
  readonly token: string | undefined;
  /** On the client: the server's current and next TLS leaf. */
  readonly tlsLeaves: { readonly current: Uint8Array; readonly next: Uint8Array | undefined };
}

/** The next action of the owner. */
export type Step =
  /** Pass the next bytes of the stream to `Handshake.receive`. */
  | { readonly kind: "receive" }
  /** Write these bytes before anything else, then complete the step. */
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  | { readonly kind: "sign"; readonly signing: Signing }
  /** Validate a chain and its leaf's signature. */
  | { readonly kind: "authenticate"; readonly authentication: Authentication }
  /** Decide whether a client with a proven identity is admitted, and for how long. */
  | { readonly kind: "admit"; readonly candidate: Candidate }
  /** Verify a signature by a key that has already been proven. */
  | {
    readonly kind: "verify";
    readonly publicKey: Uint8Array;
    readonly signing: Signing;
    readonly signature: Uint8Array;
  }
  | { readonly kind: "done"; readonly result: HandshakeResult }
  /** End the session with this code; nothing has been given to the peer. */
  | { readonly kind: "failed"; readonly failure: HandshakeFailure };

/** Answers that complete a step of each kind. */
export interface Answers {
  readonly send: undefined;
  /** Signature, 64 bytes. */
  readonly sign: Uint8Array;
  readonly authenticate: ProvenIdentity | HandshakeFailure;
  readonly admit: Admittance | HandshakeFailure;
  readonly verify: boolean;
}
