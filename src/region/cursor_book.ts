/**
 * The cursors of a puller: up to where each partition of the source was mirrored, what of that is saved,
 * and up to which event everything is. A cursor is saved only after all that it covers was applied, and
 * not before the sweep of a partition that was listed: the next puller would not list it again.
 */
import type { MirrorCursor } from "../../schemas/gen/record.ts";

/** A cursor that may be saved. */
export interface ReachedCursor {
  readonly cursor: MirrorCursor;
  /** Number of the event that named it. */
  readonly seq: number;
}

/** The changes of a partition that no saved cursor covers: the first one at the earliest, the last one. */
interface Unsaved {
  first: number;
  last: number;
}

/** The cursors of one puller. */
export class CursorBook {
  readonly #ready = new Map<number, ReachedCursor>();
  readonly #withheld = new Set<number>();
  readonly #unsaved = new Map<number, Unsaved>();
  #changes = 0;
  /** The lowest first change of them all; undefined: to be determined. Later changes do not lower it. */
  #first: number | undefined;

  /** The number of changes since the last save. */
  get changesUnsaved(): number {
    return this.#changes;
  }

  /** Whether there is a cursor to be saved. */
  get hasReady(): boolean {
    for (const partition of this.#ready.keys()) if (!this.#withheld.has(partition)) return true;
    return false;
  }

  /** Records an event of a partition that a cursor must cover. */
  changed(partition: number, seq: number): void {
    this.#changes++;
    const unsaved = this.#unsaved.get(partition);
    if (unsaved !== undefined) unsaved.last = seq;
    else {
      if (this.#unsaved.size === 0) this.#first = seq;
      this.#unsaved.set(partition, { first: seq, last: seq });
    }
  }

  /** Records that all that a cursor covers was applied. */
  reached(cursor: MirrorCursor, seq: number): void {
    this.#ready.set(cursor.partition, { cursor, seq });
  }

  /** Keeps the cursors of a partition from being saved: it is being listed. */
  withhold(partition: number): void {
    this.#withheld.add(partition);
    this.#ready.delete(partition);
  }

  /** Lets the cursors of a partition be saved: it was swept. */
  release(partition: number): void {
    this.#withheld.delete(partition);
  }

  /** Takes up to `max` cursors to be saved. */
  take(max: number): ReachedCursor[] {
    const taken: ReachedCursor[] = [];
    for (const [partition, reached] of this.#ready) {
      if (taken.length === max) return taken;
      if (this.#withheld.has(partition)) continue;
      taken.push(reached);
      this.#ready.delete(partition);
    }
    this.#changes = 0;
    return taken;
  }

  /** Records that cursors are saved. */
  saved(cursors: readonly ReachedCursor[]): void {
    this.#first = undefined;
    for (const { cursor: { partition }, seq } of cursors) {
      const unsaved = this.#unsaved.get(partition);
      if (unsaved === undefined) continue;
      if (unsaved.last <= seq) this.#unsaved.delete(partition);
      else unsaved.first = Math.max(unsaved.first, seq + 1);
    }
  }

  /** Returns the number of the event up to which saved cursors cover all changes; `last` was received last. */
  savedThrough(last: number): number {
    if (this.#unsaved.size === 0) return last;
    if (this.#first === undefined) {
      this.#first = Infinity;
      for (const { first } of this.#unsaved.values()) this.#first = Math.min(this.#first, first);
    }
    return Math.min(last, this.#first - 1);
  }
}
