/**
 * The images in transfer from a node to others. Their number is limited, and so are their bytes: a node
 * that joins needs an image of each group at once, most of them small, and no few large ones may fill the
 * memory.
 */
import { PEER_IMAGES_AT_ONCE, PEER_IMAGES_OUT_BYTES } from "../base/limits.ts";

/** Slots for images in transfer. */
export class OutgoingImages {
  #count = 0;
  #bytes = 0;

  /** The number of slots in use. */
  get count(): number {
    return this.#count;
  }

  /** Takes a slot; returns false if none is free, or the images in transfer are as large as they may be. */
  take(): boolean {
    if (this.#count >= PEER_IMAGES_AT_ONCE || this.#bytes >= PEER_IMAGES_OUT_BYTES) return false;
    this.#count++;
    return true;
  }

  /** Records the size of the image for which a slot was taken. */
  made(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Releases the slot of an image of that size. */
  release(bytes: number): void {
    this.#count--;
    this.#bytes -= bytes;
  }
}
