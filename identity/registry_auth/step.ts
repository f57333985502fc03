/**
 * What a handshake asks of its owner, one thing at a time, and what it wants back. The machine itself
 * has no clock, no key and no socket: whoever runs it reads and writes the stream, signs, verifies and
 * decides, so that a node, a client and a simulation run the same machine.
 */
import type { Grants, Role } from "../../src/base/peer.ts";
import type { HandshakeFailure } from "./fault.ts";
import type { Signing } from "./transcript.ts";

/** What a certificate says of its holder, once its path, usage and standing were checked. */
export interface ProvenIdentity {
  /** SPIFFE URI. */
  readonly subject: string;
  /** Its UUID, 16 bytes. */
  readonly subjectId: Uint8Array;
  readonly role: Role;
  readonly region: string;
  readonly lineage: number;
  readonly grants: Grants;
  /** SHA-256 of the leaf, 32 bytes. */
  readonly leafHash: Uint8Array;
  /** The leaf's Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Unix ms after which the leaf counts no more. */
  readonly notAfterMs: number;
}

/** A chain to be judged, and a signature that its leaf must have made. */
export interface Authentication {
  /** The end that the chain speaks for; its leaf must be allowed to. */
  readonly end: "client" | "server";
  /** DER, the leaf first; bounded in number and size, otherwise as the peer sent it. */
  readonly chain: readonly Uint8Array[];
  readonly signing: Signing;
  readonly signature: Uint8Array;
}

/** A client that proved who it is, for the server to decide about. */
export interface Candidate {
  readonly identity: ProvenIdentity;
  /** False where the client knew only a CA: such a session may be relayed. */
  readonly pinned: boolean;
}

/** What the server gives a client that it accepts. */
export interface Admittance {
  /** Unix ms at which the session ends; never later than the identity. */
  readonly expiresAtMs: number;
  /** A token bound to the client's leaf. */
  readonly token?: string;
}

/** How a handshake ended well, on either side. */
export interface HandshakeResult {
  /** The other end's identity. */
  readonly peer: ProvenIdentity;
  /** True where the client knew the server's TLS leaf, so that nobody can stand between. */
  readonly pinned: boolean;
  /** Unix ms at which the session ends: the earliest of both leaves, the token, the server's limit. */
  readonly expiresAtMs: number;
  /** From now on, the longest that the session may last by a clock of one's own, ms. */
  readonly sessionMsMax: number;
  /** On the client: what the server sent. */
  readonly token: string | undefined;
  /** On the client: the server's TLS leaf of now and the one that comes next. */
  readonly tlsLeaves: { readonly current: Uint8Array; readonly next: Uint8Array | undefined };
}

/** What is to be done now. */
export type Step =
  /** Give the next bytes of the stream to `Handshake.receive`. */
  | { readonly kind: "receive" }
  /** Write these bytes, before anything else; then complete. */
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  | { readonly kind: "sign"; readonly signing: Signing }
  /** Judge a chain and the signature of its leaf. */
  | { readonly kind: "authenticate"; readonly authentication: Authentication }
  /** Decide whether a client that is who it says may come in, and for how long. */
  | { readonly kind: "admit"; readonly candidate: Candidate }
  /** Check a signature of a key that was proven before. */
  | {
    readonly kind: "verify";
    readonly publicKey: Uint8Array;
    readonly signing: Signing;
    readonly signature: Uint8Array;
  }
  | { readonly kind: "done"; readonly result: HandshakeResult }
  /** End the session with the code; nothing was given to the peer. */
  | { readonly kind: "failed"; readonly failure: HandshakeFailure };

/** What completes a step of each kind. */
export interface Answers {
  readonly send: undefined;
  /** 64 bytes. */
  readonly sign: Uint8Array;
  readonly authenticate: ProvenIdentity | HandshakeFailure;
  readonly admit: Admittance | HandshakeFailure;
  readonly verify: boolean;
}
