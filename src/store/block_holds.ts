/**
 * The blocks of one partition that an image still reads. While an image is made, the state goes on:
 * a block that the image has not read yet is neither overwritten nor freed. A change then takes another
 * block, and the old one is freed once each image that began before the change has ended. Blocks that
 * were taken since the newest image began are read by none, and so are changed in place.
 */
import type { Arena } from "./arena.ts";

/** A block that was given up while images were made. */
interface KeptBlock {
  readonly ref: number;
  readonly words: number;
  /** The newest hold that may read it. */
  readonly hold: number;
}

/** The holds on the blocks of one partition. */
export class BlockHolds {
  readonly #arena: Arena;
  /** Numbers of the open holds, the oldest first. */
  readonly #open: number[] = [];
  #newest = 0;
  /** In the order in which they were given up. */
  #kept: KeptBlock[] = [];
  /** Blocks that were allocated since the newest hold was opened. */
  readonly #unread = new Set<number>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Whether any image is being made. */
  get areOpen(): boolean {
    return this.#open.length > 0;
  }

  /** Opens a hold on all blocks that are in use; returns its number. */
  open(): number {
    this.#unread.clear();
    this.#open.push(++this.#newest);
    return this.#newest;
  }

  /** Closes a hold, and frees the blocks that no other one reads. Does nothing when called again. */
  close(hold: number): void {
    const at = this.#open.indexOf(hold);
    if (at === -1) return;
    this.#open.splice(at, 1);
    if (!this.areOpen) this.#unread.clear();
    const oldest = this.#open[0] ?? Infinity;
    let freed = 0;
    for (; freed < this.#kept.length; freed++) {
      const { ref, words, hold: newestReader } = this.#kept[freed]!;
      if (newestReader >= oldest) break;
      this.#arena.release(ref, words);
    }
    this.#kept = this.#kept.slice(freed);
  }

  /** Allocates a block of `words`, which no open hold reads. */
  allocate(words: number): number {
    const ref = this.#arena.allocate(words);
    if (this.areOpen) this.#unread.add(ref);
    return ref;
  }

  /** Reports whether a block may be overwritten, as no hold reads it. */
  mayWrite(ref: number): boolean {
    return !this.areOpen || this.#unread.has(ref);
  }

  /** Frees a block, now or when no hold reads it any more. */
  release(ref: number, words: number): void {
    if (this.mayWrite(ref)) {
      this.#unread.delete(ref);
      this.#arena.release(ref, words);
    } else this.#kept.push({ ref, words, hold: this.#newest });
  }
}
