/**
 * The asks of a protocol as calls with typed answers: `const signature = yield* ask.sign(signing)`.
 * The machine guarantees that the answer is of the kind of the ask.
 */
import type { FrameType } from "./frames.ts";
import type { Ask } from "./handshake.ts";
import type { Admittance, Authentication, Candidate, ProvenIdentity } from "./step.ts";
import type { Signing } from "./transcript.ts";

type Asking<Answer> = Generator<Ask, Answer, unknown>;

/** Waits for a whole frame. */
export function* receive(type: FrameType): Asking<Uint8Array> {
  return (yield { kind: "receive", type }) as Uint8Array;
}

/** Has bytes written. */
export function* send(bytes: Uint8Array): Asking<void> {
  yield { kind: "send", bytes };
}

/** Has this end's key sign. */
export function* sign(signing: Signing): Asking<Uint8Array> {
  return (yield { kind: "sign", signing }) as Uint8Array;
}

/** Has a chain judged, and the signature of its leaf; a refusal ends the handshake. */
export function* authenticate(authentication: Authentication): Asking<ProvenIdentity> {
  return (yield { kind: "authenticate", authentication }) as ProvenIdentity;
}

/** Has a client admitted; a refusal ends the handshake. */
export function* admit(candidate: Candidate): Asking<Admittance> {
  return (yield { kind: "admit", candidate }) as Admittance;
}

/** Has a signature of a proven key checked. */
export function* verify(
  publicKey: Uint8Array,
  signing: Signing,
  signature: Uint8Array,
): Asking<boolean> {
  return (yield { kind: "verify", publicKey, signing, signature }) as boolean;
}
