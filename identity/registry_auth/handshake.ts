/**
 * The machine of `registry-auth/1`: bytes, answers and the time go in, one {@link Step} comes out. It
 * is synchronous, keeps no timer and calls nobody. The two protocols (`client_protocol.ts`,
 * `server_protocol.ts`) are generators that read like the exchange itself; this class feeds them,
 * gathers frames, keeps the transcript and holds every stage to its time.
 *
 * Whatever bytes a peer sends, the outcome is a step; the owner's own mistakes throw.
 *
 * Clock assumption: `nowMs` is one monotonic clock's. A clock that stands still (a suspended machine)
 * lengthens a stage and nothing else.
 */
import { assert } from "../../src/base/assert.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { AUTH_STAGE_MS_MAX } from "../../src/base/limits.ts";
import { HandshakeError, handshakeFailure, type HandshakeFault } from "./fault.ts";
import { FrameReader } from "./frame_reader.ts";
import type { FrameType } from "./frames.ts";
import type { Answers, HandshakeResult, Step } from "./step.ts";
import type { SignatureContext, Signing } from "./transcript.ts";

/** What a protocol yields: a step that wants an answer, or the type of the frame it waits for. */
export type Ask =
  | Extract<Step, { readonly kind: keyof Answers }>
  | { readonly kind: "receive"; readonly type: FrameType };

/** One end's part of the exchange. It throws `HandshakeError` to refuse. */
export type Protocol = Generator<Ask, HandshakeResult, unknown>;

/** All frames so far, in order. */
export class Transcript {
  #frames: Uint8Array = new Uint8Array(0);

  /** Takes a whole frame, of either side. */
  add(frame: Uint8Array): void {
    this.#frames = concatBytes([this.#frames, frame]);
  }

  /** What a signature in `context` is over: all so far, and a frame without its signature. */
  with(context: SignatureContext, unsigned: Uint8Array): Signing {
    return { context, transcript: concatBytes([this.#frames, unsigned]) };
  }
}

/** A handshake of one end, from its first byte to its result. */
export class Handshake {
  readonly #protocol: Protocol;
  #step: Step = { kind: "receive" };
  #reader: FrameReader | undefined;
  #deadlineMs = 0;

  /** @param protocol of one end, not begun. */
  constructor(protocol: Protocol, nowMs: number) {
    this.#protocol = protocol;
    this.#advance(undefined, nowMs);
  }

  /** What is to be done now; the same until it was done. */
  get step(): Step {
    return this.#step;
  }

  /** When the stage ends by which the current step must be done; a protocol that is over has none. */
  get deadlineMs(): number {
    return this.over ? Infinity : this.#deadlineMs;
  }

  /** True once it is done or has failed. */
  get over(): boolean {
    return this.#step.kind === "done" || this.#step.kind === "failed";
  }

  /** Bytes that it keeps of an unfinished frame. */
  get heldBytes(): number {
    return this.#reader?.heldBytes ?? 0;
  }

  /** Takes bytes of the peer, which are copied. Bytes that nobody waits for end the handshake. */
  receive(chunk: Uint8Array, nowMs: number): Step {
    if (this.over || this.#isLate(nowMs) || chunk.length === 0) return this.#step;
    if (this.#reader === undefined) {
      return this.#fail("out_of_order", "Bytes came before their turn");
    }
    let frame: Uint8Array | undefined;
    try {
      frame = this.#reader.push(chunk);
    } catch (error) {
      return this.#refuse(error);
    }
    return frame === undefined ? this.#step : this.#advance(frame, nowMs);
  }

  /** Gives the answer to the current step. After the end, a late answer changes nothing. */
  complete<Kind extends keyof Answers>(kind: Kind, answer: Answers[Kind], nowMs: number): Step {
    if (this.over || this.#isLate(nowMs)) return this.#step;
    assert(this.#step.kind === kind, `The step is ${this.#step.kind}: the answer is to ${kind}`);
    if (typeof answer === "object" && "fault" in answer) {
      this.#step = { kind: "failed", failure: answer };
      return this.#step;
    }
    return this.#advance(answer, nowMs);
  }

  /** Ends the handshake where its stage took too long. */
  tick(nowMs: number): Step {
    if (!this.over) this.#isLate(nowMs);
    return this.#step;
  }

  /** Ends it for a reason of the owner's. */
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
    // Each stage counts from here: bytes that drip in do not lengthen it.
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
