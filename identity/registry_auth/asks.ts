/**
 * Typed generator helpers for the requests of a protocol: `const signature = yield*
 * ask.sign(signing)`. The state machine guarantees that the answer has the type that belongs to the
 * request.
 */
import type { FrameType } from "./frames.ts";
import type { Ask } from "./handshake.ts";
import type { Admittance, Authentication, Candidate, ProvenIdentity } from "./step.ts";
import type { Signing } from "./transcript.ts";

type Asking<Answer> = Generator<Ask, Answer, unknown>;

/** Waits for a complete frame of the given type. */
export function* receive(type: FrameType): Asking<Uint8Array> {
  return (yield { kind: "receive", type }) as Uint8Array;
}

/** Requests that bytes are written. */
export function* send(bytes: Uint8Array): Asking<void> {
  yield { kind: "send", bytes };
}

/** Requests a signature by this end's key. */
export function* sign(signing: Signing): Asking<Uint8Array> {
  return (yield { kind: "sign", signing }) as Uint8Array;
}

/** Requests validation of a chain and of its leaf's signature; a refusal ends the handshake. */
export function* authenticate(authentication: Authentication): Asking<ProvenIdentity> {
  return (yield { kind: "authenticate", authentication }) as ProvenIdentity;
}

/** Requests admission of a client; a refusal ends the handshake. */
export function* admit(candidate: Candidate): Asking<Admittance> {
  return (yield { kind: "admit", candidate }) as Admittance;
}

/** Requests verification of a signature by a key that has already been proven. */
export function* verify(
  publicKey: Uint8Array,
  signing: Signing,
  signature: Uint8Array,
): Asking<boolean> {
  return (yield { kind: "verify", publicKey, signing, signature }) as boolean;
}
