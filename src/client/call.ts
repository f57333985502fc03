/**
 * One call of the SDK's user, from its request to its answer: through waiting, sending, losing a
 * connection and trying again. It is the same object all the way, so that a repeated request is the
 * same request (a register keeps its process and sequence).
 */
import type { ResponseView } from "../../schemas/gen/wire.ts";
import type { RegistryError } from "../base/errors.ts";
import type { Operation } from "../wire/operations.ts";

/**
 * Makes a call's result from a successful reply. `response` is a flyweight over `bytes`, which
 * `view` sees too; all three are valid during the call only.
 *
 * @throws RegistryError `malformed`: the connection is given up then.
 */
export type Decode<T> = (response: ResponseView, view: DataView, bytes: Uint8Array) => T;

/** What a call is made of. */
export interface CallParameters {
  readonly operation: Operation;
  /** The plain form that the operation's request codec takes; it must not change any more. */
  readonly body: unknown;
  readonly decode: Decode<unknown>;
  readonly maxStalenessMs: number;
  /** By the monotonic clock. */
  readonly deadlineMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RegistryError) => void;
}

/** A call that is not answered yet, or just was. */
export class Call {
  readonly operation: Operation;
  readonly body: unknown;
  readonly decode: Decode<unknown>;
  readonly maxStalenessMs: number;
  readonly deadlineMs: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RegistryError) => void;
  /** Ends the wait for the caller's signal. */
  unlisten: (() => void) | undefined;
  /** The request id under which it is in flight; -1: it is not. */
  requestId = -1;
  /** How often it was sent, or refused before it could be. */
  attempts = 0;
  /** Not to be sent before, by the monotonic clock. */
  resumeAtMs = 0;
  /** Grows from call to call of a client: what was asked first is sent first. */
  readonly serial: number;
  /** True once it was resolved or rejected. */
  done = false;
  /** Why the last attempt failed. */
  lastError: RegistryError | undefined;

  constructor(parameters: CallParameters, serial: number) {
    this.operation = parameters.operation;
    this.body = parameters.body;
    this.decode = parameters.decode;
    this.maxStalenessMs = parameters.maxStalenessMs;
    this.deadlineMs = parameters.deadlineMs;
    this.resolve = parameters.resolve;
    this.reject = parameters.reject;
    this.serial = serial;
  }
}
