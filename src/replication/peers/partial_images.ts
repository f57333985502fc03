/**
 * Images that a cut ended on their way here, each until its sender continues it, or for a short time.
 *
 * An image is continued only where it is the same one: the same process sends it under the same number, and
 * its header, which names the group, both replicas, index and term, has the same bytes. An image without a
 * number, as programs of version 1 of the protocol send it, always begins anew.
 */
import { bytesEqual } from "../../base/bytes.ts";
import { PEER_IMAGE_RESUME_MS, PEER_IMAGES_IN_PER_NODE_MAX } from "../../base/limits.ts";
import type { Scheduler, Timer } from "../../base/world.ts";
import type { OwnedBytes } from "../../../transport/transport.ts";
import type { ImagePlaces } from "./image_places.ts";

/** First allocation for an image, bytes; doubled as it arrives, whatever length is claimed. */
const IMAGE_BYTES_INITIAL = 256 * 1024;

/** The identity of an image that arrives. */
export interface ImageIdentity {
  /** The process that sends it, from its hello. */
  readonly processId: Uint8Array;
  /** The number that the process gave it; 0 if it gives none. */
  readonly number: number;
  readonly header: Uint8Array;
  /** The length of the whole image. */
  readonly bytes: number;
}

/** An image of which the beginning is here. */
export class PartialImage {
  readonly identity: ImageIdentity;
  #target: OwnedBytes;
  #filled = 0;

  constructor(identity: ImageIdentity) {
    this.identity = identity;
    this.#target = new Uint8Array(Math.min(identity.bytes, IMAGE_BYTES_INITIAL));
  }

  /** The number of bytes that are here. */
  get filled(): number {
    return this.#filled;
  }

  /** The whole image, once everything is here. */
  get image(): Uint8Array {
    return this.#target.subarray(0, this.#filled);
  }

  /** Appends a copy of a chunk. @throws RangeError if it does not fit. */
  append(chunk: Uint8Array): void {
    const { bytes } = this.identity;
    const filled = this.#filled + chunk.length;
    if (filled > bytes) throw new RangeError(`An image of ${bytes} bytes has no byte ${filled}`);
    if (filled > this.#target.length) {
      const grown = new Uint8Array(Math.min(bytes, Math.max(filled, 2 * this.#target.length)));
      grown.set(this.#target);
      this.#target = grown;
    }
    this.#target.set(chunk, this.#filled);
    this.#filled = filled;
  }

  /** Reports whether it is the image of that identity. */
  is({ processId, number, header, bytes }: ImageIdentity): boolean {
    const own = this.identity;
    return own.number === number && own.bytes === bytes &&
      bytesEqual(own.processId, processId) && bytesEqual(own.header, header);
  }
}

interface Kept {
  readonly partial: PartialImage;
  readonly timer: Timer;
}

/** The images from one node that were cut. They hold places for the bytes that are here. */
export class PartialImages {
  readonly #places: ImagePlaces;
  readonly #scheduler: Scheduler;
  readonly #kept: Kept[] = [];

  constructor(places: ImagePlaces, scheduler: Scheduler) {
    this.#places = places;
    this.#scheduler = scheduler;
  }

  /** Returns the image as far as it is here, and forgets it; a new one if nothing is. */
  take(identity: ImageIdentity): PartialImage {
    const kept = this.#kept.find(({ partial }) => partial.is(identity));
    if (kept === undefined) return new PartialImage(identity);
    this.#drop(kept);
    return kept.partial;
  }

  /** Keeps the beginning of an image that may be continued for a while, if there is room for it. */
  keep(partial: PartialImage): void {
    if (partial.identity.number === 0) return;
    if (partial.filled === 0 || this.#kept.length >= PEER_IMAGES_IN_PER_NODE_MAX) return;
    if (!this.#places.take(partial.filled)) return;
    const timer = this.#scheduler.after(PEER_IMAGE_RESUME_MS, () => this.#drop(kept));
    const kept: Kept = { partial, timer };
    this.#kept.push(kept);
  }

  #drop(kept: Kept): void {
    kept.timer.cancel();
    this.#kept.splice(this.#kept.indexOf(kept), 1);
    this.#places.give(kept.partial.filled);
  }
}
