/** The images that pass on one session between two nodes, in both directions. */
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { PEER_IMAGES_IN_PER_NODE_MAX } from "../../base/limits.ts";
import type { World } from "../../base/world.ts";
import type { Session, Stream } from "../../../transport/transport.ts";
import type { ImagePlaces } from "./image_places.ts";
import { readImage, readImageHeader, replyToImage, writeImage } from "./image_stream.ts";
import type { PeerCounts } from "./peer_counts.ts";

/** The dependencies of a session's images. */
export interface SessionImagesOptions {
  readonly session: Session;
  readonly world: World;
  readonly counts: PeerCounts;
  readonly places: ImagePlaces;
  readonly onImage: (header: Uint8Array, image: Uint8Array) => void;
  /** Called when bytes of an image have arrived. */
  readonly onHeard: () => void;
  /** Called when an image has passed, or was given up. */
  readonly onPassed: () => void;
  /** Reports whether the session is over: nothing that arrives counts then. */
  readonly isOver: () => boolean;
}

/** The images of a session. */
export class SessionImages {
  readonly #options: SessionImagesOptions;
  #in = 0;
  #out = 0;

  constructor(options: SessionImagesOptions) {
    this.#options = options;
  }

  /** Whether no image is in transfer. */
  get isIdle(): boolean {
    return this.#in + this.#out === 0;
  }

  /** Sends an image; resolves with whether it arrived whole, and never rejects. */
  async send(header: Uint8Array, image: Uint8Array): Promise<boolean> {
    const { session, world, counts, onPassed } = this.#options;
    let stream: Stream;
    try {
      stream = await session.open("bulk");
    } catch {
      // The session is over or has no room: the image did not arrive.
      return false;
    }
    this.#out++;
    const isWhole = await writeImage(stream, { header, image }, world.scheduler, (count) => {
      counts.bytesOut += count;
    });
    this.#out--;
    onPassed();
    return isWhole;
  }

  /** Takes the stream of an image; returns false if too many arrive on this session. */
  take(stream: Stream): boolean {
    if (this.#in >= PEER_IMAGES_IN_PER_NODE_MAX) return false;
    void this.#receive(stream);
    return true;
  }

  async #receive(stream: Stream): Promise<void> {
    const { world: { scheduler }, counts, places, onImage, onHeard, onPassed, isOver } =
      this.#options;
    this.#in++;
    let taken: number | undefined;
    try {
      const { header, bytes } = await readImageHeader(stream, scheduler);
      if (!places.take(bytes)) {
        const refusal = new RegistryError("overloaded", "Too many images arrive at this node");
        counts.rejectError(refusal);
        return await replyToImage(stream, scheduler, refusal);
      }
      taken = bytes;
      const image = await readImage(stream, bytes, scheduler, (count) => {
        counts.bytesIn += count;
        onHeard();
      });
      if (isOver()) return;
      counts.imagesIn++;
      onImage(header, image);
      await replyToImage(stream, scheduler);
    } catch (error) {
      counts.reject(`image_${toRegistryError(error).code}`);
      stream.abort();
    } finally {
      if (taken !== undefined) places.give(taken);
      this.#in--;
      onPassed();
    }
  }
}
