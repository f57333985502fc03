/**
 * One call: reads its request, runs its function, sends answers and status. A unary request is run
 * once it is complete, so that a sender that stops in between costs its buffer alone.
 *
 * The call ends once, whatever comes first: its function's end, the caller's deadline, or the end of
 * the stream; the function's signal ends with it. The rest of its answer must then be taken in time, as it
 * takes memory: that of a unary call by its deadline, that of a stream within GRPC_UNTAKEN_MS_MAX.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { RegistryError } from "../base/errors.ts";
import { GRPC_CALL_MS_MAX, GRPC_UNTAKEN_MS_MAX } from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { CallerClient } from "../faces/caller_client.ts";
import type { CallReceiver, CallStream } from "./call_stream.ts";
import type { GrpcCaller, GrpcCallers, LentClient } from "./callers.ts";
import { framed, MessageReader } from "./messages.ts";
import { RequestQueue } from "./request_queue.ts";
import type { Bidirectional, CallContext, GrpcMethod, ServerStreaming, Unary } from "./service.ts";
import { GrpcError, type GrpcStatus, OK, statusOf, trailersOf } from "./status.ts";
import { readTimeout } from "./timeout.ts";

/** Options of {@link GrpcCall}. */
export interface GrpcCallOptions {
  readonly method: GrpcMethod;
  readonly stream: CallStream;
  readonly callers: GrpcCallers;
  readonly world: World;
  /** Called once, before its function runs. @throws RegistryError `overloaded` if it must not. */
  readonly admit: () => void;
  /**
   * Called with the length of an answer. @returns a function that is called once it was taken.
   * @throws RegistryError `overloaded` if it must not be sent.
   */
  readonly hold: (byteCount: number) => () => void;
  /** Called once, with the status that was sent or would have been. */
  readonly ended: (status: GrpcStatus) => void;
}

/** A call in progress. */
export class GrpcCall implements CallReceiver, CallContext {
  readonly #options: GrpcCallOptions;
  readonly caller: GrpcCaller;
  readonly #leaving = new AbortController();
  readonly #reader = new MessageReader();
  /** The request of a call that has one. */
  #request: Uint8Array | undefined;
  /** The requests of a call that has many. */
  readonly #requests: RequestQueue<MessageShape<DescMessage>> | undefined;
  #lent: LentClient | undefined;
  #deadlineMs: number | undefined;
  #deadline: Timer | undefined;
  #isEnded = false;
  /** Whether a part of a stream of answers was sent. */
  #hasSent = false;
  /** Called when what was sent last is taken, or will not be. */
  #taken: (() => void) | undefined;
  /** Whether the caller has to take something before more is sent. */
  #isBlocked = false;

  constructor(options: GrpcCallOptions) {
    this.#options = options;
    const { method, stream } = options;
    const authorization = stream.header("authorization");
    this.caller = {
      peer: stream.peer,
      path: method.path,
      ...(authorization === undefined ? {} : { authorization }),
    };
    if (method.descriptor.methodKind === "bidi_streaming") {
      this.#requests = new RequestQueue(stream);
    }
  }

  get client(): CallerClient {
    this.#lent ??= this.#options.callers.take(this.caller);
    return this.#lent.client;
  }

  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  get timeoutMs(): number | undefined {
    if (this.#deadlineMs === undefined) return undefined;
    return Math.max(1, Math.ceil(this.#deadlineMs - this.#options.world.monotonic.nowMs()));
  }

  /** Begins the call. Never throws. */
  begin(): void {
    const { stream } = this.#options;
    stream.receive(this);
    try {
      this.#startDeadline();
      checkEncoding(stream.header("grpc-encoding"));
      if (this.#requests !== undefined) this.#options.admit();
    } catch (error) {
      return this.#end(statusOf(error));
    }
    if (this.#requests !== undefined) void this.#answerEach(this.#bidirectional(this.#requests));
  }

  data(chunk: Uint8Array): void {
    if (this.#isEnded) return;
    try {
      for (const message of this.#reader.take(chunk)) this.#take(message);
    } catch (error) {
      this.#end(statusOf(error));
    }
  }

  end(): void {
    if (this.#isEnded) return;
    if (this.#reader.isBetween) return this.#end(statusOf(malformed("ends within a message")));
    if (this.#requests !== undefined) return this.#requests.end();
    const bytes = this.#request;
    if (bytes === undefined) return this.#end(statusOf(malformed("has no message")));
    try {
      const request = this.#decoded(bytes);
      this.#options.admit();
      void this.#answer(request);
    } catch (error) {
      this.#end(statusOf(error));
    }
  }

  closed(): void {
    this.#release();
    if (!this.#isEnded) {
      this.#end(statusOf(new RegistryError("canceled", "The caller has left")));
    }
    this.#deadline?.cancel();
  }

  /** Ends the call with an error. */
  refuse(error: RegistryError): void {
    this.#end(statusOf(error));
  }

  #startDeadline(): void {
    const { stream, method, world } = this.#options;
    const asked = readTimeout(stream.header("grpc-timeout"));
    const isUnary = method.descriptor.methodKind === "unary";
    const lengthMs = isUnary ? Math.min(asked ?? Infinity, GRPC_CALL_MS_MAX) : asked;
    if (lengthMs === undefined) return;
    this.#deadlineMs = world.monotonic.nowMs() + lengthMs;
    this.#deadline = world.scheduler.after(Math.min(lengthMs, TIMER_MS_MAX), () => {
      if (this.#isEnded) return stream.reset(true);
      const message = `The call must be answered within ${lengthMs} ms: it was not`;
      this.#end(statusOf(new RegistryError("deadline_exceeded", message)));
    });
  }

  #take(message: Uint8Array): void {
    if (this.#requests !== undefined) return this.#requests.push(this.#decoded(message));
    if (this.#request !== undefined) throw malformed("has more than one message");
    this.#request = message;
  }

  #decoded(bytes: Uint8Array): MessageShape<DescMessage> {
    const { input } = this.#options.method.descriptor;
    try {
      return fromBinary(input, bytes, { readUnknownFields: false });
    } catch (error) {
      const message = `The request must be a ${input.typeName}: its bytes are not`;
      throw new RegistryError("malformed", message, {}, error);
    }
  }

  async #answer(request: MessageShape<DescMessage>): Promise<void> {
    const { descriptor, run } = this.#options.method;
    if (descriptor.methodKind === "server_streaming") {
      const streaming = run as ServerStreaming<DescMessage, DescMessage>;
      return await this.#answerEach(() => streaming(request, this));
    }
    try {
      const answer = await (run as Unary<DescMessage, DescMessage>)(request, this);
      if (this.#isEnded) return;
      const bytes = this.#encoded(answer);
      this.#taken = this.#options.hold(bytes.length);
      this.#end(OK, bytes);
    } catch (error) {
      this.#end(statusOf(error));
    }
  }

  /** Sends an answer. @returns whether more may follow at once. */
  #send(answer: object): boolean {
    const { stream, hold } = this.#options;
    const bytes = this.#encoded(answer);
    this.#taken = hold(bytes.length);
    this.#hasSent = true;
    return stream.send(bytes);
  }

  #bidirectional(requests: AsyncIterable<MessageShape<DescMessage>>) {
    const run = this.#options.method.run as Bidirectional<DescMessage, DescMessage>;
    return () => run(requests, this);
  }

  /** Sends a stream of answers as the caller takes it. */
  async #answerEach(run: () => AsyncIterable<object>): Promise<void> {
    try {
      for await (const answer of run()) {
        if (this.#isEnded) return;
        if (!this.#send(answer)) await this.#drained();
        this.#release();
        if (this.#isEnded) return;
      }
      this.#end(OK);
    } catch (error) {
      this.#end(statusOf(error));
    }
  }

  /** Counts what was sent last as taken. */
  #release(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
  }

  /** Waits until the caller has taken what was sent, which it has to do in time. */
  async #drained(): Promise<void> {
    const { stream, world } = this.#options;
    this.#isBlocked = true;
    const timer = world.scheduler.after(GRPC_UNTAKEN_MS_MAX, () => {
      const message = `The caller must take answers within ${GRPC_UNTAKEN_MS_MAX} ms: it did not`;
      this.#end(statusOf(new RegistryError("overloaded", message)));
    });
    await stream.drained();
    timer.cancel();
    this.#isBlocked = false;
  }

  #encoded(answer: object): Uint8Array {
    const { output } = this.#options.method.descriptor;
    return framed(toBinary(output, create(output, answer as Record<string, unknown>)));
  }

  /** Ends the call, unless it has ended. @param last the last bytes of its answer. */
  #end(status: GrpcStatus, last?: Uint8Array): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (last === undefined) this.#deadline?.cancel();
    const { stream, world } = this.#options;
    // Trailers would wait behind what the caller does not take.
    if (this.#isBlocked) stream.reset(status.code === "RESOURCE_EXHAUSTED");
    else {
      stream.end(trailersOf(status), last);
      if (this.#hasSent) {
        this.#deadline = world.scheduler.after(GRPC_UNTAKEN_MS_MAX, () => stream.reset(true));
      }
    }
    if (status !== OK) this.#leaving.abort(status.error);
    this.#requests?.end({ error: new RegistryError("canceled", "The call has ended") });
    this.#lent?.release();
    this.#options.ended(status);
  }
}

/** The longest delay that timers of both runtimes take: 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;

function malformed(fault: string): RegistryError {
  return new RegistryError("malformed", `The request ${fault}`);
}

/** @throws GrpcError if messages may be compressed. */
function checkEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding === "identity") return;
  throw new GrpcError("UNIMPLEMENTED", "grpc-encoding must be identity: others are not accepted");
}
