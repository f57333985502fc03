/**
 * Carries every call from its caller to its answer: sends it when there is room, queues it
 * otherwise, retries it where that is allowed, and fails it at its deadline.
 *
 * A call is in one place at a time: in flight on the connection, parked until its next attempt, or
 * in the queue of calls never sent. The number of waiting calls is bounded; calls beyond the bound
 * are rejected with `overloaded`.
 */
import { BoundedQueue } from "../base/bounded_queue.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import {
  CLIENT_RETRY_MS_BASE,
  CLIENT_RETRY_MS_CAP,
  CLIENT_SILENCE_MS,
  CLIENT_WAITING_MAX,
  CLIENT_WAITING_RETRY_MS,
  REQUEST_TIMEOUT_MS_MAX,
} from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { RingMap } from "../ring/ring_map.ts";
import {
  type Operation,
  type OperationName,
  OPERATIONS,
  type RequestOf,
} from "../wire/operations/mod.ts";
import type { Input } from "../../schemas/runtime/writer.ts";
import { Call, type Decode } from "./call.ts";
import { CoarseTimer } from "./coarse_timer.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { Invoker } from "./invoker.ts";
import { backOffMs, mayRepeat } from "./retry.ts";
import type { CallOptions } from "./types.ts";

const RETRY = { baseMs: CLIENT_RETRY_MS_BASE, capMs: CLIENT_RETRY_MS_CAP };
const NO_OPTIONS: CallOptions = {};

/** Parameters of a {@link CallQueue}. */
export interface CallQueueOptions {
  readonly world: World;
  /** Default timeout of a call, ms. */
  readonly timeoutMs: number;
  readonly onRingMap: (map: RingMap) => void;
  /** Called when the attached connection has ended. */
  readonly onEnded: (connection: Connection, error: RegistryError) => void;
}

/** The calls of one client. */
export class CallQueue implements Invoker, ConnectionOwner {
  readonly #options: CallQueueOptions;
  readonly #timer: CoarseTimer;
  /** Calls never sent, in order of arrival. */
  readonly #queue = new BoundedQueue<Call>(CLIENT_WAITING_MAX);
  /** Calls that were sent or refused before and will be sent again. */
  #parked: Call[] = [];
  #connection: Connection | undefined;
  #closed = false;
  #serial = 0;
  /** Error of the last connection; reported to calls whose deadline passes meanwhile. */
  connectionError: RegistryError | undefined;
  /** The number of repeated attempts. */
  retries = 0;

  constructor(options: CallQueueOptions) {
    this.#options = options;
    this.#timer = new CoarseTimer(options.world, (nowMs) => this.#tick(nowMs));
  }

  /** The number of requests in flight. */
  get inFlight(): number {
    return this.#connection?.inFlight ?? 0;
  }

  /** The number of calls waiting for room, a connection or their next attempt. */
  get waiting(): number {
    return this.#queue.count + this.#parked.length;
  }

  invoke<Name extends OperationName, T>(
    name: Name,
    body: Input<RequestOf<Name>>,
    decode: Decode<T>,
    options: CallOptions = NO_OPTIONS,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
      if (!(timeoutMs > 0 && timeoutMs <= REQUEST_TIMEOUT_MS_MAX)) {
        return reject(badTimeout(timeoutMs));
      }
      const nowMs = this.#options.world.monotonic.nowMs();
      const call = new Call(
        {
          operation: OPERATIONS[name],
          body,
          decode,
          maxStalenessMs: options.maxStalenessMs ?? 0,
          deadlineMs: nowMs + timeoutMs,
          resolve: resolve as (value: unknown) => void,
          reject,
        },
        this.#serial++,
      );
      if (options.signal !== undefined && !this.#listen(call, options.signal)) return;
      this.#submit(call, nowMs);
    });
  }

  /** Uses `connection` for all calls from now on. */
  attach(connection: Connection): void {
    this.#connection = connection;
    this.connectionError = undefined;
    connection.start(this);
    this.room();
  }

  /** Rejects all calls, pending and future. */
  close(error: RegistryError): void {
    this.#closed = true;
    this.#timer.cancel();
    this.connectionError = error;
    for (const call of this.#connection?.forgetAll() ?? []) this.#reject(call, error);
    const parked = this.#parked;
    this.#parked = [];
    for (const call of parked) this.#reject(call, error);
    for (let call = this.#queue.shift(); call !== undefined; call = this.#queue.shift()) {
      this.#reject(call, error);
    }
  }

  // Callbacks of the connection (ConnectionOwner).

  answered(call: Call, value: unknown): void {
    if (call.done) return;
    call.done = true;
    if (call.unlisten !== undefined) call.unlisten();
    call.resolve(value);
  }

  refused(call: Call, error: RegistryError): void {
    if (call.done) return;
    if (!mayRepeat(call.operation, error)) return this.#reject(call, error);
    const nowMs = this.#options.world.monotonic.nowMs();
    const delayMs = backOffMs(
      call.attempts,
      RETRY,
      this.#options.world.entropy,
      error.fields.retryAfterMs,
    );
    // If the next attempt would come after the deadline, reports the error now.
    if (nowMs + delayMs >= call.deadlineMs) return this.#reject(call, error);
    this.#park(call, error, nowMs + delayMs, nowMs);
  }

  late(call: Call): void {
    if (call.done) return;
    const cause = call.lastError ?? this.connectionError;
    const why = cause === undefined ? "" : `; the last error was: ${cause.message}`;
    this.#reject(
      call,
      new RegistryError(
        "deadline_exceeded",
        `${call.operation.name} must be answered in time: it was not${why}`,
        {},
        cause,
      ),
    );
  }

  room(): void {
    const connection = this.#connection;
    if (connection === undefined || this.waiting === 0) return;
    const nowMs = this.#options.world.monotonic.nowMs();
    if (this.#parked.length > 0) this.#resume(connection, nowMs);
    while (this.#queue.count > 0 && connection.hasRoom) {
      const call = this.#queue.shift();
      if (call !== undefined && !call.done) this.#send(connection, call, nowMs);
    }
  }

  ringMap(map: RingMap): void {
    this.#options.onRingMap(map);
  }

  ended(connection: Connection, error: RegistryError, unanswered: Call[]): void {
    if (this.#connection === connection) this.#connection = undefined;
    this.connectionError = error;
    const lost = new RegistryError(
      "connection_lost",
      `The connection was lost before the reply arrived: ${error.message}`,
      {},
      error,
    );
    const nowMs = this.#options.world.monotonic.nowMs();
    for (const call of unanswered) {
      if (call.done) continue;
      if (!this.#closed && mayRepeat(call.operation, lost)) this.#park(call, lost, nowMs, nowMs);
      else this.#reject(call, lost);
    }
    this.#options.onEnded(connection, error);
  }

  #submit(call: Call, nowMs: number): void {
    if (this.#closed) return this.#reject(call, closedError(this.connectionError));
    this.#timer.want(call.deadlineMs, nowMs);
    const connection = this.#connection;
    if (connection !== undefined && this.#queue.count === 0 && connection.hasRoom) {
      return this.#send(connection, call, nowMs);
    }
    if (this.waiting >= CLIENT_WAITING_MAX) this.#forgetDone();
    if (this.waiting < CLIENT_WAITING_MAX && this.#queue.push(call)) return;
    this.#reject(
      call,
      new RegistryError(
        "overloaded",
        `Waiting calls of a client must be at most ${CLIENT_WAITING_MAX}: the queue is full`,
        { retryAfterMs: CLIENT_WAITING_RETRY_MS },
        this.connectionError,
      ),
    );
  }

  #send(connection: Connection, call: Call, nowMs: number): void {
    if (call.deadlineMs <= nowMs) return this.late(call);
    if (call.attempts++ > 0) this.retries++;
    const quiet = connection.inFlight === 0;
    try {
      connection.send(call, nowMs);
    } catch (error) {
      return this.#reject(call, toRegistryError(error));
    }
    // Silence is detected only while the timer runs.
    if (quiet) this.#timer.want(nowMs + CLIENT_SILENCE_MS, nowMs);
  }

  #park(call: Call, error: RegistryError, resumeAtMs: number, nowMs: number): void {
    call.lastError = error;
    call.resumeAtMs = resumeAtMs;
    this.#parked.push(call);
    this.#timer.want(Math.min(resumeAtMs, call.deadlineMs), nowMs);
  }

  /** Sends the parked calls that are due. */
  #resume(connection: Connection, nowMs: number): void {
    const parked = this.#parked;
    this.#parked = [];
    for (const call of parked) {
      if (call.done) continue;
      if (call.resumeAtMs <= nowMs && connection.hasRoom) this.#send(connection, call, nowMs);
      else this.#parked.push(call);
    }
  }

  #tick(nowMs: number): number {
    let next = this.#connection?.check(nowMs) ?? Infinity;
    if (this.waiting === 0) return next;
    this.room();
    const canSend = this.#connection !== undefined;
    for (const call of this.#parked) {
      if (call.deadlineMs <= nowMs) this.late(call);
      else {
        next = Math.min(next, call.deadlineMs);
        if (canSend && call.resumeAtMs > nowMs) next = Math.min(next, call.resumeAtMs);
      }
    }
    for (const call of this.#queue) {
      if (call.deadlineMs <= nowMs) this.late(call);
      else if (!call.done) next = Math.min(next, call.deadlineMs);
    }
    this.#forgetDone();
    return next;
  }

  /** Removes calls that are done from the waiting ones. */
  #forgetDone(): void {
    if (this.#parked.some((call) => call.done)) {
      this.#parked = this.#parked.filter((call) => !call.done);
    }
    for (let count = this.#queue.count; count > 0; count--) {
      const call = this.#queue.shift();
      if (call !== undefined && !call.done) this.#queue.push(call);
    }
  }

  /** Listens to `signal`. Returns false if it was already aborted and the call was rejected. */
  #listen(call: Call, signal: AbortSignal): boolean {
    const cancel = () => {
      // A call in flight keeps its slot, which the server has not freed yet; its reply is ignored.
      this.#reject(call, canceledError(call.operation, signal.reason));
    };
    if (signal.aborted) {
      cancel();
      return false;
    }
    signal.addEventListener("abort", cancel, { once: true });
    call.unlisten = () => signal.removeEventListener("abort", cancel);
    return true;
  }

  #reject(call: Call, error: RegistryError): void {
    if (call.done) return;
    call.done = true;
    call.unlisten?.();
    call.reject(error);
  }
}

function closedError(cause: RegistryError | undefined): RegistryError {
  return new RegistryError("shutting_down", "The client is closed", {}, cause);
}

function canceledError(operation: Operation, reason: unknown): RegistryError {
  return new RegistryError("canceled", `${operation.name} was canceled by its caller`, {}, reason);
}

function badTimeout(timeoutMs: number): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `timeoutMs must be in (0, ${REQUEST_TIMEOUT_MS_MAX}]: current value is ${timeoutMs}`,
    { field: "timeoutMs" },
  );
}
