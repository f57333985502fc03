/**
 * Input from other nodes: decodes frames and images, and passes each message to the group that it names.
 * Invalid input affects no group; it is counted by code, never thrown.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import { PEER_IMAGE_BYTES_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Beat } from "../liveness/mod.ts";
import type { StepResult } from "../raft/mod.ts";
import {
  decodePeerFrame,
  freshnessBytes,
  type GroupMessage,
  type PeerFrame,
} from "../wire/peer_frame.ts";
import type { HostedGroup, PeerLinks } from "./group_host.ts";
import type { NodeFreshness } from "./node_freshness.ts";
import type { ReplicaDirectory } from "./replica_directory.ts";

/** The dependencies of the input. */
export interface PeerInputOptions {
  readonly directory: ReplicaDirectory;
  readonly logger: Logger;
  /** Told what was refused. */
  readonly peers: Pick<PeerLinks, "messageRefused" | "countProbe">;
  readonly groupOf: (id: GroupId) => HostedGroup | undefined;
  /** Takes a beat; the input goes on with the messages of the same frame. */
  readonly receiveBeat: (from: NodeId, beat: Beat) => void;
  /** Takes probes and the answers to them. */
  readonly freshness: Pick<NodeFreshness, "receiveProbe" | "receiveProofs">;
  /** Returns whether nothing is taken any more. */
  readonly isClosed: () => boolean;
}

/** The input of a node's groups. */
export class PeerFrameInput {
  readonly #options: PeerInputOptions;
  readonly #refusals = new Map<string, number>();

  constructor(options: PeerInputOptions) {
    this.#options = options;
  }

  /** The number of refused inputs, by code. */
  get refusals(): ReadonlyMap<string, number> {
    return this.#refusals;
  }

  /** Takes a frame from `from`, whose session has proven that it is that node. */
  receive(from: NodeId, frame: Uint8Array): void {
    const decoded = this.#decoded(from, frame);
    if (decoded === undefined) return;
    const { run, supports, beat, messages, probe, proofs } = decoded;
    if (beat !== undefined) this.#options.receiveBeat(from, beat);
    const { freshness, peers } = this.#options;
    if (probe !== undefined || proofs !== undefined) {
      peers.countProbe?.(from, "in", freshnessBytes(decoded));
    }
    if (probe !== undefined) this.#note(from, freshness.receiveProbe(from, run, probe));
    for (const message of messages) {
      if (message.message.type === "snapshot") {
        this.refuse(from, "malformed");
        continue;
      }
      const group = this.#groupFor(from, message);
      if (group === undefined) continue;
      const result = group.step(message.message);
      if (message.fortifies) group.fortified(message.message, run, supports);
      this.#answered(from, result);
    }
    // Last, as the messages may hold the entries that the answer is about.
    if (proofs !== undefined) this.#note(from, freshness.receiveProofs(from, run, proofs));
  }

  /**
   * Takes an image and its header from `from`. The group owns the image's bytes from now on. Resolves once
   * the image is read or refused, and never rejects.
   */
  async receiveImage(from: NodeId, header: Uint8Array, image: Uint8Array): Promise<void> {
    if (image.length > PEER_IMAGE_BYTES_MAX) return this.refuse(from, "too_large");
    const decoded = this.#decoded(from, header);
    if (decoded === undefined) return;
    const [only, ...others] = decoded.messages;
    const snapshot = only?.message.snapshot;
    if (only === undefined || others.length > 0 || snapshot === undefined) {
      return this.refuse(from, "malformed");
    }
    const whole = { ...snapshot, data: image };
    const message = { ...only.message, snapshot: whole };
    const group = this.#groupFor(from, only);
    if (group === undefined) return;
    const result = await new Promise<StepResult | "closed" | RegistryError>((resolve) => {
      group.stepSnapshot(message, whole, resolve);
    });
    if (!(result instanceof RegistryError)) return this.#answered(from, result);
    this.refuse(from, result.code);
    const { groupId } = only;
    this.#options.logger.error("An image from another node was refused", {
      groupId,
      error: result,
    });
  }

  #note(from: NodeId, code: string | undefined): void {
    if (code !== undefined) this.refuse(from, code);
  }

  /** Counts an input that was refused. */
  refuse(from: NodeId, code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
    this.#options.peers.messageRefused?.(from, code);
  }

  #decoded(from: NodeId, bytes: Uint8Array): PeerFrame | undefined {
    if (this.#options.isClosed()) {
      this.refuse(from, "closed");
      return undefined;
    }
    try {
      return decodePeerFrame(bytes);
    } catch (error) {
      this.refuse(from, toRegistryError(error).code);
      return undefined;
    }
  }

  /** Returns the group of a message; undefined if it is refused. */
  #groupFor(from: NodeId, { groupId, message }: GroupMessage): HostedGroup | undefined {
    // A node may send messages only for its own replicas.
    if (this.#options.directory.nodeOf(message.from) !== from) {
      this.refuse(from, "unknown_peer");
      return undefined;
    }
    const group = this.#options.groupOf(groupId);
    if (group === undefined) this.refuse(from, "unknown_group");
    return group;
  }

  #answered(from: NodeId, result: StepResult | "closed"): void {
    if (result !== "accepted") this.refuse(from, result);
  }
}
