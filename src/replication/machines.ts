/**
 * The state machines of a node's groups: one for the system group and one for each partition.
 * Entries without a command never reach them.
 */
import type { GroupTimeMs, LogIndex, Term } from "../base/ids.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { PartitionStore } from "../store/store.ts";
import { type SystemReply, SystemStore } from "../system/system_store.ts";
import type { ImageTarget, RestorableMachine } from "./recovery.ts";
import type { PreparedImage } from "./state_machine.ts";

/** The state machine of the system group, over its store. */
export class SystemMachine implements RestorableMachine {
  readonly store: SystemStore;

  constructor(store: SystemStore) {
    this.store = store;
  }

  get timeMs(): GroupTimeMs {
    return this.store.timeMs as GroupTimeMs;
  }

  apply(index: LogIndex, term: Term, command: Uint8Array): SystemReply {
    return this.store.apply({ index, term, data: command });
  }

  /** Does nothing: this machine has no leader-only state. */
  onBecomeLeader(): void {}

  /** Does nothing; see {@link onBecomeLeader}. */
  onLoseLeadership(): void {}

  writeImage(): Iterable<Uint8Array> {
    return this.store.writeImage();
  }

  readImage(image: Uint8Array): PreparedImage {
    const read = new SystemStore();
    read.loadImage([image]);
    return { install: () => this.store.replaceBy(read), discard: () => {} };
  }

  /** Returns a loader that collects the whole image before loading it, as the image is small. */
  imageLoader(): ImageTarget {
    const chunks: Uint8Array[] = [];
    return {
      push: (chunk) => void chunks.push(chunk.slice()),
      finish: () => this.store.loadImage(chunks),
    };
  }
}

/** The state machine of a partition, over its store. */
export class PartitionMachine implements RestorableMachine {
  readonly store: PartitionStore;

  readonly #imageScratch: Uint8Array<ArrayBuffer>;

  /** @param imageScratch buffer shared by a node's partitions, as an image is written in one turn. */
  constructor(store: PartitionStore, imageScratch: Uint8Array<ArrayBuffer>) {
    this.store = store;
    this.#imageScratch = imageScratch;
  }

  get timeMs(): GroupTimeMs {
    return this.store.timeMs as GroupTimeMs;
  }

  apply(index: LogIndex, term: Term, command: Uint8Array, leaderNowMs: number): ApplyReply {
    return this.store.apply({ index, term, data: command }, leaderNowMs);
  }

  onBecomeLeader(nowMs: GroupTimeMs): void {
    this.store.onBecomeLeader(nowMs);
  }

  onLoseLeadership(): void {
    this.store.onLoseLeadership();
  }

  writeImage(): Iterable<Uint8Array> {
    return this.store.writeImage(this.#imageScratch);
  }

  readImage(image: Uint8Array): PreparedImage {
    return this.store.readImage(image);
  }

  imageLoader(): ImageTarget {
    return this.store.imageLoader();
  }
}
