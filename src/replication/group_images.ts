/**
 * Images exchanged between the replicas of one group. An image is of the state at one index, and is made
 * and read in turns of the node's (`image_turns.ts`) while entries go on being applied. A received image is
 * decoded before anything depends on it, and replaces the state atomically once it is durable. Source:
 * Raft thesis §5.1, §5.3.
 */
import { assert } from "../base/assert.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { Message, Snapshot } from "../raft/mod.ts";
import type { GroupHost, HostedGroup } from "./group_host.ts";
import type { ImageTask } from "./image_turns.ts";
import type { ImageChunks, ImageWork, PreparedImage, StateMachine } from "./state_machine.ts";
import { wholeImage } from "./whole_image.ts";

/** A snapshot whose image is being made, or was made and not handed out. */
interface OwnSnapshot {
  readonly point: Omit<Snapshot, "data">;
  readonly estimatedBytes: number;
  readonly chunks: ImageChunks;
  task: ImageTask | undefined;
  snapshot: Snapshot | undefined;
}

/** An image that is being read. */
interface Reading {
  task: ImageTask | undefined;
  /** Called once; see {@link GroupImages.read}. */
  readonly ended: (error: RegistryError | "closed" | undefined) => void;
}

/** The images of one group that are being sent or received. */
export class GroupImages {
  readonly #host: GroupHost;
  readonly #group: HostedGroup;
  readonly #failed: (error: unknown) => void;
  #own: OwnSnapshot | undefined;
  #reading: Reading | undefined;
  /** The image that was read and that the core has not handed out yet. */
  #read: { readonly snapshot: Snapshot; readonly image: PreparedImage } | undefined;
  /** The image that the core handed out and that is being written to disk. */
  #installing: PreparedImage | undefined;
  /** The sizes of the images that hold a slot of the node, oldest first. */
  readonly #places: number[] = [];
  /** The number of images sent to each member, used to ignore reports about earlier images. */
  readonly #sent = new Map<number, number>();

  /** @param failed called if an image of the own state cannot be made, as an invariant is broken. */
  constructor(host: GroupHost, group: HostedGroup, failed: (error: unknown) => void) {
    this.#host = host;
    this.#group = group;
    this.#failed = failed;
  }

  /** Whether an image is being written to disk. */
  get isInstalling(): boolean {
    return this.#installing !== undefined;
  }

  /**
   * Returns a snapshot of the machine's state, which is at `point`, or the one that was made since it was
   * last asked for. Returns undefined if too many images are in transit, or while it is being made: then
   * `made` is called in a later turn, in which the snapshot is kept for whoever asks.
   */
  make(
    machine: StateMachine<unknown>,
    point: Omit<Snapshot, "data">,
    made: () => void,
  ): Snapshot | undefined {
    if (this.#own === undefined) {
      const estimatedBytes = machine.imageBytes;
      if (!this.#host.outgoingImages.take(estimatedBytes)) return undefined;
      const chunks = machine.writeImage();
      this.#own = { point, estimatedBytes, chunks, task: undefined, snapshot: undefined };
      let isLater = false;
      const work = makeImage(chunks, {
        finished: (data) => this.#finished(data, isLater ? made : undefined),
        failed: this.#failed,
      });
      const task = this.#host.imageTurns.run(work);
      isLater = true;
      if (this.#own !== undefined) this.#own.task = task;
    }
    const snapshot = this.#own?.snapshot;
    if (snapshot !== undefined) this.#own = undefined;
    return snapshot;
  }

  /** Keeps a snapshot until it is handed out, or until `made` has returned. */
  #finished(data: Uint8Array, made: (() => void) | undefined): void {
    const own = this.#own!;
    own.task = undefined;
    own.snapshot = { ...own.point, data };
    this.#places.push(data.length);
    this.#host.outgoingImages.made(data.length, own.estimatedBytes);
    if (made === undefined) return;
    made();
    // Nobody needs it any more.
    if (this.#own === own) {
      this.#own = undefined;
      this.#host.outgoingImages.release(this.#places.pop()!);
    }
  }

  /** Sends a snapshot that {@link make} made; `report` is called only for the newest one. */
  send(message: Message, report: (delivered: boolean) => void): void {
    const { to } = message;
    const number = (this.#sent.get(to) ?? 0) + 1;
    this.#sent.set(to, number);
    this.#host.sendSnapshot(this.#group, message, (delivered) => {
      this.#givePlaces(1);
      if (this.#sent.get(to) === number) report(delivered);
    });
  }

  /** Whether an image is being read, was read and may have been accepted, or is being written to disk. */
  get isTaking(): boolean {
    return this.#reading !== undefined || this.#read !== undefined ||
      this.#installing !== undefined;
  }

  /**
   * Reads an image that arrived. No other image may be in progress, as two would both be in memory.
   *
   * @param ended called once, in this turn or a later one: with an error (`corrupt`,
   * `unsupported_version`) if the image cannot be read, and then nothing is changed; with `closed` if
   * {@link close} comes first.
   */
  read(
    snapshot: Snapshot,
    machine: StateMachine<unknown>,
    ended: (error: RegistryError | "closed" | undefined) => void,
  ): void {
    assert(!this.isTaking, "An image was read while another is in progress");
    const reading: Reading = { task: undefined, ended };
    this.#reading = reading;
    const finished = (image: PreparedImage | RegistryError) => {
      this.#reading = undefined;
      if (image instanceof RegistryError) return ended(image);
      this.#read = { snapshot, image };
      ended(undefined);
    };
    reading.task = this.#host.imageTurns.run(readImage(machine.readImage(snapshot.data), finished));
  }

  /** Discards the image that was read; the core did not accept it. */
  discardRead(): void {
    const read = this.#read;
    this.#read = undefined;
    if (read !== undefined) this.#free(read.image.discard());
  }

  #free(work: ImageWork | undefined): void {
    if (work !== undefined) this.#host.imageTurns.run(work);
  }

  /** Records that the core handed out `snapshot`, which is now being written to disk. */
  beginInstall(snapshot: Snapshot): void {
    assert(this.#read?.snapshot === snapshot, "A snapshot was accepted without being read");
    assert(this.#installing === undefined, "Two images are being installed");
    this.#installing = this.#read.image;
    this.#read = undefined;
  }

  /** Makes the image, which is durable now, the state. */
  install(): void {
    const image = this.#installing;
    assert(image !== undefined, "An image was installed without being read");
    this.#installing = undefined;
    this.#free(image.install());
  }

  /** Ends and discards the images in progress, and releases their slots. */
  close(): void {
    const own = this.#own;
    this.#own = undefined;
    if (own !== undefined && own.snapshot === undefined) {
      own.task?.cancel();
      own.chunks.return();
      this.#host.outgoingImages.release(own.estimatedBytes);
    }
    const reading = this.#reading;
    this.#reading = undefined;
    reading?.task?.cancel();
    reading?.ended("closed");
    this.discardRead();
    const installing = this.#installing;
    this.#installing = undefined;
    if (installing !== undefined) this.#free(installing.discard());
    this.#givePlaces(this.#places.length);
  }

  #givePlaces(count: number): void {
    for (const bytes of this.#places.splice(0, count)) this.#host.outgoingImages.release(bytes);
  }
}

/** Takes the chunks of an image; `finished` gets all of it. */
function* makeImage(
  chunks: ImageChunks,
  { finished, failed }: {
    readonly finished: (image: Uint8Array) => void;
    readonly failed: (error: unknown) => void;
  },
): ImageWork {
  let image: Uint8Array;
  try {
    image = yield* wholeImage(chunks);
  } catch (error) {
    return failed(error);
  }
  finished(image);
}

/** Reads an image; `finished` gets it, or why it cannot be read. */
function* readImage(
  work: ImageWork<PreparedImage>,
  finished: (image: PreparedImage | RegistryError) => void,
): ImageWork {
  let image: PreparedImage;
  try {
    image = yield* work;
  } catch (error) {
    return finished(toRegistryError(error));
  }
  finished(image);
}
