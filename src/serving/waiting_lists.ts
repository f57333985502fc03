/** The lists of one stream that wait for their turn. Beyond a number of them, reading stops. */
import { LISTS_WAITING_MAX } from "../base/limits.ts";

/** Counts the waiting lists of one stream. */
export class WaitingLists {
  #count = 0;
  #ended: (() => void) | undefined;

  /** Whether so many wait that nothing more is read. */
  get areMost(): boolean {
    return this.#count >= LISTS_WAITING_MAX;
  }

  /** Adds a list. */
  begun(): void {
    this.#count++;
  }

  /** Removes a list that was answered. */
  ended(): void {
    this.#count--;
    this.#ended?.();
  }

  /** Waits until half of the allowed lists remain, so that not every list wakes the stream. */
  async served(): Promise<void> {
    while (this.#count > LISTS_WAITING_MAX / 2) {
      await new Promise<void>((resolve) => this.#ended = resolve);
    }
  }
}
