/**
 * Why a handshake ends without a session, by code: for tests, counters and logs. The peer is told the
 * `ErrorCode` and the words, as a TLS alert would: they name what it sent, and nothing else.
 */
import type { ErrorCode } from "../../src/base/errors.ts";

/** The closed set of reasons. */
export type HandshakeFault =
  /** The client began without a handshake, or TLS saw no certificate of it. */
  | "anonymous"
  /** Bytes that are no frame of this protocol, a length that does not fit, text that is none. */
  | "malformed"
  /** A frame or a part of one beyond its limit. */
  | "too_large"
  /** A frame of another kind than the one that is due, or one that nobody waits for. */
  | "out_of_order"
  /** A version or a suite that this side does not speak, or not the one that was asked for. */
  | "version"
  /** Another role than M1 said, or one that cannot stand at this end. */
  | "role"
  /** The client looks for another server. */
  | "server_id"
  | "alpn"
  | "authority"
  /** The client saw another TLS certificate than this server's, or the server owns to another. */
  | "pin"
  /** The chain leads to nothing that is trusted, or its leaf may not be used so. */
  | "certificate"
  | "signature"
  /** The peer shows this side's own identity. */
  | "reflection"
  | "banned"
  /** The server accepted another identity, or longer than the identity lives. */
  | "acceptance"
  | "deadline"
  /** Too many handshakes are under way. */
  | "overloaded"
  /** A service of this side failed. */
  | "internal";

/** A refusal. */
export interface HandshakeFailure {
  readonly fault: HandshakeFault;
  readonly code: ErrorCode;
  /** What is wrong, for people; never more than a line. */
  readonly message: string;
}

/** Thrown by decoders inside the machine, which turns it into a failure; it never leaves it. */
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

/** The failure of a fault. */
export function handshakeFailure(fault: HandshakeFault, message: string): HandshakeFailure {
  return { fault, code: CODES[fault], message };
}
