/**
 * The services that a node provides to its groups (clocks, the shared log, links to other nodes,
 * scheduling of turns), and the interface of a group to its host. `group_set.ts` implements the host.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/ids.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { AnsweringGroup } from "../liveness/mod.ts";
import type { CampaignResult, Message, RaftSettings, Snapshot, StepResult } from "../raft/mod.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import type { GroupCounts } from "./group_counts.ts";
import type { ImageTurns } from "./image_turns.ts";
import type { NodeFreshness } from "./node_freshness.ts";
import type { NodeLiveness } from "./node_liveness.ts";
import type { OutgoingImages } from "./outgoing_images.ts";
import type { ReplicaDirectory } from "./replica_directory.ts";

/**
 * An event of liveness between this node and another one: a beat to or from it, the end of its support
 * for this node (`lost`), or of this node's support for it (`withdrawn`).
 */
export type LivenessEvent = "beatOut" | "beatIn" | "lost" | "withdrawn";

/** Links to the other nodes. No method calls back in the calling turn. */
export interface PeerLinks {
  /** Sends a frame, which may be lost, duplicated or reordered. The link owns the bytes from now on. */
  send(to: NodeId, frame: Uint8Array): void;
  /**
   * Sends an image on a stream of its own. The link owns the bytes from now on.
   *
   * @param done called once, in a later turn, with whether the image is known to have arrived whole.
   */
  sendImage(
    to: NodeId,
    header: Uint8Array,
    image: Uint8Array,
    done: (delivered: boolean) => void,
  ): void;
  /** Counts an event of liveness between this node and another one. */
  countLiveness?(node: NodeId, event: LivenessEvent): void;
  /** Counts a probe or an answer to or from a node, and the bytes that it takes. */
  countProbe?(node: NodeId, direction: "out" | "in", bytes: number): void;
  /** Counts a refused message of a node, by code. */
  messageRefused?(from: NodeId, code: string): void;
}

/** Input from other nodes. `from` is the node that the session has proven to be. */
export interface PeerInput {
  /** Takes a frame; its bytes are valid during the call only. */
  receive(from: NodeId, frame: Uint8Array): void;
  /**
   * Takes an image, whose bytes it owns from now on, and its header. Resolves once the image is read or
   * refused, and never rejects.
   */
  receiveImage(from: NodeId, header: Uint8Array, image: Uint8Array): Promise<void>;
  peerConnected(node: NodeId): void;
  peerLost(node: NodeId): void;
}

/** The interface of a group to the set that hosts it. No method throws unless it says so. */
export interface HostedGroup extends AnsweringGroup {
  readonly id: GroupId;
  /** Whether the group needs ticks. */
  readonly wantsTicks: boolean;
  /** Whether this node's replica is the only voter, and so may lead at once. */
  readonly isSole: boolean;
  /** The id of this node's replica. */
  readonly replica: ReplicaId;
  /** Does all work that is due. */
  work(): void;
  /** Advances the group's clock by one tick. */
  tick(): void;
  /** Starts an election. */
  campaign(): CampaignResult;
  /** Steps a message whose sender was checked, and returns the result. */
  step(message: Message): StepResult | "closed";
  /**
   * Steps a snapshot whose data is a whole image, once the image is read.
   *
   * @param done called once, in this turn or a later one: with `overloaded` while another image is in
   * progress; with an error (`corrupt`, `unsupported_version`) if the image cannot be read, and then nothing
   * was changed.
   */
  stepSnapshot(
    message: Message,
    snapshot: Snapshot,
    done: (result: StepResult | "closed" | RegistryError) => void,
  ): void;
  /**
   * Reports whether this reply carries a promise. It is about to leave in a frame that names `epoch`,
   * the supported epoch of the recipient.
   */
  fortify(reply: Message, epoch: number): boolean;
  /** Records a reply with a promise, taken from a frame of run `run` that names `epoch`. */
  fortified(reply: Message, run: number, epoch: number): void;
  /** Handles the end of this node's support for `node`, which may be the leader's. */
  supportEnded(node: NodeId): void;
  /**
   * Answers requests whose deadline has passed, and repeats read requests made before
   * `askAnewBeforeMs`. Returns false if nothing waits any more; then no sweep is needed until the
   * group calls {@link GroupHost.hasWaiters}.
   */
  sweep(nowMs: number, askAnewBeforeMs: number): boolean;
  /** Retries the writes that the log refused. */
  retryStorage(): void;
  /** Handles the loss of a session: the last messages to the node's replicas may be lost. */
  peerLost(isOnNode: (replica: number) => boolean): void;
  /** Handles a log that takes no writes, for now or for good. */
  logRefuses(): void;
  /** Handles a poisoned log, which acknowledges nothing any more. */
  logPoisoned(error: RegistryError): void;
  close(): void;
}

/** The services of a node, shared by all of its groups. */
export interface GroupHost {
  readonly nodeId: NodeId;
  readonly clock: MonotonicClock;
  /** The clock that drives group time at a leader. */
  readonly availableTime: MonotonicClock;
  readonly log: SharedLog;
  readonly logger: Logger;
  readonly raft: RaftSettings;
  /** Duration of a tick, ms. */
  readonly tickMs: number;
  readonly directory: ReplicaDirectory;
  readonly liveness: NodeLiveness;
  readonly counts: GroupCounts;
  readonly freshness: NodeFreshness;
  /** Whether reads may be served by a lease. */
  readonly areLeasesOn: boolean;
  /** Returns why the log takes no writes, so that no new work may start; undefined if it takes them. */
  writeRefusal(): RegistryError | undefined;
  /** Schedules the group for the next turn. */
  wantsTurn(group: HostedGroup): void;
  /** Has the group ticked if it needs ticks, after a step that left nothing to do for a turn. */
  settled(group: HostedGroup): void;
  /** Has the group swept from now on: it has requests with deadlines. */
  hasWaiters(group: HostedGroup): void;
  /** Records that the group's writes were refused and must be retried. */
  isBlocked(group: HostedGroup): void;
  /** Sends a message other than a snapshot to the replica it names, at the end of this turn. */
  send(group: HostedGroup, message: Message): void;
  /** Sends a snapshot; `done` is called in a later turn with whether it arrived. */
  sendSnapshot(group: HostedGroup, message: Message, done: (delivered: boolean) => void): void;
  /** The turns in which images are made and read. */
  readonly imageTurns: ImageTurns;
  /** The images in transfer from this node to others. */
  readonly outgoingImages: OutgoingImages;
  /** Reports that the group broke an invariant and has stopped. */
  failed(group: HostedGroup, error: unknown): void;
}
