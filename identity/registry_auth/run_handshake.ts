/**
 * Runs a handshake over a stream: reads and writes, has steps done by the services of its end, holds
 * each stage to its time. The services are the only way to keys, trust and bans, so that a simulation
 * passes its own.
 */
import { RegistryError } from "../../src/base/errors.ts";
import type { MonotonicClock, Scheduler } from "../../src/base/world.ts";
import { type HandshakeFailure, handshakeFailure } from "./fault.ts";
import type { Handshake } from "./handshake.ts";
import type { Admittance, Candidate, HandshakeResult, ProvenIdentity, Step } from "./step.ts";
import { type Sha256, signedContent } from "./transcript.ts";

/** The stream as far as the handshake needs it; a transport's stream fits. */
export interface HandshakeStream {
  read(into: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
}

/** What an end can do. A service that rejects ends the handshake with `internal`. */
export interface HandshakeServices {
  readonly sha256: Sha256;
  /** Signs with this end's identity key: 64 bytes. */
  sign(content: Uint8Array): Promise<Uint8Array>;
  /** Strict Ed25519; any bytes give a verdict. */
  verify(
    publicKey: Uint8Array,
    content: Uint8Array,
    signature: Uint8Array,
  ): boolean | Promise<boolean>;
  /**
   * Judges a chain: path, usage for that end, one SPIFFE id, ban list. Any bytes give a verdict.
   */
  judge(
    end: "client" | "server",
    chain: readonly Uint8Array[],
  ): Promise<ProvenIdentity | HandshakeFailure>;
  /** On a server: whether, and for how long, a proven client may come in. */
  admit(candidate: Candidate): Promise<Admittance | HandshakeFailure>;
}

/** What running needs. */
export interface RunHandshakeOptions {
  readonly stream: HandshakeStream;
  readonly services: HandshakeServices;
  readonly monotonic: MonotonicClock;
  readonly scheduler: Scheduler;
  /** Ends it from outside: its owner was told why. */
  readonly signal?: AbortSignal;
}

/** Told with the failure, to count it; then the error is thrown. */
export class HandshakeRefused extends RegistryError {
  readonly failure: HandshakeFailure;

  constructor(failure: HandshakeFailure, cause?: unknown) {
    super(failure.code, `The handshake was refused: ${failure.message}`, {}, cause);
    this.failure = failure;
  }
}

const READ_BYTES = 1_024;

/**
 * Runs `handshake` to its end.
 *
 * @throws HandshakeRefused when it failed; `connection_lost` when the stream ended before. The
 * session is to be ended then, with the code.
 */
export async function runHandshake(
  handshake: Handshake,
  options: RunHandshakeOptions,
): Promise<HandshakeResult> {
  const { monotonic, signal } = options;
  const buffer = { bytes: new Uint8Array(READ_BYTES) };
  for (let step = handshake.step;;) {
    if (signal?.aborted) step = handshake.abandon("overloaded", "It gave way to later ones");
    if (step.kind === "done") return step.result;
    if (step.kind === "failed") throw new HandshakeRefused(step.failure);
    try {
      const complete = await withinStage(handshake, options, perform(step, options, buffer));
      if (signal?.aborted) continue;
      step = complete === undefined
        // A timer may run a little early; the stage is over all the same.
        ? handshake.tick(Math.max(handshake.deadlineMs, monotonic.nowMs()))
        : complete(handshake, monotonic.nowMs());
    } catch (error) {
      if (error instanceof RegistryError && error.code === "connection_lost") throw error;
      throw new HandshakeRefused(handshakeFailure("internal", `${step.kind} failed`), error);
    }
  }
}

/** How the outcome of a step is given to the machine. */
type Complete = (handshake: Handshake, nowMs: number) => Step;

/** Does what a step asks. */
async function perform(
  step: Exclude<Step, { kind: "done" | "failed" }>,
  { stream, services }: RunHandshakeOptions,
  buffer: { bytes: Uint8Array<ArrayBuffer> },
): Promise<Complete> {
  switch (step.kind) {
    case "receive": {
      const chunk = await stream.read(buffer.bytes);
      if (chunk === undefined) {
        throw new RegistryError("connection_lost", "The stream ended within the handshake");
      }
      buffer.bytes = new Uint8Array(chunk.buffer as ArrayBuffer);
      return (handshake, nowMs) => handshake.receive(chunk, nowMs);
    }
    case "send":
      await stream.write(step.bytes);
      return (handshake, nowMs) => handshake.complete("send", undefined, nowMs);
    case "sign": {
      const content = await signedContent(step.signing, services.sha256);
      const signature = await services.sign(content);
      return (handshake, nowMs) => handshake.complete("sign", signature, nowMs);
    }
    case "authenticate": {
      const verdict = await authenticate(step, services);
      return (handshake, nowMs) => handshake.complete("authenticate", verdict, nowMs);
    }
    case "admit": {
      const verdict = await services.admit(step.candidate);
      return (handshake, nowMs) => handshake.complete("admit", verdict, nowMs);
    }
    case "verify": {
      const content = await signedContent(step.signing, services.sha256);
      const valid = await services.verify(step.publicKey, content, step.signature);
      return (handshake, nowMs) => handshake.complete("verify", valid, nowMs);
    }
  }
}

async function authenticate(
  { authentication }: Extract<Step, { kind: "authenticate" }>,
  services: HandshakeServices,
): Promise<ProvenIdentity | HandshakeFailure> {
  const { end, chain, signing, signature } = authentication;
  const identity = await services.judge(end, chain);
  if ("fault" in identity) return identity;
  const content = await signedContent(signing, services.sha256);
  if (await services.verify(identity.publicKey, content, signature)) return identity;
  return handshakeFailure("signature", `The ${end} has not the key of the certificate it shows`);
}

/**
 * The outcome of a step, or `undefined` when its stage is over first or the owner ended it. What is
 * late is dropped, failure included.
 */
function withinStage<T>(
  handshake: Handshake,
  { monotonic, scheduler, signal }: RunHandshakeOptions,
  performing: Promise<T>,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = (): void => finish(() => resolve(undefined));
    const wait = handshake.deadlineMs - monotonic.nowMs();
    const timer = scheduler.after(Math.max(0, wait), () => finish(() => resolve(undefined)));
    signal?.addEventListener("abort", onAbort);
    performing.then(
      (value) => finish(() => resolve(value)),
      (error) => finish(() => reject(error)),
    );
  });
}
