/**
 * Handlers of operations. An operation is described once, in src/wire/operations, and its handler is
 * registered once, in src/serving/handlers; the types below join the two. A handler takes the
 * request of its operation and returns its reply, and a table of handlers without one, or with one
 * too many, does not compile.
 *
 * Most handlers are functions from the decoded request to the reply. Reads of stored bytes, lists and
 * renewals have forms of their own, which spare the decoding, and watches answer many times.
 */
import type { RequestView } from "../../schemas/gen/wire.ts";
import type { StructView } from "../../schemas/runtime/view.ts";
import type { FrameWriter, Input } from "../../schemas/runtime/writer.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { Operation, OperationTable } from "../wire/operations/mod.ts";
import type { Caller } from "./caller.ts";
import type { ListSteps } from "./list_job.ts";
import type { ReadAnswer, ReadPermits } from "./read_answer.ts";
import type { RequestContext } from "./request_context.ts";
import type { WatchStream } from "./watch/watch_stream.ts";

/**
 * Returns the reply to a decoded request, at once or later.
 *
 * @throws RegistryError with the reason of a refusal.
 */
export type ReplyHandler<Q, R> = (
  request: Q,
  context: RequestContext,
) => Input<R> | Promise<Input<R>>;

/** A handler that reads the request in place, for requests of many items. */
export interface ViewHandler<QV, R> {
  /** As {@link ReplyHandler}; `request` is valid only before the first await. */
  readonly fromView: (request: QV, context: RequestContext) => Promise<Input<R>>;
}

/** A handler that appends its reply itself, in the turn of the request's chunk. */
export interface InPlaceHandler {
  /**
   * Appends the reply, and returns its code. A handler that lacks a group's permission to read
   * appends nothing and returns that group; it is called again once the group permits it, with all
   * permissions that the request has waited for.
   */
  readonly inPlace: (
    request: RequestView,
    out: FrameWriter,
    caller: Caller,
    permits?: ReadPermits,
  ) => ReadAnswer;
}

/** A handler that works in steps, which share turns with those of other sessions. */
export interface SteppedHandler {
  /**
   * Starts the work.
   *
   * @param request over bytes of its own.
   * @param writer returns the writer to which the reply is appended at that time.
   */
  readonly inSteps: (
    request: RequestView,
    writer: () => FrameWriter,
    peer: AuthenticatedPeer,
  ) => ListSteps;
}

/** A handler that answers through the request's stream itself, at once and later, many times. */
export interface StreamingHandler {
  /**
   * Begins to answer. It must not await; the request is valid during the call only.
   *
   * @throws RegistryError with the reason of a refusal; then nothing else is answered.
   */
  readonly streaming: (request: RequestView, stream: WatchStream, caller: Caller) => void;
}

/** A handler of requests of the types `Q` (view `QV`) with replies of the type `R`. */
export type Handler<Q, QV, R> =
  | ReplyHandler<Q, R>
  | ViewHandler<QV, R>
  | InPlaceHandler
  | SteppedHandler
  | StreamingHandler;

/** The handler of each operation of a table. */
export type Handlers<T extends OperationTable> = {
  readonly [Name in keyof T]: T[Name] extends Operation<infer Q, infer QV, infer R, infer _RV>
    ? Handler<Q, QV, R>
    : never;
};

/** The handler of one operation in the form by which the router serves it; the others are absent. */
export interface Route {
  readonly operation: Operation;
  /** View on the body, reused for each request. */
  readonly view: StructView;
  readonly inPlace: InPlaceHandler["inPlace"] | undefined;
  readonly inSteps: SteppedHandler["inSteps"] | undefined;
  readonly streaming: StreamingHandler["streaming"] | undefined;
  readonly fromView: ViewHandler<StructView, unknown>["fromView"] | undefined;
  readonly reply: ReplyHandler<unknown, unknown> | undefined;
}

/** Returns the route of each operation, by its id. */
export function routesOf<T extends OperationTable>(
  operations: T,
  handlers: Handlers<T>,
): readonly (Route | undefined)[] {
  const routes: (Route | undefined)[] = [];
  for (const [name, operation] of Object.entries(operations)) {
    // Handlers<T> has matched each handler with its operation; the router knows no types of bodies.
    routes[operation.id] = routeOf(
      operation,
      handlers[name] as Handler<unknown, StructView, unknown>,
    );
  }
  return routes;
}

function routeOf(operation: Operation, handler: Handler<unknown, StructView, unknown>): Route {
  const isFunction = typeof handler === "function";
  return {
    operation,
    view: operation.request.newView(),
    inPlace: "inPlace" in handler ? handler.inPlace : undefined,
    inSteps: "inSteps" in handler ? handler.inSteps : undefined,
    streaming: "streaming" in handler ? handler.streaming : undefined,
    fromView: "fromView" in handler ? handler.fromView : undefined,
    reply: isFunction ? handler : undefined,
  };
}
