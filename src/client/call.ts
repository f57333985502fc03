/**
 * One call made through the SDK, from request to answer, including waiting, sending, lost
 * connections and retries. The same object is used throughout, so that a retry sends the same
 * request (a register keeps its process and sequence).
 */
import type { ResponseView } from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import type { Operation } from "../wire/operations/mod.ts";
import type { Part } from "./cluster_routing.ts";
import type { ClientDelegation } from "./delegation/delegation.ts";

/**
 * Decodes a call's result from a successful reply. `response` is a flyweight over `bytes`, and
 * `view` covers the same buffer; all three are valid only during the call.
 *
 * @throws RegistryError `malformed`; the connection is then closed.
 */
export type Decode<T> = (response: ResponseView, view: DataView, bytes: Uint8Array) => T;

/** Result of decoding a reply that further replies to the same request follow. */
export const MORE_REPLIES: unique symbol = Symbol("more replies");

/** Parameters of a {@link Call}. */
export interface CallParameters {
  readonly operation: Operation;
  /** The plain form accepted by the operation's request codec; it must not change after this. */
  readonly body: unknown;
  readonly decode: Decode<unknown>;
  readonly maxStalenessMs: number;
  /** Deadline by the monotonic clock. */
  readonly deadlineMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RegistryError) => void;
  /** Set for one of several requests of a call. */
  readonly part?: Part | undefined;
  /** Set for a read that may be some time old. */
  readonly bounded?: BoundedRead | undefined;
  /**
   * Set for requests of watches, which are not sent again: with many replies, the silence after which
   * it fails, ms. The deadline is that of the first reply.
   */
  readonly silenceMs?: number | undefined;
  /** The caller for whom it is made; undefined: the client itself. */
  readonly delegation?: ClientDelegation | undefined;
}

/** The history of a call that the first node asked did not serve. */
export class Detour {
  /** Node id named by the last hint; 0 for none. */
  target = 0;
  /** Ids of the nodes asked since the last pause; none of them is asked again before the next. */
  readonly asked: number[] = [];
  /** Pauses so far. */
  pauses = 0;
  /** Rotates through the replicas, so that each is asked in turn. */
  turn = 0;
}

/** State of a bounded read in progress. */
export class BoundedRead {
  /** The node to which it was last sent, and when, by the monotonic clock; 0 before. */
  nodeId = 0;
  sentAtMs = 0;
  /** Further requests for this read, if any were sent. */
  hedges: Call[] | undefined;
  /**
   * Purpose of the request: the read itself, a further request for it, or a trial that measures the
   * node. Only the first is ever sent elsewhere.
   */
  readonly purpose: "read" | "hedge" | "trial";

  constructor(purpose: BoundedRead["purpose"] = "read") {
    this.purpose = purpose;
  }
}

/** A call that is pending or was just answered. */
export class Call {
  readonly operation: Operation;
  readonly body: unknown;
  readonly decode: Decode<unknown>;
  readonly maxStalenessMs: number;
  readonly deadlineMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RegistryError) => void;
  /** Removes the listener from the caller's abort signal. */
  unlisten: (() => void) | undefined;
  /** Request id while the call is in flight; -1 otherwise. */
  requestId = -1;
  /** Number of times the call was sent, or was refused before it could be sent. */
  attempts = 0;
  /** Monotonic time before which the call must not be sent. */
  resumeAtMs = 0;
  /** Increases with each call of a client; earlier calls are sent first. */
  readonly serial: number;
  /** True once the call is resolved or rejected. */
  done = false;
  /** Error of the last attempt. */
  lastError: RegistryError | undefined;
  readonly part: Part | undefined;
  readonly bounded: BoundedRead | undefined;
  readonly silenceMs: number | undefined;
  readonly delegation: ClientDelegation | undefined;
  /** The number of the delegation on the session to which it was last sent; 0 for none. */
  delegationId = 0;
  /** The partition whose leader serves the call; undefined until it is routed. */
  partition: number | undefined;
  /** Set once a node did not serve the call. */
  detour: Detour | undefined;

  constructor(parameters: CallParameters, serial: number) {
    this.operation = parameters.operation;
    this.body = parameters.body;
    this.decode = parameters.decode;
    this.maxStalenessMs = parameters.maxStalenessMs;
    this.deadlineMs = parameters.deadlineMs;
    this.resolve = parameters.resolve;
    this.reject = parameters.reject;
    this.part = parameters.part;
    this.bounded = parameters.bounded;
    this.silenceMs = parameters.silenceMs;
    this.delegation = parameters.delegation;
    this.partition = parameters.part?.partition;
    this.serial = serial;
  }
}

/** Resolves a call, unless it is done. */
export function resolveCall(call: Call, value: unknown): void {
  if (call.done) return;
  end(call);
  call.resolve(value);
}

/** Rejects a call, unless it is done. */
export function rejectCall(call: Call, error: RegistryError): void {
  if (call.done) return;
  end(call);
  call.reject(error);
}

/**
 * Rejects a call whose client was closed with `error`, unless it is done; a write that was sent with
 * `connection_lost`, because a node may have applied it.
 */
export function abandonCall(call: Call, error: RegistryError): void {
  const mayBeApplied = call.operation.kind === "write" && call.attempts > 0;
  rejectCall(call, mayBeApplied ? outcomeUnknown(error) : error);
}

function outcomeUnknown(cause: RegistryError): RegistryError {
  return new RegistryError(
    "connection_lost",
    "The client was closed before the reply arrived, so the request may have been applied",
    {},
    cause,
  );
}

/** Marks a call as done, and its further requests, so that none that still waits is sent. */
function end(call: Call): void {
  call.done = true;
  if (call.unlisten !== undefined) call.unlisten();
  const hedges = call.bounded?.hedges;
  if (hedges === undefined) return;
  for (const hedge of hedges) hedge.done = true;
}
