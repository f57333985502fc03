/**
 * The turns in which a node works on images of its groups: it makes those that it sends, reads those
 * that it receives, and frees what an installed one replaced. All of it together takes a bounded time of
 * each interval, so that beats and requests are served in between, however large an image is.
 */
import { RegistryError } from "../base/errors.ts";
import { IMAGE_TURN_BYTES, IMAGE_TURN_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import type { ImageChunks, ImageWork } from "./state_machine.ts";
import { wholeImage } from "./whole_image.ts";

/** Work that was handed over. */
export interface ImageTask {
  /** Ends the work early. Does nothing once it has ended. */
  cancel(): void;
}

/** The work on images of one node: the oldest first, one after another. */
export class ImageTurns {
  readonly #clock: MonotonicClock;
  readonly #scheduler: Scheduler;
  readonly #turnBytes: number;
  readonly #queue = new Set<ImageWork>();
  /** The work whose step is being done. */
  #running: ImageWork | undefined;
  /** Bytes left of the interval that began at the time. */
  #leftBytes = 0;
  #beganMs = -Infinity;
  #timer: Timer | undefined;
  #isClosed = false;

  /** @param turnBytes the bytes of images that the node goes through in an interval. */
  constructor(clock: MonotonicClock, scheduler: Scheduler, turnBytes = IMAGE_TURN_BYTES) {
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#turnBytes = turnBytes;
  }

  /** Number of images that are not done. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Does `work`, which must not throw: at once as far as the interval allows, so that a small image needs
   * no turn of its own, and the rest in later turns. Ends it early once the turns are closed.
   */
  run(work: ImageWork): ImageTask {
    if (this.#isClosed) work.return();
    else this.#queue.add(work);
    if (this.#queue.size === 1) this.#work();
    return {
      cancel: () => {
        // A step that cancels its own work is the last one.
        if (this.#queue.delete(work) && this.#running !== work) work.return();
      },
    };
  }

  /**
   * Resolves with the whole of an image, whose chunks are taken in turns.
   *
   * @throws RegistryError `shutting_down` if the turns are closed before.
   */
  collect(chunks: ImageChunks): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const collected = function* (): ImageWork {
        try {
          yield 0;
          resolve(yield* wholeImage(chunks));
        } catch (error) {
          reject(error);
        } finally {
          chunks.return();
          reject(new RegistryError("shutting_down", "The node stops while an image is made"));
        }
      };
      const work = collected();
      // A generator that never began would end without its last block.
      work.next();
      this.run(work);
    });
  }

  /** Ends all work early, and all that is handed over later. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const work of this.#queue) if (this.#running !== work) work.return();
    this.#queue.clear();
  }

  #work(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#beganMs >= IMAGE_TURN_MS) {
      this.#beganMs = nowMs;
      this.#leftBytes = this.#turnBytes;
    }
    for (const work of this.#queue) {
      while (this.#leftBytes > 0 && this.#queue.has(work)) {
        this.#running = work;
        const { done, value } = work.next();
        this.#running = undefined;
        if (done === true) this.#queue.delete(work);
        else this.#leftBytes -= value;
      }
      if (this.#leftBytes <= 0) break;
    }
    // A pause follows even if the turn took longer than an interval.
    if (this.#queue.size > 0) this.#later();
  }

  #later(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#scheduler.after(IMAGE_TURN_MS, () => {
      this.#timer = undefined;
      this.#work();
    });
  }
}
