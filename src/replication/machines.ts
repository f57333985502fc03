/**
 * The state machines of a node's groups: of the system group, of the governed plane, and of each
 * partition. Entries without a command never reach them.
 */
import { verifyMessage } from "../../identity/pki/ed25519.ts";
import type { GroupTimeMs, LogIndex, Term } from "../base/ids.ts";
import { type GovernanceReply, GovernanceStore } from "../governance/governance_store.ts";
import { RECORD_KINDS, type RecordKind } from "../record/kinds.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { PartitionStore } from "../store/store.ts";
import { type SystemReply, SystemStore } from "../system/system_store.ts";
import type { ImageTarget, RestorableMachine } from "./recovery.ts";
import type { ImageChunks, ImageWork, PreparedImage } from "./state_machine.ts";

/** A store without leader-only state, whose image is small enough to be loaded as a whole. */
interface WholeStore<Reply> {
  readonly timeMs: number;
  apply(entry: { readonly index: LogIndex; readonly term: Term; readonly data: Uint8Array }): Reply;
  writeImage(): Iterable<Uint8Array>;
  loadImage(chunks: Iterable<Uint8Array>): void;
  replaceBy(other: this): void;
}

/** The state machine of a group that is no partition, over its store. */
class WholeMachine<Reply, Store extends WholeStore<Reply>> implements RestorableMachine {
  readonly store: Store;
  readonly #newStore: (isOwn: boolean) => Store;

  /** @param newStore creates the machine's own store, and others that only read an image. */
  constructor(newStore: (isOwn: boolean) => Store) {
    this.store = newStore(true);
    this.#newStore = newStore;
  }

  get timeMs(): GroupTimeMs {
    return this.store.timeMs as GroupTimeMs;
  }

  apply(index: LogIndex, term: Term, command: Uint8Array): Reply {
    return this.store.apply({ index, term, data: command });
  }

  /** Does nothing: this machine has no leader-only state. */
  onBecomeLeader(_nowMs: GroupTimeMs): void {}

  /** Does nothing; see {@link onBecomeLeader}. */
  onLoseLeadership(): void {}

  /** No estimate: the whole image is in memory from the start. */
  get imageBytes(): number {
    return 0;
  }

  /** Makes the whole image at once, as the state may change before its chunks are taken. */
  writeImage(): ImageChunks {
    return each(Array.from(this.store.writeImage(), (chunk) => chunk.slice()));
  }

  *readImage(image: Uint8Array): ImageWork<PreparedImage> {
    yield image.length;
    const read = this.#newStore(false);
    read.loadImage([image]);
    const install = () => {
      this.store.replaceBy(read);
      return undefined;
    };
    return { install, discard: () => undefined };
  }

  /** Does nothing: the garbage collector frees the store. */
  retire(): undefined {}

  /** Returns a loader that collects the whole image before loading it. */
  imageLoader(): ImageTarget {
    const chunks: Uint8Array[] = [];
    return {
      push: (chunk) => void chunks.push(chunk.slice()),
      finish: () => this.store.loadImage(chunks),
    };
  }
}

function* each(chunks: readonly Uint8Array[]): Generator<Uint8Array, undefined, undefined> {
  yield* chunks;
}

/** The state machine of the system group. */
export class SystemMachine extends WholeMachine<SystemReply, SystemStore> {
  constructor() {
    super(() => new SystemStore());
  }

  override onBecomeLeader(nowMs: GroupTimeMs): void {
    this.store.ledFromMs = nowMs;
  }
}

/** The state machine of the governed plane. */
export class GovernanceMachine extends WholeMachine<GovernanceReply, GovernanceStore> {
  /** @param onEntries called when the governed log has grown or was replaced. */
  constructor(onEntries: () => void = () => {}) {
    // The runtime comes to the same verdict in a tenth of the time.
    const isSigned = verifyMessage;
    super((isOwn) => new GovernanceStore(isOwn ? { onEntries, isSigned } : { isSigned }));
  }
}

/** The state machine of a partition, over its store. */
export class PartitionMachine implements RestorableMachine {
  readonly store: PartitionStore;

  readonly #imageScratch: Uint8Array<ArrayBuffer>;

  /** @param imageScratch buffer shared by a node's partitions: each chunk is copied when it is taken. */
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

  get imageBytes(): number {
    return this.store.imageBytes;
  }

  writeImage(): ImageChunks {
    return this.store.writeImage(this.#imageScratch);
  }

  readImage(image: Uint8Array): ImageWork<PreparedImage> {
    return this.store.readImage(image);
  }

  retire(): ImageWork {
    return this.store.retire();
  }

  imageLoader(): ImageTarget {
    return this.store.imageLoader();
  }
}

/** Returns the number of what a state is about: live records and domains, members, or governed entries. */
export function recordCountOf(
  machine: PartitionMachine | SystemMachine | GovernanceMachine,
): number {
  if (machine instanceof SystemMachine) return machine.store.members.length;
  if (machine instanceof GovernanceMachine) return machine.store.version;
  const { store } = machine;
  return RECORD_KINDS.rows.reduce(
    (sum, { number }) => sum + store.countOf(number as RecordKind),
    store.aliasCount,
  );
}
