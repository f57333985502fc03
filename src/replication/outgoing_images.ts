/**
 * The images in transfer from a node to others. Their number is limited, and so are their bytes: a node
 * that joins needs an image of each group at once, most of them small, and no few large ones may fill the
 * memory, or keep the node from everything else while they are made one after the other.
 */
import {
  PEER_IMAGES_AT_ONCE,
  PEER_IMAGES_BURST_BYTES,
  PEER_IMAGES_BURST_MS,
  PEER_IMAGES_OUT_BYTES,
} from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";

/** Slots for images in transfer. */
export class OutgoingImages {
  readonly #clock: MonotonicClock;
  #count = 0;
  #bytes = 0;
  /** The bytes for which slots were taken since the time. */
  #burstBytes = 0;
  #burstMs = -Infinity;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** The number of slots in use. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes a slot for an image that is going to be made; returns false if none is free, the images in
   * transfer and those being made are as large as they may be, or much was begun just now.
   */
  take(estimatedBytes: number): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#burstMs >= PEER_IMAGES_BURST_MS) {
      this.#burstMs = nowMs;
      this.#burstBytes = 0;
    }
    if (this.#burstBytes >= PEER_IMAGES_BURST_BYTES) return false;
    if (this.#count >= PEER_IMAGES_AT_ONCE || this.#bytes >= PEER_IMAGES_OUT_BYTES) return false;
    this.#count++;
    this.#bytes += estimatedBytes;
    this.#burstBytes += estimatedBytes;
    return true;
  }

  /** Records the size of the image for which a slot was taken. */
  made(bytes: number, estimatedBytes: number): void {
    this.#bytes += bytes - estimatedBytes;
    this.#burstBytes += bytes - estimatedBytes;
  }

  /** Releases the slot of an image of that size; of the estimated one if it was not made. */
  release(bytes: number): void {
    this.#count--;
    this.#bytes -= bytes;
  }
}
