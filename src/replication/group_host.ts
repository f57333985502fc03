/**
 * What a group asks of the node that it runs on: clocks, the shared log, a way to other nodes, a turn
 * of its own when there is something to do. `group_set.ts` is the one that answers.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/ids.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { CampaignResult, Message, RaftSettings, Snapshot, StepResult } from "../raft/mod.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import type { NodeLiveness } from "./node_liveness.ts";
import type { ReplicaDirectory } from "./replica_directory.ts";

/** The way to the other nodes. Nothing of it calls back in the calling turn. */
export interface PeerLinks {
  /** Sends a frame, which may be lost, repeated and overtaken. Its bytes belong to the link now. */
  send(to: NodeId, frame: Uint8Array): void;
  /**
   * Sends something large on a stream of its own. The bytes belong to the link now.
   *
   * @param done called once, in a later turn: whether it arrived whole, as far as is known.
   */
  sendImage(
    to: NodeId,
    header: Uint8Array,
    image: Uint8Array,
    done: (delivered: boolean) => void,
  ): void;
}

/** A group as the set that hosts it sees it. None of it throws. */
export interface HostedGroup {
  readonly id: GroupId;
  /** Whether time has to be told to it: it may be that nothing can come of that. */
  readonly wantsTicks: boolean;
  /** Whether this node's replica decides alone, and so may lead at once. */
  readonly isSole: boolean;
  /** This node's replica. */
  readonly replica: ReplicaId;
  /** Does all that is due. */
  work(): void;
  /** One tick of the set's clock. */
  tick(): void;
  /** Starts an election. */
  campaign(): CampaignResult;
  /** Takes a message whose sender was checked; what became of it. */
  step(message: Message): StepResult | "closed";
  /**
   * Takes a snapshot, whose data is a whole image; `overloaded` while another one is being taken.
   *
   * @throws RegistryError `corrupt` where the image cannot be read; then nothing was done.
   */
  stepSnapshot(message: Message, snapshot: Snapshot): StepResult | "closed";
  /**
   * Whether this reply, about to leave in a frame that says which epoch of the recipient is supported,
   * carries a promise.
   */
  fortify(reply: Message, epoch: number): boolean;
  /** A reply that carries one was taken, from a frame of that run that names that epoch. */
  fortified(reply: Message, run: number, epoch: number): void;
  /** This node supports `node` no more, which may lead. */
  supportEnded(node: NodeId): void;
  /**
   * Answers what waited too long, and asks anew for reads asked for before `askAnewBeforeMs`. False
   * where nothing waits any more: then it need not be swept until it says so.
   */
  sweep(nowMs: number, askAnewBeforeMs: number): boolean;
  /** Tries again what the log refused. */
  retryStorage(): void;
  /** What was sent last to replicas of a node may be lost. */
  peerLost(isOnNode: (replica: number) => boolean): void;
  /** The log takes no writes at present, or none any more. */
  logRefuses(): void;
  /** The log acknowledges nothing any more. */
  logPoisoned(error: RegistryError): void;
  close(): void;
}

/** One for all groups of a node. */
export interface GroupHost {
  readonly nodeId: NodeId;
  readonly clock: MonotonicClock;
  /** What group time runs from at a leader. */
  readonly availableTime: MonotonicClock;
  readonly log: SharedLog;
  readonly logger: Logger;
  readonly raft: RaftSettings;
  readonly directory: ReplicaDirectory;
  readonly liveness: NodeLiveness;
  /** Whether a lease serves reads. */
  readonly areLeasesOn: boolean;
  /** Why the log takes no writes, and so nothing new is begun; undefined: it does. */
  writeRefusal(): RegistryError | undefined;
  /** The group has something to do in the next turn. */
  wantsTurn(group: HostedGroup): void;
  /** The group is to be swept: something waits whose time will be up. */
  hasWaiters(group: HostedGroup): void;
  /** The group's writes were refused, to be tried again. */
  isBlocked(group: HostedGroup): void;
  /** Sends a message that is no snapshot to the replica that it names, at the end of this turn. */
  send(group: HostedGroup, message: Message): void;
  /** Sends a snapshot; `done` tells in a later turn whether it arrived. */
  sendSnapshot(group: HostedGroup, message: Message, done: (delivered: boolean) => void): void;
  /** Takes a place among the images on their way; false: there is none. */
  takeImagePlace(): boolean;
  /** Gives such a place back. */
  giveImagePlace(): void;
  /** The group broke an invariant and does nothing more. */
  failed(group: HostedGroup, error: unknown): void;
}
