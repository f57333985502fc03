/** Limits the images that all other nodes together send at one time. */
import { PEER_IMAGE_BYTES_MAX, PEER_IMAGES_AT_ONCE } from "../../base/limits.ts";

/** The images that a node is receiving from all others. */
export class ImagePlaces {
  #count = 0;
  #bytes = 0;

  /** Takes a place for an image of `bytes`; returns false if there is none. */
  take(bytes: number): boolean {
    const isFull = this.#count >= PEER_IMAGES_AT_ONCE ||
      this.#bytes + bytes > PEER_IMAGE_BYTES_MAX;
    if (isFull) return false;
    this.#count++;
    this.#bytes += bytes;
    return true;
  }

  /** Gives back the place of an image of `bytes`. */
  give(bytes: number): void {
    this.#count--;
    this.#bytes -= bytes;
  }
}
