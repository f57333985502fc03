/**
 * The sending of a partition's state to a watch, in the order of keys, in pages. It goes on while
 * the state changes: a record behind the one that was sent last is sent later, as it is then, so its
 * changes until then are not sent; those of all others are. So what was sent at any time is the
 * state up to a key, as of one position, and can be continued elsewhere by both: by the key of the
 * last record that was sent, not the last that was looked at, as the client knows no other.
 */
import { compareBytes } from "../../base/bytes.ts";
import { WATCH_PAGE_KEYS_MIN } from "../../base/limits.ts";
import { KIND_MIRROR } from "../../record/key.ts";
import type { PartitionStore } from "../../store/store.ts";
import type { KeyPlace, StoredFilter } from "./watch_filter.ts";

/** A share of a partition's records that a page holds at least, so that few pages are collected. */
const PAGE_SHARE = 1 / 16;

/** The state of one partition on its way to one watch. */
export class StateScan {
  readonly #kinds: readonly number[];
  /** The keys that are wanted, in order; empty: all. */
  readonly #keys: readonly Uint8Array[];
  /** The keys that are known to be next, in order, from `#next` on. */
  #page: Uint8Array[] = [];
  #next = 0;
  /** The end of the page: undefined if there is no key behind it. */
  #pageEnd: Uint8Array | undefined;
  #isLastPage = false;
  /** The key of the last record that was sent. */
  #sent: Uint8Array | undefined;

  /**
   * @param keys those of the filter that may be in this partition.
   * @param after the key up to which the state was sent before; undefined: none was.
   */
  constructor(
    { kinds, withMirrors }: StoredFilter,
    keys: readonly Uint8Array[],
    after: Uint8Array | undefined,
  ) {
    this.#kinds = withMirrors ? [...kinds, KIND_MIRROR] : kinds;
    this.#keys = [...keys].sort(compareBytes);
    this.#sent = this.#pageEnd = after;
  }

  /**
   * Moves to the next key and returns it; undefined after the last one. If a record has it, and the
   * watch wants it, {@link sent} follows.
   */
  next(store: PartitionStore): Uint8Array | undefined {
    while (this.#next === this.#page.length) {
      if (this.#isLastPage) return undefined;
      this.#load(store);
    }
    return this.#page[this.#next++];
  }

  /** Notes that a record with the key was sent. */
  sent(key: Uint8Array): void {
    this.#sent = key;
  }

  /**
   * Reports whether the state of a key is still to be sent, so that its changes are not. It is then
   * looked at once more, if it was looked at already or was not there when its page was collected.
   */
  isToCome({ bytes, start, end }: KeyPlace): boolean {
    const key = bytes.subarray(start, end);
    if (this.#sent !== undefined && compareBytes(key, this.#sent) <= 0) return false;
    const isOfPage = this.#isLastPage ||
      this.#pageEnd !== undefined && compareBytes(key, this.#pageEnd) <= 0;
    if (isOfPage) this.#put(key);
    return true;
  }

  /** Adds a key to the page, unless it is there. */
  #put(key: Uint8Array): void {
    let low = this.#next;
    let high = this.#page.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes(this.#page[middle]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    const found = this.#page[low];
    if (found === undefined || compareBytes(found, key) !== 0) {
      this.#page.splice(low, 0, key.slice());
    }
  }

  #load(store: PartitionStore): void {
    this.#next = 0;
    const { length } = this.#keys;
    const limit = length > 0
      ? length + 1
      : Math.max(WATCH_PAGE_KEYS_MIN, Math.ceil(store.slotCount * PAGE_SHARE));
    const after = this.#pageEnd;
    const keys = length > 0 ? this.#keys : store.keysAfter(this.#kinds, after, limit);
    this.#isLastPage = keys.length < limit;
    this.#pageEnd = keys.at(-1) ?? after;
    // A record of each kind may have the same key.
    this.#page = keys.filter((key, at) => isBehind(key, after) && isBehind(key, keys[at - 1]));
  }
}

function isBehind(key: Uint8Array, before: Uint8Array | undefined): boolean {
  return before === undefined || compareBytes(key, before) > 0;
}
