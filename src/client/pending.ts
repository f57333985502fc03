/**
 * The requests in flight on one connection, by request id: a table of slots that is used again and
 * again, so that a request costs no allocation beyond its call.
 *
 * An id is the slot's number in its low 12 bits and the slot's use count above, so that a late reply
 * to an abandoned request is told from the reply to the next one in its slot. An abandoned request
 * keeps its slot until its reply comes or its deadline is well past: the server holds it that long,
 * and the number in flight must stay below what the server allows.
 */
import { CLIENT_ABANDONED_MS, CLIENT_IN_FLIGHT_MAX } from "../base/limits.ts";
import type { Call } from "./call.ts";

const SLOT_BITS = 12;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const SLOTS_INITIAL = 16;

/** Requests that wait for their replies. */
export class PendingTable {
  readonly capacity: number;
  /** Requests in flight, abandoned ones included. */
  count = 0;
  #calls: (Call | undefined)[] = [];
  /** The id in each used slot; of a free one, its last. */
  #ids = new Uint32Array(SLOTS_INITIAL);
  #used = new Uint8Array(SLOTS_INITIAL);
  #dueMs = new Float64Array(SLOTS_INITIAL);
  /** The free slots below `#high`, the last freed on top. */
  #free = new Uint16Array(SLOTS_INITIAL);
  #freeCount = 0;
  /** Slots at and beyond were never used. */
  #high = 0;

  /** @param capacity the most requests in flight, `[1, 4096]`. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > CLIENT_IN_FLIGHT_MAX) {
      throw new RangeError(
        `Requests in flight must be an integer in [1, ${CLIENT_IN_FLIGHT_MAX}]: ` +
          `current value is ${capacity}`,
      );
    }
    this.capacity = capacity;
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  /** Takes `call` in and returns its request id; there must be room. */
  add(call: Call): number {
    if (this.count === this.capacity) {
      throw new RangeError(`Requests in flight must be at most ${this.capacity}: one more came`);
    }
    const slot = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#newSlot();
    // Adding 2^12 to the slot's last id counts its uses; 32 bits wrap after a million of them.
    const id = (this.#ids[slot]! + (1 << SLOT_BITS)) >>> 0;
    this.#ids[slot] = id;
    this.#used[slot] = 1;
    this.#dueMs[slot] = call.deadlineMs;
    this.#calls[slot] = call;
    this.count++;
    call.requestId = id;
    return id;
  }

  /** Ends the request `id`; its call, or `undefined` where it was abandoned or never was. */
  take(id: number): Call | undefined {
    const slot = id & SLOT_MASK;
    if (slot >= this.#high || this.#ids[slot] !== id || this.#used[slot] === 0) return undefined;
    const call = this.#calls[slot];
    this.#release(slot);
    return call;
  }

  /** Forgets `call`, whose slot stays taken until its reply comes or cannot come any more. */
  abandon(call: Call): void {
    const slot = call.requestId & SLOT_MASK;
    if (call.requestId === -1 || this.#calls[slot] !== call) return;
    this.#calls[slot] = undefined;
    this.#dueMs[slot] = call.deadlineMs + CLIENT_ABANDONED_MS;
    call.requestId = -1;
  }

  /**
   * Abandons every call whose deadline has passed and hands it to `onLate`, and frees the slots of
   * those that were abandoned long enough ago.
   *
   * @returns when it has to be called next, by the clock of `nowMs`; Infinity: nothing waits.
   */
  expire(nowMs: number, onLate: (call: Call) => void): number {
    let next = Infinity;
    for (let slot = 0; slot < this.#high; slot++) {
      if (this.#used[slot] === 0) continue;
      if (this.#dueMs[slot]! <= nowMs) {
        const call = this.#calls[slot];
        if (call === undefined) {
          this.#release(slot);
          continue;
        }
        this.abandon(call);
        onLate(call);
      }
      next = Math.min(next, this.#dueMs[slot]!);
    }
    return next;
  }

  /** Empties the table and returns its calls, the first asked first. */
  drain(): Call[] {
    const calls: Call[] = [];
    for (let slot = 0; slot < this.#high; slot++) {
      if (this.#used[slot] === 0) continue;
      const call = this.#calls[slot];
      this.#release(slot);
      if (call !== undefined) calls.push(call);
    }
    return calls.sort((left, right) => left.serial - right.serial);
  }

  #release(slot: number): void {
    const call = this.#calls[slot];
    if (call !== undefined) call.requestId = -1;
    this.#calls[slot] = undefined;
    this.#used[slot] = 0;
    this.#free[this.#freeCount++] = slot;
    this.count--;
  }

  #newSlot(): number {
    const slot = this.#high++;
    if (slot === this.#ids.length) this.#grow();
    this.#ids[slot] = slot;
    return slot;
  }

  #grow(): void {
    const length = Math.min(this.#ids.length * 2, CLIENT_IN_FLIGHT_MAX);
    const ids = new Uint32Array(length);
    ids.set(this.#ids);
    const used = new Uint8Array(length);
    used.set(this.#used);
    const dueMs = new Float64Array(length);
    dueMs.set(this.#dueMs);
    const free = new Uint16Array(length);
    free.set(this.#free);
    this.#ids = ids;
    this.#used = used;
    this.#dueMs = dueMs;
    this.#free = free;
  }
}
