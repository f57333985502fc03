/**
 * Dispatches a request to the path that serves it: admission, path, reply, metrics. Reads are
 * answered in the turn of their chunk unless a group must first grant permission to read; writes
 * are answered once their group has answered.
 */
import { KIND_AGENT, KIND_GATEWAY } from "../record/key.ts";
import { requestCodec, type RequestView } from "../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { REQUEST_TIMEOUT_MS_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { type Operation, OPERATIONS } from "../wire/operations.ts";
import type { AccessControl } from "./access_control.ts";
import type { Admission } from "./admission.ts";
import type { IdentityPath } from "./identity_path.ts";
import { ListJob, type ListSteps } from "./list_job.ts";
import type { ListPath } from "./list_path.ts";
import type { ListTurns } from "./list_turns.ts";
import type { NodePath } from "./node_path.ts";
import type { ReadAnswer, ReadBarrier, ReadPath } from "./read_path.ts";
import type { ReplyWriter } from "./reply_writer.ts";
import type { RequestHandler, RequestStream } from "./request_stream.ts";
import type { WriteReply } from "./write_context.ts";
import type { WritePath } from "./write_path.ts";

/** Components of a {@link Dispatcher}. */
export interface DispatcherParts {
  readonly admission: Admission;
  readonly access: AccessControl;
  readonly reads: ReadPath;
  readonly lists: ListPath;
  readonly turns: ListTurns;
  readonly node: NodePath;
  readonly writes: WritePath;
  readonly identities: IdentityPath;
  readonly replies: ReplyWriter;
  readonly clock: MonotonicClock;
  readonly requestTimeoutMsDefault: number;
}

/** Operations served in turns, because each reads records of every partition. */
const LISTS: ReadonlySet<number> = new Set([
  OPERATIONS.resolveGateways.id,
  OPERATIONS.listAgentsByRegion.id,
  OPERATIONS.listGatewaysByRegion.id,
]);

/** Request handler of all streams. */
export class Dispatcher implements RequestHandler {
  readonly #parts: DispatcherParts;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  serve(request: RequestView, stream: RequestStream): void {
    const arrivedMs = stream.arrivedMs;
    try {
      const operation = this.#parts.admission.admit(request.operation, stream);
      if (stream.servedMs - arrivedMs >= this.#timeoutMs(request)) throw servedLate();
      this.#parts.access.admit(stream.caller.peer, operation, request);
      if (operation.key === "system" || operation.id === OPERATIONS.useToken.id) {
        this.#later(this.#parts.identities, operation, request, stream, arrivedMs);
      } else if (LISTS.has(operation.id)) this.#list(operation, request, stream, arrivedMs);
      else if (operation.kind === "read") this.#read(operation, request, stream, arrivedMs);
      else this.#later(this.#parts.writes, operation, request, stream, arrivedMs);
    } catch (error) {
      stream.refuse(request.id, toRegistryError(error), request.operation, arrivedMs);
    }
  }

  #read(
    operation: Operation,
    request: RequestView,
    stream: RequestStream,
    arrivedMs: number,
  ): void {
    const answer = this.#answerRead(operation, request, stream);
    if (typeof answer === "string") stream.answered(operation.id, answer, arrivedMs);
    else this.#readLater(answer, operation, request, stream, arrivedMs);
  }

  /** Appends the answer of a read, or returns the barrier that it waits for. */
  #answerRead(operation: Operation, request: RequestView, stream: RequestStream): ReadAnswer {
    const { reads, lists, node } = this.#parts;
    const out = stream.writer;
    const { caller } = stream;
    switch (operation.id) {
      case OPERATIONS.getAgent.id:
        return reads.get(KIND_AGENT, request, out, caller.peer);
      case OPERATIONS.getGateway.id:
        return reads.get(KIND_GATEWAY, request, out, caller.peer);
      case OPERATIONS.resolveAgent.id:
        return reads.resolve(request, out, caller.peer);
      case OPERATIONS.resolveAgents.id:
        return lists.resolveMany(request, out, caller);
      case OPERATIONS.status.id:
        return node.status(request, out);
      case OPERATIONS.getRingMap.id:
        return node.ringMap(request, out);
      default:
        throw new RegistryError("unknown_operation", `No path serves ${operation.name}`);
    }
  }

  /**
   * Queues a list; lists share turns with those of other sessions and are answered in one of them.
   */
  #list(
    operation: Operation,
    request: RequestView,
    stream: RequestStream,
    arrivedMs: number,
  ): void {
    const { turns, clock } = this.#parts;
    const copy = ownRequest(request);
    const job = new ListJob({
      steps: this.#stepsOf(operation, copy, stream),
      operationId: operation.id,
      request: copy,
      stream,
      clock,
      arrivedMs,
      deadlineMs: arrivedMs + this.#timeoutMs(request),
    });
    turns.add(stream.caller, job);
  }

  #stepsOf(operation: Operation, request: RequestView, stream: RequestStream): ListSteps {
    const { lists } = this.#parts;
    const { caller: { peer } } = stream;
    const writer = () => stream.writer;
    if (operation.id === OPERATIONS.resolveGateways.id) {
      return lists.resolveGateways(request, writer, peer);
    }
    const isOfAgents = operation.id === OPERATIONS.listAgentsByRegion.id;
    return lists.list(isOfAgents ? KIND_AGENT : KIND_GATEWAY, request, writer, peer);
  }

  /** Waits for permission, then reads; a composite read may wait for several groups in turn. */
  async #readLater(
    first: ReadBarrier,
    operation: Operation,
    request: RequestView,
    stream: RequestStream,
    arrivedMs: number,
  ): Promise<void> {
    const requestId = request.id;
    const deadlineMs = arrivedMs + this.#timeoutMs(request);
    const copy = ownRequest(request);
    let answer: ReadAnswer = first;
    try {
      while (typeof answer !== "string") {
        const leftMs = deadlineMs - this.#parts.clock.nowMs();
        if (leftMs <= 0) throw readDeadline();
        const permitted = await answer.readBarrier(copy.maxStalenessMs, leftMs);
        if (permitted instanceof RegistryError) throw permitted;
        answer = this.#answerRead(operation, copy, stream);
      }
      stream.answered(operation.id, answer, arrivedMs);
    } catch (error) {
      stream.refuse(requestId, toRegistryError(error), operation.id, arrivedMs);
    }
  }

  /** Serves writes and operations of the system group, which are answered asynchronously. */
  #later(
    path: WritePath | IdentityPath,
    operation: Operation,
    request: RequestView,
    stream: RequestStream,
    arrivedMs: number,
  ): void {
    const requestId = request.id;
    const { peer, bucket, useToken } = stream.caller;
    path.serve(operation, request, {
      peer,
      bucket,
      ...(useToken === undefined ? {} : { useToken }),
      deadlineMs: arrivedMs + this.#timeoutMs(request),
    }).then(
      (reply) => this.#answerWrite(operation, requestId, stream, arrivedMs, reply),
      (error) => stream.refuse(requestId, toRegistryError(error), operation.id, arrivedMs),
    );
  }

  #answerWrite(
    operation: Operation,
    requestId: number,
    stream: RequestStream,
    arrivedMs: number,
    reply: WriteReply,
  ): void {
    const { replies } = this.#parts;
    replies.begin(requestId);
    for (const { partition, point } of reply.receipts) replies.addReceipt(partition, point);
    try {
      replies.success(stream.writer, operation.reply, reply.body);
    } catch (error) {
      // The write is done: a refusal would claim that it is not.
      return stream.drop(operation.id, toRegistryError(error).code, arrivedMs);
    }
    stream.answered(operation.id, "ok", arrivedMs);
  }

  #timeoutMs(request: RequestView): number {
    const asked = request.timeoutMs || this.#parts.requestTimeoutMsDefault;
    return Math.min(asked, REQUEST_TIMEOUT_MS_MAX);
  }
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
