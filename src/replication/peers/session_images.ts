/** The images that pass on one session between two nodes, in both directions. */
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { PEER_IMAGES_IN_PER_NODE_MAX } from "../../base/limits.ts";
import type { World } from "../../base/world.ts";
import type { Session, Stream } from "../../../transport/transport.ts";
import type { ImagePlaces } from "./image_places.ts";
import type { ImageRate } from "./image_rate.ts";
import {
  type ImageMeans,
  type ImageOutcome,
  type OutgoingImage,
  readImage,
  readImageHeader,
  refuseImage,
  replyToImage,
  writeImage,
} from "./image_stream.ts";
import type { PartialImage, PartialImages } from "./partial_images.ts";
import type { PeerCounts } from "./peer_counts.ts";

/** The dependencies of a session's images. */
export interface SessionImagesOptions {
  readonly session: Session;
  readonly world: World;
  readonly counts: PeerCounts;
  readonly places: ImagePlaces;
  readonly partials: PartialImages;
  readonly rate: ImageRate;
  /** The process at the other end. */
  readonly processId: Uint8Array;
  /** The version of the protocol that both ends speak. */
  readonly version: number;
  /** Called with an image that arrived whole; resolves once it was read or refused. */
  readonly onImage: (header: Uint8Array, image: Uint8Array) => Promise<void>;
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

  /** Sends an image, or the rest of it. Never rejects. */
  async send(image: OutgoingImage): Promise<ImageOutcome> {
    const { session, rate, onPassed } = this.#options;
    let stream: Stream;
    try {
      stream = await session.open("bulk");
    } catch {
      // The session is over or has no room.
      return "cut";
    }
    this.#out++;
    const outcome = await writeImage(stream, image, { ...this.#means("bytesOut"), rate });
    this.#out--;
    onPassed();
    return outcome;
  }

  /** Takes the stream of an image; returns false if too many arrive on this session. */
  take(stream: Stream): boolean {
    if (this.#in >= PEER_IMAGES_IN_PER_NODE_MAX) return false;
    void this.#receive(stream);
    return true;
  }

  async #receive(stream: Stream): Promise<void> {
    const { world: { scheduler }, counts, places, partials, processId, onImage, onPassed, isOver } =
      this.#options;
    this.#in++;
    let taken: number | undefined;
    let partial: PartialImage | undefined;
    try {
      const described = await readImageHeader(stream, scheduler);
      const begun = partials.take({ processId, ...described });
      if (!places.take(described.bytes)) {
        const refusal = new RegistryError("overloaded", "Too many images arrive at this node");
        counts.rejectError(refusal);
        return await refuseImage(stream, this.#means("bytesIn"), refusal);
      }
      taken = described.bytes;
      partial = begun;
      await readImage(stream, partial, this.#means("bytesIn"));
      const { identity: { header }, image } = partial;
      partial = undefined;
      if (isOver()) return;
      counts.imagesIn++;
      // Its place is given back only then: images may arrive faster than they are read.
      await onImage(header, image);
      await replyToImage(stream, scheduler);
    } catch (error) {
      counts.reject(`image_${toRegistryError(error).code}`);
      stream.abort();
    } finally {
      if (taken !== undefined) places.give(taken);
      if (partial !== undefined) partials.keep(partial);
      this.#in--;
      onPassed();
    }
  }

  #means(counter: "bytesIn" | "bytesOut"): ImageMeans {
    const { world: { scheduler }, version, counts, onHeard } = this.#options;
    const onBytes = (count: number) => {
      counts[counter] += count;
      if (counter === "bytesIn") onHeard();
    };
    return { scheduler, version, onBytes };
  }
}
