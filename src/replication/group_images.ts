/**
 * Images between the replicas of one group: made of the state as it is, sent, and received. One that
 * is received is read before anything rests on it; it becomes the state when it is durable, whole and
 * at once. Source: Raft thesis §5.1, §5.3.
 */
import { assert } from "../base/assert.ts";
import { concatBytes } from "../base/bytes.ts";
import type { Message, Snapshot } from "../raft/mod.ts";
import type { GroupHost, HostedGroup } from "./group_host.ts";
import type { PreparedImage, StateMachine } from "./state_machine.ts";

/** The images of one group on their way. */
export class GroupImages {
  readonly #host: GroupHost;
  readonly #group: HostedGroup;
  /** Read, and not handed out by the core yet. */
  #read: { readonly snapshot: Snapshot; readonly image: PreparedImage } | undefined;
  /** Handed out by the core, on its way to the disk. */
  #installing: PreparedImage | undefined;
  /** Places taken among the node's images under way. */
  #places = 0;
  /** How many were sent to each member: what is reported of an earlier one says nothing. */
  readonly #sent = new Map<number, number>();

  constructor(host: GroupHost, group: HostedGroup) {
    this.#host = host;
    this.#group = group;
  }

  /** Whether one is on its way to the disk. */
  get isInstalling(): boolean {
    return this.#installing !== undefined;
  }

  /** The bytes of the machine's state; undefined: too many images are under way. */
  make(machine: StateMachine<unknown>): Uint8Array | undefined {
    if (!this.#host.takeImagePlace()) return undefined;
    this.#places++;
    return concatBytes(Array.from(machine.writeImage(), (chunk) => chunk.slice()));
  }

  /** Sends a snapshot that {@link make} made; `report` tells what became of the newest one. */
  send(message: Message, report: (delivered: boolean) => void): void {
    const { to } = message;
    const number = (this.#sent.get(to) ?? 0) + 1;
    this.#sent.set(to, number);
    this.#host.sendSnapshot(this.#group, message, (delivered) => {
      this.#givePlaces(1);
      if (this.#sent.get(to) === number) report(delivered);
    });
  }

  /** Whether one was read that the core may have taken, or is on its way to the disk. */
  get isTaking(): boolean {
    return this.#read !== undefined || this.#installing !== undefined;
  }

  /**
   * Reads one that arrived, while no other is being taken: two of them would be in memory twice over.
   *
   * @throws RegistryError `corrupt`, and nothing is changed.
   */
  read(snapshot: Snapshot, machine: StateMachine<unknown>): void {
    assert(!this.isTaking, "An image was read while another is being taken");
    this.#read = { snapshot, image: machine.readImage(snapshot.data) };
  }

  /** The core does not want the one that was read. */
  discardRead(): void {
    this.#read?.image.discard();
    this.#read = undefined;
  }

  /** The core hands `snapshot` out: it is on its way to the disk. */
  beginInstall(snapshot: Snapshot): void {
    assert(this.#read?.snapshot === snapshot, "A snapshot was taken that nobody read");
    assert(this.#installing === undefined, "Two images are on their way to the disk");
    this.#installing = this.#read.image;
    this.#read = undefined;
  }

  /** It is durable, and becomes the state. */
  install(): void {
    assert(this.#installing !== undefined, "An image was installed that nobody read");
    this.#installing.install();
    this.#installing = undefined;
  }

  /** Gives up all that is under way. */
  close(): void {
    this.discardRead();
    this.#installing?.discard();
    this.#installing = undefined;
    this.#givePlaces(this.#places);
  }

  #givePlaces(count: number): void {
    for (let given = 0; given < count && this.#places > 0; given++) {
      this.#places--;
      this.#host.giveImagePlace();
    }
  }
}
