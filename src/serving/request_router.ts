/**
 * Routes a request to the handler of its operation: admission, access, handler, reply, metrics.
 * Reads are answered in the turn of their chunk unless a group must first grant permission to read;
 * other requests when their handler has the reply.
 */
import { requestCodec, type RequestView } from "../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { READ_STALENESS_MS_MAX, REQUEST_TIMEOUT_MS_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { type Operation, OPERATIONS } from "../wire/operations/mod.ts";
import type { AccessControl } from "./access_control.ts";
import type { Caller } from "./caller.ts";
import { unknownDelegation } from "./delegations.ts";
import {
  type Handlers,
  type InPlaceHandler,
  type Route,
  routesOf,
  type SteppedHandler,
} from "./handler.ts";
import { ListJob } from "./list_job.ts";
import type { ListTurns } from "./list_turns.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import type { ReadAnswer, ReadBarrier } from "./read_answer.ts";
import type { ReplyWriter } from "./reply_writer.ts";
import type { RequestAdmission } from "./request_admission.ts";
import type { PartReceipt, RequestContext } from "./request_context.ts";
import type { RequestHandler, RequestStream } from "./request_stream.ts";

/** Components of a {@link RequestRouter}. */
export interface RequestRouterParts {
  readonly admission: RequestAdmission;
  readonly access: AccessControl;
  readonly handlers: Handlers<typeof OPERATIONS>;
  readonly turns: ListTurns;
  readonly replies: ReplyWriter;
  readonly clock: MonotonicClock;
  readonly requestTimeoutMsDefault: number;
}

/** Request handler of all streams. */
export class RequestRouter implements RequestHandler {
  readonly #parts: RequestRouterParts;
  readonly #routes: readonly (Route | undefined)[];

  constructor(parts: RequestRouterParts) {
    this.#parts = parts;
    this.#routes = routesOf(OPERATIONS, parts.handlers);
  }

  serve(request: RequestView, stream: RequestStream): void {
    const arrivedMs = stream.arrivedMs;
    try {
      const caller = request.delegation === 0 ? stream.caller : delegated(request, stream);
      const operation = this.#parts.admission.admit(request.operation, caller, stream);
      if (stream.servedMs - arrivedMs >= this.#timeoutMs(request)) throw servedLate();
      if (request.maxStalenessMs > READ_STALENESS_MS_MAX) {
        throw badStaleness(request.maxStalenessMs);
      }
      this.#parts.access.admit(caller.peer, operation, request);
      const route = this.#routes[operation.id]!;
      if (route.inPlace !== undefined) {
        this.#serveInPlace(route.inPlace, operation, request, caller, stream);
      } else if (route.inSteps !== undefined) {
        this.#serveInSteps(route.inSteps, operation, request, caller, stream);
      } else if (route.streaming !== undefined) {
        route.streaming(request, stream, caller);
        stream.answered(operation.id, "ok", arrivedMs);
      } else this.#serveReply(route, request, caller, stream);
    } catch (error) {
      stream.refuse(request.id, toRegistryError(error), request.operation, arrivedMs);
    }
  }

  #serveInPlace(
    handler: InPlaceHandler["inPlace"],
    operation: Operation,
    request: RequestView,
    caller: Caller,
    stream: RequestStream,
  ): void {
    const answer = handler(request, stream.writer, caller);
    if (typeof answer === "string") stream.answered(operation.id, answer, stream.arrivedMs);
    else this.#readLater(answer, handler, operation, request, caller, stream);
  }

  /** Waits for permission, then reads; a composite read may wait for several groups in turn. */
  async #readLater(
    first: ReadBarrier,
    handler: InPlaceHandler["inPlace"],
    operation: Operation,
    request: RequestView,
    caller: Caller,
    stream: RequestStream,
  ): Promise<void> {
    const requestId = request.id;
    const { arrivedMs } = stream;
    const deadlineMs = arrivedMs + this.#timeoutMs(request);
    const copy = ownRequest(request);
    const permits = new Map<ReadBarrier, ReadPoint>();
    let answer: ReadAnswer = first;
    try {
      while (typeof answer !== "string") {
        const leftMs = deadlineMs - this.#parts.clock.nowMs();
        if (leftMs <= 0) throw readDeadline();
        const permitted = await answer.readBarrier(copy.maxStalenessMs, leftMs);
        if (permitted instanceof RegistryError) throw permitted;
        if (permitted.ageBoundMs === 0) permits.set(answer, permitted);
        answer = handler(copy, stream.writer, caller, permits);
      }
      stream.answered(operation.id, answer, arrivedMs);
    } catch (error) {
      stream.refuse(requestId, toRegistryError(error), operation.id, arrivedMs);
    }
  }

  /**
   * Queues work in steps; it shares turns with that of other sessions and is answered in one of
   * them.
   */
  #serveInSteps(
    handler: SteppedHandler["inSteps"],
    operation: Operation,
    request: RequestView,
    caller: Caller,
    stream: RequestStream,
  ): void {
    const { turns, clock } = this.#parts;
    const { arrivedMs } = stream;
    const copy = ownRequest(request);
    const job = new ListJob({
      steps: handler(copy, () => stream.writer, caller.peer),
      operationId: operation.id,
      request: copy,
      stream,
      clock,
      arrivedMs,
      deadlineMs: arrivedMs + this.#timeoutMs(request),
    });
    turns.add(caller, job);
  }

  /** Serves a request whose handler returns the reply, at once or later. */
  #serveReply(
    { operation, view, fromView, reply }: Route,
    request: RequestView,
    caller: Caller,
    stream: RequestStream,
  ): void {
    const requestId = request.id;
    const { arrivedMs } = stream;
    const context: RequestContext = {
      peer: caller.peer,
      bucket: caller.bucket,
      caller,
      node: caller.node,
      deadlineMs: arrivedMs + this.#timeoutMs(request),
      receipts: [],
    };
    const body = request.bodyInto(view);
    const answer = fromView !== undefined
      ? fromView(body, context)
      : reply!(body.toPlain(), context);
    if (!(answer instanceof Promise)) {
      return this.#answer(operation, requestId, stream, arrivedMs, answer, context.receipts);
    }
    answer.then(
      (value) => this.#answer(operation, requestId, stream, arrivedMs, value, context.receipts),
      (error) => stream.refuse(requestId, toRegistryError(error), operation.id, arrivedMs),
    );
  }

  #answer(
    operation: Operation,
    requestId: number,
    stream: RequestStream,
    arrivedMs: number,
    body: unknown,
    receipts: readonly PartReceipt[],
  ): void {
    const { replies } = this.#parts;
    replies.begin(requestId);
    for (const { partition, point } of receipts) replies.addReceipt(partition, point);
    try {
      replies.success(stream.writer, operation.reply, body);
    } catch (error) {
      const refusal = toRegistryError(error);
      if (operation.kind === "read") {
        return stream.refuse(requestId, refusal, operation.id, arrivedMs);
      }
      // The write is done: a refusal would claim that it is not.
      return stream.drop(operation.id, refusal.code, arrivedMs);
    }
    stream.answered(operation.id, "ok", arrivedMs);
  }

  #timeoutMs(request: RequestView): number {
    const asked = request.timeoutMs || this.#parts.requestTimeoutMsDefault;
    return Math.min(asked, REQUEST_TIMEOUT_MS_MAX);
  }
}

/** Returns the caller of a request that names a delegation. @throws RegistryError `unknown_delegation`. */
function delegated({ delegation }: RequestView, { caller, servedMs }: RequestStream): Caller {
  if (caller.delegations === undefined) throw unknownDelegation(delegation);
  return caller.delegations.of(delegation, servedMs);
}

function servedLate(): RegistryError {
  return new RegistryError(
    "deadline_exceeded",
    "The request's deadline passed while earlier replies waited to be read",
  );
}

function readDeadline(): RegistryError {
  return new RegistryError("deadline_exceeded", "The deadline passed before a read was permitted");
}

/** Copies a request into bytes of its own, so that it outlives its chunk. */
function ownRequest(request: RequestView): RequestView {
  const bytes = request.$bytes.slice(request.$start, request.$end);
  return requestCodec.newView().wrap(new DataView(bytes.buffer), bytes, 0, bytes.length);
}

function badStaleness(found: number): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `maxStalenessMs must be in [0, ${READ_STALENESS_MS_MAX}]: found ${found}`,
    { field: "maxStalenessMs" },
  );
}
