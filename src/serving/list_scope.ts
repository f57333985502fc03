/**
 * The partitions that a list is about, and how far it got in each. Without a cursor of several nodes
 * a list is about all partitions, and is refused if one is elsewhere; with one, it is about those
 * that are not finished, and the next cursor names those elsewhere.
 */
import { RegistryError } from "../base/errors.ts";
import { UUID_BYTES } from "../base/uuid.ts";
import { decodeCursor, encodeCursor, type ListPosition } from "../store/listing.ts";
import {
  decodeListCursor,
  encodeListCursor,
  isListCursor,
  type ListCursor,
} from "../wire/list_cursor.ts";

const NO_CURSOR = new Uint8Array(0);
const FIRST_ID = new Uint8Array(UUID_BYTES);

/** The partitions of one request. */
export interface ListScope {
  /** Whether the caller asks other nodes for what is elsewhere. */
  readonly isPartial: boolean;
  /** Reports whether the partition is to be read. */
  wants(partition: number): boolean;
  /** Returns the id after which the partition is read; all zero from its first record on. */
  afterId(partition: number): Uint8Array;
  /** The partition was read to its end. */
  finish(partition: number): void;
  /** The page ends in the partition, after the record with that id; copied. */
  stop(partition: number, afterId: Uint8Array): void;
  /** This node does not serve the partition. @throws RegistryError if the list needs it. */
  leaveOut(partition: number, reason: RegistryError): void;
  /** Returns the cursor of the next page; empty if there is none. */
  nextCursor(): Uint8Array;
}

/**
 * Returns the scope of a request.
 *
 * @param cursor empty, or the cursor of an earlier page; copied.
 * @throws RegistryError `invalid_argument` if it is none of this cluster.
 */
export function listScope(cursor: Uint8Array, partitionCount: number): ListScope {
  if (isListCursor(cursor)) {
    const decoded = decodeListCursor(cursor, partitionCount);
    if (decoded !== undefined) return new PartialScope(decoded);
  } else {
    const position = decodeCursor(cursor, partitionCount);
    if (position !== undefined) return new WholeScope(position);
  }
  throw new RegistryError(
    "invalid_argument",
    "cursor must be one that an earlier page of this cluster returned",
    { field: "cursor" },
  );
}

/** All partitions, in order, on this node. */
class WholeScope implements ListScope {
  readonly isPartial = false;
  readonly #start: ListPosition;
  #stop: ListPosition | undefined;

  constructor(start: ListPosition) {
    this.#start = start;
  }

  wants(partition: number): boolean {
    return partition >= this.#start.partition;
  }

  afterId(partition: number): Uint8Array {
    return partition === this.#start.partition ? this.#start.afterId : FIRST_ID;
  }

  finish(): void {}

  stop(partition: number, afterId: Uint8Array): void {
    this.#stop = { partition, afterId: afterId.slice() };
  }

  leaveOut(_partition: number, reason: RegistryError): void {
    throw reason;
  }

  nextCursor(): Uint8Array {
    return this.#stop === undefined ? NO_CURSOR : encodeCursor(this.#stop);
  }
}

/** The partitions that no node finished yet, as far as they are here. */
class PartialScope implements ListScope {
  readonly isPartial = true;
  readonly #cursor: ListCursor;

  constructor(cursor: ListCursor) {
    this.#cursor = cursor;
    cursor.elsewhere.bytes.fill(0);
  }

  wants(partition: number): boolean {
    return !this.#cursor.finished.has(partition) && !this.#cursor.elsewhere.has(partition);
  }

  afterId(partition: number): Uint8Array {
    return this.#cursor.begun.get(partition) ?? FIRST_ID;
  }

  finish(partition: number): void {
    this.#cursor.finished.add(partition);
    this.#cursor.begun.delete(partition);
  }

  stop(partition: number, afterId: Uint8Array): void {
    this.#cursor.begun.set(partition, afterId.slice());
  }

  leaveOut(partition: number): void {
    this.#cursor.elsewhere.add(partition);
  }

  nextCursor(): Uint8Array {
    return this.#cursor.finished.isFull ? NO_CURSOR : encodeListCursor(this.#cursor);
  }
}
