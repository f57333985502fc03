/** The events that wait for the one reader of a watch, bounded by their number and size. */
import type { RegistryError } from "../../base/errors.ts";
import { WATCH_WAITING_BYTES_MAX, WATCH_WAITING_EVENTS_MAX } from "../../base/limits.ts";

interface Waiting<T> {
  readonly value: T;
  readonly bytes: number;
}

/** A queue that is read by asynchronous iteration. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  readonly #onRoom: () => void;
  readonly #onReturn: () => void;
  readonly #onRead: (value: T) => void;
  /** Events from `#first` on wait. */
  #waiting: Waiting<T>[] = [];
  #first = 0;
  #bytes = 0;
  #reader: PromiseWithResolvers<IteratorResult<T>> | undefined;
  #isOver = false;
  #error: RegistryError | undefined;

  /**
   * @param on.room called when half of the room is free again.
   * @param on.read called for each value as it is handed to the reader.
   * @param on.returned called when the reader leaves.
   */
  constructor(on: {
    readonly room: () => void;
    readonly read: (value: T) => void;
    readonly returned: () => void;
  }) {
    this.#onRoom = on.room;
    this.#onRead = on.read;
    this.#onReturn = on.returned;
  }

  /** The number of events that wait. */
  get count(): number {
    return this.#waiting.length - this.#first;
  }

  /** Whether no more should be added before some are read. */
  get isFull(): boolean {
    return this.count >= WATCH_WAITING_EVENTS_MAX || this.#bytes >= WATCH_WAITING_BYTES_MAX;
  }

  /** Adds a value. @param bytes its approximate size. */
  push(value: T, bytes: number): void {
    if (this.#isOver) return;
    const reader = this.#reader;
    if (reader === undefined) {
      this.#waiting.push({ value, bytes });
      this.#bytes += bytes;
      return;
    }
    this.#reader = undefined;
    this.#onRead(value);
    reader.resolve({ done: false, value });
  }

  /** Replaces the newest waiting value if `isReplaced` says so, else adds one. */
  replace(value: T, isReplaced: (newest: T) => boolean): void {
    const newest = this.#waiting.at(-1);
    if (this.count > 0 && newest !== undefined && isReplaced(newest.value)) {
      this.#waiting[this.#waiting.length - 1] = { value, bytes: newest.bytes };
    } else this.push(value, 0);
  }

  /** Adds the end: what waits is still read, then the iteration ends, or throws the error. */
  end(error: RegistryError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) return;
    if (error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(error);
  }

  /** Drops what waits. */
  clear(): void {
    this.#waiting = [];
    this.#first = this.#bytes = 0;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#reader !== undefined) {
      return Promise.reject(
        new TypeError("A watch must be read by one reader, one event after the other"),
      );
    }
    if (this.count > 0) return Promise.resolve({ done: false, value: this.#shift() });
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  return(): Promise<IteratorResult<T>> {
    this.clear();
    this.#onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this;
  }

  #shift(): T {
    const { value, bytes } = this.#waiting[this.#first]!;
    this.#first++;
    this.#bytes -= bytes;
    if (this.#first === this.#waiting.length) {
      this.#waiting = [];
      this.#first = 0;
    } else if (this.#first >= WATCH_WAITING_EVENTS_MAX) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    this.#onRead(value);
    const isHalfEmpty = this.count <= WATCH_WAITING_EVENTS_MAX / 2 &&
      this.#bytes <= WATCH_WAITING_BYTES_MAX / 2;
    if (isHalfEmpty) this.#onRoom();
    return value;
  }
}
