/**
 * The watches of one connection, on a stream of their own: requests wait while the stream has no
 * room for them, so that thousands may be started at once, and a watch that is given up is canceled
 * at the server.
 */
import type { RegistryError } from "../base/errors.ts";
import { toRegistryError } from "../base/errors.ts";
import { CLIENT_OUTBOX_BYTES, CLIENT_RETRY_MS_CAP } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { type Operation, OPERATIONS } from "../wire/operations/mod.ts";
import type { Call } from "./call.ts";
import { cancelCall } from "./connection_calls.ts";
import type { RequestChannel } from "./request_channel.ts";

/** Operations with many replies. */
const STREAMED: ReadonlySet<Operation> = new Set([
  OPERATIONS.watch,
  OPERATIONS.listAndWatch,
  OPERATIONS.regionFeed,
]);
/** Operations on the stream for watches. */
export const WATCH_OPERATIONS: ReadonlySet<Operation> = new Set([
  ...STREAMED,
  OPERATIONS.cancelWatch,
  OPERATIONS.askProgress,
]);

/** Callbacks to the connection. */
export interface WatchRequestsOwner {
  refused(call: Call, error: RegistryError): void;
  late(call: Call): void;
}

/** The requests of watches on one stream. */
export class WatchRequests {
  readonly channel: RequestChannel;
  readonly #world: World;
  readonly #owner: WatchRequestsOwner;
  /** Requests that wait for room, the oldest first. */
  #waiting: Call[] = [];
  #isOver = false;
  /** Whether some request was not answered in time at the last {@link expire}. */
  isLate = false;

  constructor(channel: RequestChannel, world: World, owner: WatchRequestsOwner) {
    this.channel = channel;
    this.#world = world;
    this.#owner = owner;
  }

  /** The number of requests that are in flight or wait for room. */
  get count(): number {
    return this.channel.table.count + this.#waiting.length;
  }

  /** Sends a request, now or when there is room. @throws RegistryError as `RequestChannel.send`. */
  send(call: Call, nowMs: number): void {
    if (this.#waiting.length === 0 && this.#hasRoom) return this.channel.send(call, nowMs);
    this.#waiting.push(call);
    if (this.#waiting.length === 1) this.#awaitRoom();
  }

  /** Ends a watch: the server is told, and what still arrives is ignored. */
  cancel(call: Call): void {
    const { requestId: id, delegationId } = call;
    // One that waits is done, and will not be sent.
    if (id === -1) return;
    this.channel.table.abandon(call);
    this.#tellCanceled({ id, delegationId });
  }

  /** Times out late calls. @returns the time at which to call this next; Infinity for none. */
  expire(nowMs: number): number {
    this.isLate = false;
    let nextMs = this.channel.table.expire(nowMs, (call, id) => {
      this.isLate = true;
      const { operation, delegationId } = call;
      if (STREAMED.has(operation)) this.#tellCanceled({ id, delegationId });
      this.#owner.late(call);
    });
    if (this.#waiting.length === 0) return nextMs;
    for (const call of this.#waiting) {
      if (call.deadlineMs <= nowMs) this.#owner.late(call);
      else nextMs = Math.min(nextMs, call.deadlineMs);
    }
    this.#waiting = this.#waiting.filter(({ deadlineMs }) => deadlineMs > nowMs);
    return nextMs;
  }

  /** Returns and forgets all requests. */
  drain(): Call[] {
    return [...this.channel.table.drain(), ...this.#waiting.splice(0)];
  }

  /** Drops what arrives from now on, and sends nothing more. */
  close(): void {
    this.#isOver = true;
    this.channel.close();
  }

  get #hasRoom(): boolean {
    return this.channel.gatheredBytes < CLIENT_OUTBOX_BYTES;
  }

  #awaitRoom(): void {
    this.channel.drained(CLIENT_OUTBOX_BYTES / 2).then(() => this.#sendWaiting());
  }

  #sendWaiting(): void {
    const nowMs = this.#world.monotonic.nowMs();
    while (!this.#isOver && this.#waiting.length > 0 && this.#hasRoom) {
      const call = this.#waiting.shift()!;
      if (call.done) continue;
      try {
        this.channel.send(call, nowMs);
      } catch (error) {
        this.#owner.refused(call, toRegistryError(error));
      }
    }
    if (this.#waiting.length > 0 && !this.#isOver) this.#awaitRoom();
  }

  /** Tells the server that a watch is over; again after a pause if it refuses to hear it. */
  #tellCanceled(watch: { readonly id: number; readonly delegationId: number }): void {
    if (this.#isOver) return;
    const nowMs = this.#world.monotonic.nowMs();
    const again = ({ code, fields: { retryAfterMs = 0 } }: RegistryError) => {
      // It has ended with its delegation.
      if (code === "unknown_delegation") return;
      const delayMs = Math.max(retryAfterMs, CLIENT_RETRY_MS_CAP);
      if (!this.#isOver) {
        this.#world.scheduler.after(delayMs, () => this.#tellCanceled(watch));
      }
    };
    try {
      this.send(cancelCall(watch, nowMs, again), nowMs);
    } catch (error) {
      again(toRegistryError(error));
    }
  }
}
