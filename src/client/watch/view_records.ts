/**
 * The records of a view, by partition and by domain, so that the state of one partition can be
 * replaced alone.
 */
import type { Position } from "../../base/position.ts";
import type { RecordInfo } from "../../record/plain.ts";

/** A record in a view. */
export interface ViewEntry {
  /** Number of the kind. */
  readonly kind: number;
  readonly partition: number;
  readonly info: RecordInfo;
  /** Size of the stored form. */
  readonly bytes: number;
  /** The claim by which an agent holds its domain; the later one counts. */
  readonly claim: Position;
  /** The count of resets of the partition when it was told. */
  readonly listing: number;
}

/** The records of one partition. */
interface Part {
  readonly entries: Map<string, ViewEntry>;
  /** Count of resets. */
  listing: number;
  /** Whether its state is being sent. */
  isListing: boolean;
}

/** The records of a view. */
export class ViewRecords {
  readonly #parts = new Map<number, Part>();
  readonly #domains = new Map<string, ViewEntry[]>();
  #count = 0;
  #bytes = 0;
  #listing = 0;

  /** The number of records. */
  get count(): number {
    return this.#count;
  }

  /** The stored size of all records, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of partitions whose state is being sent. */
  get listing(): number {
    return this.#listing;
  }

  /** Adds the partitions, whose state will be sent, unless it has them. */
  begin(partitions: readonly number[]): void {
    if (this.#parts.size > 0) return;
    for (const partition of partitions) {
      this.#parts.set(partition, { entries: new Map(), listing: 0, isListing: true });
    }
    this.#listing = partitions.length;
  }

  /** Reports whether the state of a partition is being sent. */
  isListing(partition: number): boolean {
    return this.#parts.get(partition)?.isListing ?? true;
  }

  /** Returns a record. */
  get(partition: number, kind: number, id: string): ViewEntry | undefined {
    return this.#parts.get(partition)?.entries.get(keyOf(kind, id));
  }

  /** Returns the record that holds a domain: of several agents, the one with the latest claim. */
  holder(domain: string): ViewEntry | undefined {
    const entries = this.#domains.get(domain);
    if (entries === undefined || entries.length === 1) return entries?.[0];
    return entries.reduce((best, entry) => isLater(entry.claim, best.claim) ? entry : best);
  }

  /** Iterates over all records. */
  *[Symbol.iterator](): IterableIterator<ViewEntry> {
    for (const { entries } of this.#parts.values()) yield* entries.values();
  }

  /** Adds a record, or replaces it. */
  put(entry: Omit<ViewEntry, "listing">): void {
    const part = this.#partOf(entry.partition);
    const key = keyOf(entry.kind, entry.info.id);
    this.#drop(part.entries.get(key));
    const added = { ...entry, listing: part.listing };
    part.entries.set(key, added);
    this.#count++;
    this.#bytes += added.bytes;
    const { domain } = added.info;
    if (domain === "") return;
    const others = this.#domains.get(domain);
    if (others === undefined) this.#domains.set(domain, [added]);
    else others.push(added);
  }

  /** Removes a record. */
  remove(partition: number, kind: number, id: string): void {
    const { entries } = this.#partOf(partition);
    const key = keyOf(kind, id);
    this.#drop(entries.get(key));
    entries.delete(key);
  }

  /** Marks the records of a partition: those that its new state does not have go at its end. */
  reset(partition: number): void {
    const part = this.#partOf(partition);
    part.listing++;
    if (!part.isListing) this.#listing++;
    part.isListing = true;
  }

  /** Ends the state of a partition. */
  complete(partition: number): void {
    const part = this.#partOf(partition);
    if (part.isListing) this.#listing--;
    part.isListing = false;
    for (const [key, entry] of part.entries) {
      if (entry.listing === part.listing) continue;
      this.#drop(entry);
      part.entries.delete(key);
    }
  }

  #partOf(partition: number): Part {
    let part = this.#parts.get(partition);
    if (part === undefined) {
      this.#parts.set(partition, part = { entries: new Map(), listing: 0, isListing: false });
    }
    return part;
  }

  /** Takes a record out of everything but its partition. */
  #drop(entry: ViewEntry | undefined): void {
    if (entry === undefined) return;
    this.#count--;
    this.#bytes -= entry.bytes;
    const { domain } = entry.info;
    const others = this.#domains.get(domain)?.filter((other) => other !== entry);
    if (others === undefined) return;
    if (others.length === 0) this.#domains.delete(domain);
    else this.#domains.set(domain, others);
  }
}

function keyOf(kind: number, id: string): string {
  return `${kind} ${id}`;
}

function isLater(left: Position, right: Position): boolean {
  return left.generation - right.generation > 0 ||
    left.generation === right.generation && left.index > right.index;
}
