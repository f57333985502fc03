/**
 * The requests in flight on one connection, by request id. The slots of the table are reused, so
 * that a request costs no allocation beyond its call.
 *
 * An id holds the slot number in its low bits and the slot's use count above, so that a late
 * reply to an abandoned request is told from the reply to the next request in that slot. An
 * abandoned request keeps its slot until its reply arrives or its deadline is well past: the server
 * holds it that long, and the number in flight must stay below the server's limit.
 */
import { CLIENT_ABANDONED_MS } from "../base/limits.ts";
import type { Call } from "./call.ts";

const SLOT_BITS_DEFAULT = 12;
const SLOTS_INITIAL = 16;

/** A table of requests waiting for their replies. */
export class PendingTable {
  readonly capacity: number;
  readonly #slotMask: number;
  /** Requests in flight, including abandoned ones. */
  count = 0;
  #calls: (Call | undefined)[] = [];
  /** The id in each used slot; for a free slot, its last id. */
  #ids = new Uint32Array(SLOTS_INITIAL);
  #used = new Uint8Array(SLOTS_INITIAL);
  #dueMs = new Float64Array(SLOTS_INITIAL);
  /** Stack of the free slots below `#high`. */
  #free = new Uint16Array(SLOTS_INITIAL);
  #freeCount = 0;
  /** Slots from this index on were never used. */
  #high = 0;

  /**
   * @param capacity the maximum number of requests in flight, `[1, 2^slotBits]`.
   * @param slotBits bits of an id that number its slot, at most 16.
   */
  constructor(capacity: number, slotBits: number = SLOT_BITS_DEFAULT) {
    const slots = 1 << slotBits;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > slots) {
      throw new RangeError(
        `Requests in flight must be an integer in [1, ${slots}]: current value is ${capacity}`,
      );
    }
    this.capacity = capacity;
    this.#slotMask = slots - 1;
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  /** Adds `call` and returns its request id. Throws a RangeError if the table is full. */
  add(call: Call): number {
    if (this.count === this.capacity) {
      throw new RangeError(
        `Requests in flight must be at most ${this.capacity}: cannot add another`,
      );
    }
    const slot = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#newSlot();
    // Adds one to the slot's uses; with 12 bits for the slot they wrap after a million.
    const id = (this.#ids[slot]! + this.#slotMask + 1) >>> 0;
    this.#ids[slot] = id;
    this.#used[slot] = 1;
    this.#dueMs[slot] = call.deadlineMs;
    this.#calls[slot] = call;
    this.count++;
    call.requestId = id;
    return id;
  }

  /** Removes request `id` and returns its call; `undefined` if it was abandoned or is unknown. */
  take(id: number): Call | undefined {
    const slot = id & this.#slotMask;
    if (slot >= this.#high || this.#ids[slot] !== id || this.#used[slot] === 0) return undefined;
    const call = this.#calls[slot];
    this.#release(slot);
    return call;
  }

  /** Returns the call of request `id`, which stays: it gets many replies. */
  peek(id: number): Call | undefined {
    const slot = id & this.#slotMask;
    if (slot >= this.#high || this.#ids[slot] !== id || this.#used[slot] === 0) return undefined;
    return this.#calls[slot];
  }

  /** Sets the time at which `call` expires, by the clock of {@link expire}. */
  postpone(call: Call, dueMs: number): void {
    const slot = call.requestId & this.#slotMask;
    if (this.#calls[slot] === call) this.#dueMs[slot] = dueMs;
  }

  /** Forgets `call`. Its slot stays taken until its reply arrives or can no longer arrive. */
  abandon(call: Call): void {
    const slot = call.requestId & this.#slotMask;
    if (call.requestId === -1 || this.#calls[slot] !== call) return;
    this.#calls[slot] = undefined;
    this.#dueMs[slot] = call.deadlineMs + CLIENT_ABANDONED_MS;
    call.requestId = -1;
  }

  /**
   * Abandons every call whose deadline has passed and passes it to `onLate`, with its former request
   * id; frees the slots of calls abandoned long enough ago.
   *
   * @returns the time at which to call this next, by the clock of `nowMs`; Infinity if nothing
   * waits.
   */
  expire(nowMs: number, onLate: (call: Call, id: number) => void): number {
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
        onLate(call, this.#ids[slot]!);
      }
      next = Math.min(next, this.#dueMs[slot]!);
    }
    return next;
  }

  /** Empties the table and returns its calls, the oldest call first. */
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
    const length = Math.min(this.#ids.length * 2, this.#slotMask + 1);
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
