/**
 * Carries the calls for one node: sends them when there is room, queues them otherwise, and fails
 * them at their deadline. A call that the node refused for now is sent again after a pause, unless
 * the owner sends it to another node.
 *
 * A call is in one place at a time: in flight on the connection, parked until its next attempt, or
 * in the queue of calls never sent. The number of waiting calls is bounded; calls beyond the bound
 * are rejected with `overloaded`.
 */
import { BoundedQueue } from "../base/bounded_queue.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { CLIENT_SILENCE_MS, CLIENT_WAITING_MAX, CLIENT_WAITING_RETRY_MS } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { Call } from "./call.ts";
import { abandonCall, rejectCall, resolveCall } from "./call.ts";
import { CoarseTimer } from "./coarse_timer.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import { backOffMs, mayRepeat, RETRY } from "./retry.ts";

/** Is told of the reads that may be some time old. */
export interface BoundedReadObserver {
  sent(queue: CallQueue, call: Call, nowMs: number): void;
  /**
   * Called for each reply, also for one that arrives after the call is done.
   *
   * @param error the refusal, if it is one.
   */
  replied(queue: CallQueue, call: Call, error?: RegistryError): void;
}

/** Callbacks through which a queue reports to its owner. */
export interface CallQueueOwner {
  readonly reads: BoundedReadObserver;
  ringMap(map: RingMap): void;
  /** Called before a call that may be repeated is parked; true if the owner took it over. */
  refused(queue: CallQueue, call: Call, error: RegistryError): boolean;
  /** Called before a call whose reply cannot arrive any more is parked; true as above. */
  lost(queue: CallQueue, call: Call, error: RegistryError): boolean;
  /** A call was answered that another node had refused. */
  answeredAfterDetour(queue: CallQueue, call: Call): void;
  /** The attached connection is about to end; its unanswered calls are reported next. */
  ending(queue: CallQueue): void;
  /** The attached connection has ended. */
  ended(connection: Connection, error: RegistryError): void;
  /** The number of calls that wait in other places of this client. */
  waitingBeside(queue: CallQueue): number;
}

/** The calls for one node. */
export class CallQueue implements ConnectionOwner {
  readonly #world: World;
  readonly #owner: CallQueueOwner;
  readonly #timer: CoarseTimer;
  /** Calls never sent, in order of arrival. */
  readonly #queue = new BoundedQueue<Call>(CLIENT_WAITING_MAX);
  /** Calls that were sent or refused before and will be sent again. */
  #parked: Call[] = [];
  #connection: Connection | undefined;
  #closed = false;
  #silenceMs = CLIENT_SILENCE_MS;
  /** Error of the last connection; reported to calls whose deadline passes meanwhile. */
  connectionError: RegistryError | undefined;
  /** The number of repeated attempts. */
  retries = 0;

  constructor(world: World, owner: CallQueueOwner) {
    this.#world = world;
    this.#owner = owner;
    this.#timer = new CoarseTimer(world, (nowMs) => this.#tick(nowMs));
  }

  /** The number of requests in flight. */
  get inFlight(): number {
    return this.#connection?.inFlight ?? 0;
  }

  /** The number of calls waiting for room, a connection or their next attempt. */
  get waiting(): number {
    return this.#queue.count + this.#parked.length;
  }

  /** The number of watches on the connection. */
  get watching(): number {
    return this.#connection?.watching ?? 0;
  }

  /** The id of the connected node; 0 if there is no connection. */
  get nodeId(): number {
    return this.#connection?.greeting.nodeId ?? 0;
  }

  /** Whether there is a connection. */
  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Silence after which the node is probed, and after the same again given up, ms. */
  set silenceMs(silenceMs: number) {
    this.#silenceMs = silenceMs;
    if (this.#connection !== undefined) this.#connection.silenceMs = silenceMs;
  }

  /** Sends `call`, now or when there is room. */
  submit(call: Call, nowMs: number): void {
    if (this.#closed) return rejectCall(call, closedError(this.connectionError));
    this.#timer.want(call.deadlineMs, nowMs);
    const connection = this.#connection;
    if (connection !== undefined && this.#queue.count === 0 && connection.hasRoom) {
      return this.#send(connection, call, nowMs);
    }
    const beside = this.#owner.waitingBeside(this);
    if (this.waiting + beside >= CLIENT_WAITING_MAX) this.#forgetDone();
    if (this.waiting + beside < CLIENT_WAITING_MAX && this.#queue.push(call)) return;
    rejectCall(call, tooManyWaiting(this.connectionError));
  }

  /** Gives a watch up, wherever it is; its promise rejects. */
  cancel(call: Call, error: RegistryError): void {
    this.#connection?.cancel(call);
    rejectCall(call, error);
  }

  /** Uses `connection` for all calls from now on. */
  attach(connection: Connection): void {
    this.#connection = connection;
    this.connectionError = undefined;
    connection.silenceMs = this.#silenceMs;
    connection.start(this);
    this.room();
  }

  /** Returns and forgets all calls that wait, the oldest first. */
  takeWaiting(): Call[] {
    const calls = this.#parked;
    this.#parked = [];
    for (let call = this.#queue.shift(); call !== undefined; call = this.#queue.shift()) {
      calls.push(call);
    }
    return calls.filter(({ done }) => !done).sort((left, right) => left.serial - right.serial);
  }

  /** Rejects all calls, pending and future, and lets go of the connection. */
  close(error: RegistryError): void {
    this.#closed = true;
    this.#timer.cancel();
    this.connectionError = error;
    const connection = this.#connection;
    this.#connection = undefined;
    for (const call of connection?.forgetAll() ?? []) abandonCall(call, error);
    for (const call of this.takeWaiting()) abandonCall(call, error);
  }

  // Callbacks of the connection (ConnectionOwner).

  answered(call: Call, value: unknown): void {
    if (call.bounded !== undefined) this.#owner.reads.replied(this, call);
    if (call.done) return;
    if (call.part !== undefined) call.part.servedBy = this.nodeId;
    if (call.detour !== undefined) this.#owner.answeredAfterDetour(this, call);
    resolveCall(call, value);
  }

  refused(call: Call, error: RegistryError): void {
    if (call.bounded !== undefined) this.#owner.reads.replied(this, call, error);
    if (call.done) return;
    if (!isRepeated(call, error)) return rejectCall(call, error);
    if (this.#owner.refused(this, call, error)) return;
    const nowMs = this.#world.monotonic.nowMs();
    const { retryAfterMs } = error.fields;
    const delayMs = backOffMs(call.attempts, RETRY, this.#world.entropy, retryAfterMs);
    // If the next attempt would come after the deadline, reports the error now.
    if (nowMs + delayMs >= call.deadlineMs) return rejectCall(call, error);
    this.#park(call, error, nowMs + delayMs, nowMs);
  }

  late(call: Call): void {
    if (!call.done) rejectCall(call, lateError(call, this.connectionError));
  }

  due(dueMs: number, nowMs: number): void {
    this.#timer.want(dueMs, nowMs);
  }

  room(): void {
    const connection = this.#connection;
    if (connection === undefined || this.waiting === 0) return;
    const nowMs = this.#world.monotonic.nowMs();
    if (this.#parked.length > 0) this.#resume(connection, nowMs);
    while (this.#queue.count > 0 && connection.hasRoom) {
      const call = this.#queue.shift();
      if (call !== undefined && !call.done) this.#send(connection, call, nowMs);
    }
  }

  ringMap(map: RingMap): void {
    this.#owner.ringMap(map);
  }

  ended(connection: Connection, error: RegistryError, unanswered: Call[]): void {
    if (this.#connection === connection) {
      this.#owner.ending(this);
      this.#connection = undefined;
    }
    this.connectionError = error;
    const lost = new RegistryError(
      "connection_lost",
      `The connection was lost before the reply arrived: ${error.message}`,
      {},
      error,
    );
    const nowMs = this.#world.monotonic.nowMs();
    for (const call of unanswered) {
      if (call.done) continue;
      if (this.#closed || !isRepeated(call, lost)) rejectCall(call, lost);
      else if (!this.#owner.lost(this, call, lost)) this.#park(call, lost, nowMs, nowMs);
    }
    this.#owner.ended(connection, error);
  }

  #send(connection: Connection, call: Call, nowMs: number): void {
    if (call.deadlineMs <= nowMs) return this.late(call);
    if (call.attempts++ > 0) this.retries++;
    const quiet = connection.inFlight === 0;
    try {
      connection.send(call, nowMs);
    } catch (error) {
      return rejectCall(call, toRegistryError(error));
    }
    if (call.bounded !== undefined) this.#owner.reads.sent(this, call, nowMs);
    // Silence is detected only while the timer runs.
    if (quiet) this.#timer.want(nowMs + this.#silenceMs, nowMs);
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
}

/** Reports whether a call is sent again after `error`; a watch continues where it was, elsewhere. */
function isRepeated({ operation, silenceMs }: Call, error: RegistryError): boolean {
  return silenceMs === undefined && mayRepeat(operation, error);
}

/** Returns the error of a call whose deadline passed. */
export function lateError(call: Call, connectionError: RegistryError | undefined): RegistryError {
  const cause = call.lastError ?? connectionError;
  const why = cause === undefined ? "" : `; the last error was: ${cause.message}`;
  return new RegistryError(
    "deadline_exceeded",
    `${call.operation.name} must be answered in time: it was not${why}`,
    {},
    cause,
  );
}

/** Returns the error of a call for which no place to wait is left. */
export function tooManyWaiting(cause: RegistryError | undefined): RegistryError {
  return new RegistryError(
    "overloaded",
    `Waiting calls of a client must be at most ${CLIENT_WAITING_MAX}: the queue is full`,
    { retryAfterMs: CLIENT_WAITING_RETRY_MS },
    cause,
  );
}

function closedError(cause: RegistryError | undefined): RegistryError {
  return new RegistryError("shutting_down", "The client is closed", {}, cause);
}
