/**
 * Reasons why a handshake ends without a session, by code: for tests, counters and logs. The peer
 * receives the `ErrorCode` and the message, as with a TLS alert; they describe only what the peer
 * sent.
 */
import type { ErrorCode } from "../../src/base/errors.ts";

/** The closed set of handshake faults. */
export type HandshakeFault =
  /** The client sent no handshake, or TLS received no client certificate. */
  | "anonymous"
  /**
   * Bytes that are not a frame of this protocol, a length that does not fit, or text that is not
   * visible ASCII.
   */
  | "malformed"
  /** A frame, or a part of one, exceeds its limit. */
  | "too_large"
  /** A frame of another type than expected, or one that was not expected at all. */
  | "out_of_order"
  /** A version or suite that this end does not support, or another one than was requested. */
  | "version"
  /** A role that differs from the one in M1, or one that this end may not have. */
  | "role"
  /** The client wants another server. */
  | "server_id"
  | "alpn"
  | "authority"
  /** The client saw another TLS certificate than this server's, or the server names another one. */
  | "pin"
  /** The chain does not lead to a trusted CA, or its leaf may not be used for this purpose. */
  | "certificate"
  | "signature"
  /** The peer presents this end's own identity. */
  | "reflection"
  | "banned"
  /** The server accepted another identity, or for longer than the identity is valid. */
  | "acceptance"
  | "deadline"
  /** Too many handshakes are in progress. */
  | "overloaded"
  /** A service of this end failed. */
  | "internal";

/** A handshake failure. */
export interface HandshakeFailure {
  readonly fault: HandshakeFault;
  readonly code: ErrorCode;
  /** Description for people; at most one line. */
  readonly message: string;
}

/**
 * Error that decoders throw inside the state machine, which turns it into a failure; it never
 * leaves the machine.
 */
export class HandshakeError extends Error {
  override readonly name = "HandshakeError";
  readonly fault: HandshakeFault;

  constructor(fault: HandshakeFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

const CODES: Readonly<Record<HandshakeFault, ErrorCode>> = {
  anonymous: "unauthenticated",
  malformed: "malformed",
  too_large: "too_large",
  out_of_order: "malformed",
  version: "unsupported_version",
  role: "unauthenticated",
  server_id: "unauthenticated",
  alpn: "unauthenticated",
  authority: "unauthenticated",
  pin: "unauthenticated",
  certificate: "unauthenticated",
  signature: "unauthenticated",
  reflection: "unauthenticated",
  banned: "unauthenticated",
  acceptance: "unauthenticated",
  deadline: "deadline_exceeded",
  overloaded: "overloaded",
  internal: "internal",
};

/** Returns the failure for a fault. */
export function handshakeFailure(fault: HandshakeFault, message: string): HandshakeFailure {
  return { fault, code: CODES[fault], message };
}
