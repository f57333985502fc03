/**
 * Runs a handshake over a stream: it reads and writes, delegates steps to the services of its end,
 * and enforces the deadline of each stage. Keys, trust and bans are reached through the services
 * only, so that a simulation can pass its own.
 */
import { RegistryError } from "../../src/base/errors.ts";
import type { MonotonicClock, Scheduler } from "../../src/base/world.ts";
import { type HandshakeFailure, handshakeFailure } from "./fault.ts";
import type { Handshake } from "./handshake.ts";
import type { Admittance, Candidate, HandshakeResult, ProvenIdentity, Step } from "./step.ts";
import { type Sha256, signedContent } from "./transcript.ts";

/** The part of a stream that the handshake uses; a transport's stream satisfies it. */
export interface HandshakeStream {
  read(into: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
}

/** Services of one end. A service that rejects ends the handshake with `internal`. */
export interface HandshakeServices {
  readonly sha256: Sha256;
  /** Signs with this end's identity key and returns 64 bytes. */
  sign(content: Uint8Array): Promise<Uint8Array>;
  /** Reports whether a signature is valid by strict Ed25519; any bytes give a verdict. */
  verify(
    publicKey: Uint8Array,
    content: Uint8Array,
    signature: Uint8Array,
  ): boolean | Promise<boolean>;
  /**
   * Validates a chain: path, usage for that end, exactly one SPIFFE id, ban list. Any bytes give a
   * verdict.
   */
  judge(
    end: "client" | "server",
    chain: readonly Uint8Array[],
  ): Promise<ProvenIdentity | HandshakeFailure>;
  /** On a server: decides whether, and for how long, a proven client is admitted. */
  admit(candidate: Candidate): Promise<Admittance | HandshakeFailure>;
}

/** Options of {@link runHandshake}. */
export interface RunHandshakeOptions {
  readonly stream: HandshakeStream;
  readonly services: HandshakeServices;
  readonly monotonic: MonotonicClock;
  readonly scheduler: Scheduler;
  /** Aborts the handshake, because later ones replace it (see `HalfOpenHandshakes`). */
  readonly signal?: AbortSignal;
}

/** Error of a refused handshake; it carries the failure so that the owner can count it. */
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
 * @throws HandshakeRefused if it failed; RegistryError `connection_lost` if the stream ended first.
 * The caller must then end the session with that code.
 */
export async function runHandshake(
  handshake: Handshake,
  options: RunHandshakeOptions,
): Promise<HandshakeResult> {
  const { monotonic, signal } = options;
  const buffer = { bytes: new Uint8Array(READ_BYTES) };
  for (let step = handshake.step;;) {
    if (signal?.aborted) {
      step = handshake.abandon("overloaded", "It was evicted in favor of later handshakes");
    }
    if (step.kind === "done") return step.result;
    if (step.kind === "failed") throw new HandshakeRefused(step.failure);
    try {
      const complete = await withinStage(handshake, options, perform(step, options, buffer));
      if (signal?.aborted) continue;
      step = complete === undefined
        // The timer may fire slightly early; the stage is over nevertheless.
        ? handshake.tick(Math.max(handshake.deadlineMs, monotonic.nowMs()))
        : complete(handshake, monotonic.nowMs());
    } catch (error) {
      if (error instanceof RegistryError && error.code === "connection_lost") throw error;
      throw new HandshakeRefused(handshakeFailure("internal", `${step.kind} failed`), error);
    }
  }
}

/** Passes the outcome of a step to the state machine. */
type Complete = (handshake: Handshake, nowMs: number) => Step;

/** Performs a step. */
async function perform(
  step: Exclude<Step, { kind: "done" | "failed" }>,
  { stream, services }: RunHandshakeOptions,
  buffer: { bytes: Uint8Array<ArrayBuffer> },
): Promise<Complete> {
  switch (step.kind) {
    case "receive": {
      const chunk = await stream.read(buffer.bytes);
      if (chunk === undefined) {
        throw new RegistryError("connection_lost", "The stream ended during the handshake");
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
  return handshakeFailure(
    "signature",
    `The ${end} does not hold the key of the certificate it presents`,
  );
}

/**
 * Returns the outcome of a step, or `undefined` if its stage ends first or the owner aborts. A late
 * outcome is dropped, failures included.
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
