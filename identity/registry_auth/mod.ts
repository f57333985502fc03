/**
 * `registry-auth/1`: mutual authentication of two programs inside a channel whose TLS checks no
 * client certificates (QUIC, WebTransport). The exchange is four frames on the session's first
 * stream. This folder holds the state machine, its two protocols, and the code that runs them over
 * a stream.
 */
export { authenticatedPeer, type SessionFacts } from "./authenticated.ts";
export { authorityOf } from "./authority.ts";
export { type ClientHandshakeOptions, clientProtocol } from "./client_protocol.ts";
export { type HandshakeFailure, handshakeFailure, type HandshakeFault } from "./fault.ts";
export { HalfOpenHandshakes } from "./half_open.ts";
export { Handshake } from "./handshake.ts";
export {
  HandshakeRefused,
  type HandshakeServices,
  type HandshakeStream,
  runHandshake,
  type RunHandshakeOptions,
} from "./run_handshake.ts";
export { type ServerHandshakeOptions, serverProtocol, type TlsLeaves } from "./server_protocol.ts";
export type {
  Admittance,
  Answers,
  Authentication,
  Candidate,
  HandshakeResult,
  ProvenIdentity,
  Step,
} from "./step.ts";
export { type Sha256, type SignatureContext, signedContent, type Signing } from "./transcript.ts";
