/**
 * The state machine of `registry-auth/1`: it takes bytes, answers and the time, and returns one
 * {@link Step}. It is synchronous, keeps no timer and makes no calls. The two protocols
 * (`client_protocol.ts`, `server_protocol.ts`) are generators that read like the exchange itself;
 * this class drives them, assembles frames, keeps the transcript and enforces the deadline of each
 * stage.
 *
 * Any bytes from a peer lead to a step, never to an exception; mistakes of the owner throw.
 *
 * Clock assumption: all `nowMs` come from one monotonic clock. If that clock stops (a suspended
 * machine), stages last longer; there is no other effect.
 */
import { assert } from "../../src/base/assert.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { AUTH_STAGE_MS_MAX } from "../../src/base/limits.ts";
import { HandshakeError, handshakeFailure, type HandshakeFault } from "./fault.ts";
import { FrameReader } from "./frame_reader.ts";
import type { FrameType } from "./frames.ts";
import type { Answers, HandshakeResult, Step } from "./step.ts";
import type { SignatureContext, Signing } from "./transcript.ts";

/**
 * A request that a protocol yields: a step that needs an answer, or the type of the frame it waits
 * for.
 */
export type Ask =
  | Extract<Step, { readonly kind: keyof Answers }>
  | { readonly kind: "receive"; readonly type: FrameType };

/** One end's side of the exchange. It throws `HandshakeError` to refuse the peer. */
export type Protocol = Generator<Ask, HandshakeResult, unknown>;

/** The frames exchanged so far, in order. */
export class Transcript {
  #frames: Uint8Array = new Uint8Array(0);

  /** Appends a complete frame of either end. */
  add(frame: Uint8Array): void {
    this.#frames = concatBytes([this.#frames, frame]);
  }

  /**
   * Returns the content of a signature in `context`: all frames so far and a frame without its
   * signature.
   */
  with(context: SignatureContext, unsigned: Uint8Array): Signing {
    return { context, transcript: concatBytes([this.#frames, unsigned]) };
  }
}

/** A handshake of one end, from the first byte to the result. */
export class Handshake {
  readonly #protocol: Protocol;
  #step: Step = { kind: "receive" };
  #reader: FrameReader | undefined;
  #deadlineMs = 0;

  /**
   * Starts the protocol.
   *
   * @param protocol of one end, not yet started.
   */
  constructor(protocol: Protocol, nowMs: number) {
    this.#protocol = protocol;
    this.#advance(undefined, nowMs);
  }

  /** The current step; it stays the same until it is completed. */
  get step(): Step {
    return this.#step;
  }

  /**
   * Deadline of the current stage, in ms of the monotonic clock; `Infinity` once the handshake is
   * over.
   */
  get deadlineMs(): number {
    return this.over ? Infinity : this.#deadlineMs;
  }

  /** Whether the handshake has completed or failed. */
  get over(): boolean {
    return this.#step.kind === "done" || this.#step.kind === "failed";
  }

  /** Bytes buffered of an unfinished frame. */
  get heldBytes(): number {
    return this.#reader?.heldBytes ?? 0;
  }

  /** Takes bytes from the peer, which are copied. Unexpected bytes end the handshake. */
  receive(chunk: Uint8Array, nowMs: number): Step {
    if (this.over || this.#isLate(nowMs) || chunk.length === 0) return this.#step;
    if (this.#reader === undefined) {
      return this.#fail("out_of_order", "Bytes arrived while none were expected");
    }
    let frame: Uint8Array | undefined;
    try {
      frame = this.#reader.push(chunk);
    } catch (error) {
      return this.#refuse(error);
    }
    return frame === undefined ? this.#step : this.#advance(frame, nowMs);
  }

  /** Completes the current step with its answer. Answers after the end are ignored. */
  complete<Kind extends keyof Answers>(kind: Kind, answer: Answers[Kind], nowMs: number): Step {
    if (this.over || this.#isLate(nowMs)) return this.#step;
    assert(this.#step.kind === kind, `The step is ${this.#step.kind}: the answer is to ${kind}`);
    if (typeof answer === "object" && "fault" in answer) {
      this.#step = { kind: "failed", failure: answer };
      return this.#step;
    }
    return this.#advance(answer, nowMs);
  }

  /** Ends the handshake if the deadline of its stage has passed. */
  tick(nowMs: number): Step {
    if (!this.over) this.#isLate(nowMs);
    return this.#step;
  }

  /** Ends the handshake with a fault of the owner's choice. */
  abandon(fault: HandshakeFault, message: string): Step {
    return this.over ? this.#step : this.#fail(fault, message);
  }

  #isLate(nowMs: number): boolean {
    if (nowMs < this.#deadlineMs) return false;
    this.#fail("deadline", `The handshake's step ${this.#step.kind} took too long`);
    return true;
  }

  #advance(answer: unknown, nowMs: number): Step {
    this.#reader = undefined;
    try {
      const { value, done } = this.#protocol.next(answer);
      if (done) this.#step = { kind: "done", result: value };
      else if (value.kind === "receive") {
        this.#reader = new FrameReader(value.type);
        this.#step = { kind: "receive" };
      } else this.#step = value;
    } catch (error) {
      return this.#refuse(error);
    }
    // Each stage's time starts here; partial frames do not extend it.
    this.#deadlineMs = nowMs + AUTH_STAGE_MS_MAX;
    return this.#step;
  }

  #refuse(error: unknown): Step {
    if (!(error instanceof HandshakeError)) throw error;
    return this.#fail(error.fault, error.message);
  }

  #fail(fault: HandshakeFault, message: string): Step {
    this.#reader = undefined;
    this.#step = { kind: "failed", failure: handshakeFailure(fault, message) };
    return this.#step;
  }
}
