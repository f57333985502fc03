/**
 * Images exchanged between the replicas of one group. An image is made from the current state. A
 * received image is decoded before anything depends on it, and replaces the state atomically once it
 * is durable. Source: Raft thesis §5.1, §5.3.
 */
import { assert } from "../base/assert.ts";
import { concatBytes } from "../base/bytes.ts";
import type { Message, Snapshot } from "../raft/mod.ts";
import type { GroupHost, HostedGroup } from "./group_host.ts";
import type { PreparedImage, StateMachine } from "./state_machine.ts";

/** The images of one group that are being sent or received. */
export class GroupImages {
  readonly #host: GroupHost;
  readonly #group: HostedGroup;
  /** The image that was read and that the core has not handed out yet. */
  #read: { readonly snapshot: Snapshot; readonly image: PreparedImage } | undefined;
  /** The image that the core handed out and that is being written to disk. */
  #installing: PreparedImage | undefined;
  /** The sizes of the images that hold a slot of the node, oldest first. */
  readonly #places: number[] = [];
  /** The number of images sent to each member, used to ignore reports about earlier images. */
  readonly #sent = new Map<number, number>();

  constructor(host: GroupHost, group: HostedGroup) {
    this.#host = host;
    this.#group = group;
  }

  /** Whether an image is being written to disk. */
  get isInstalling(): boolean {
    return this.#installing !== undefined;
  }

  /** Returns an image of the machine's state; undefined if too many images are in transit. */
  make(machine: StateMachine<unknown>): Uint8Array | undefined {
    if (!this.#host.outgoingImages.take()) return undefined;
    const image = concatBytes(Array.from(machine.writeImage(), (chunk) => chunk.slice()));
    this.#places.push(image.length);
    this.#host.outgoingImages.made(image.length);
    return image;
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

  /** Whether an image was read that the core may have accepted, or is being written to disk. */
  get isTaking(): boolean {
    return this.#read !== undefined || this.#installing !== undefined;
  }

  /**
   * Reads an image that arrived. No other image may be in progress, as two would both be in memory.
   *
   * @throws RegistryError `corrupt` if the image cannot be read; nothing is changed then.
   */
  read(snapshot: Snapshot, machine: StateMachine<unknown>): void {
    assert(!this.isTaking, "An image was read while another is in progress");
    this.#read = { snapshot, image: machine.readImage(snapshot.data) };
  }

  /** Discards the image that was read; the core did not accept it. */
  discardRead(): void {
    this.#read?.image.discard();
    this.#read = undefined;
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
    assert(this.#installing !== undefined, "An image was installed without being read");
    this.#installing.install();
    this.#installing = undefined;
  }

  /** Discards the images in progress and releases their slots. */
  close(): void {
    this.discardRead();
    this.#installing?.discard();
    this.#installing = undefined;
    this.#givePlaces(this.#places.length);
  }

  #givePlaces(count: number): void {
    for (const bytes of this.#places.splice(0, count)) this.#host.outgoingImages.release(bytes);
  }
}
