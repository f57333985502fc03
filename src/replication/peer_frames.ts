/** The frames from one node to others, and the promises and probes that they carry. */
import { assert } from "../base/assert.ts";
import type { GroupId, NodeId } from "../base/ids.ts";
import { EMPTY_DATA } from "../raft/mod.ts";
import {
  encodePeerFrame,
  freshnessBytes,
  type GroupMessage,
  type PeerFrame,
} from "../wire/peer_frame.ts";
import type { HostedGroup, PeerLinks } from "./group_host.ts";
import type { NodeLiveness } from "./node_liveness.ts";
import type { FrameContent, PeerOutbox } from "./peer_outbox.ts";

/** Makes the frames of one node. */
export class PeerFrames {
  readonly #liveness: NodeLiveness;
  readonly #groups: ReadonlyMap<GroupId, HostedGroup>;
  readonly #peers: PeerLinks;

  constructor(
    liveness: NodeLiveness,
    groups: ReadonlyMap<GroupId, HostedGroup>,
    peers: PeerLinks,
  ) {
    this.#liveness = liveness;
    this.#groups = groups;
    this.#peers = peers;
  }

  /** Sends everything that was collected in a turn. */
  send(outbox: PeerOutbox): void {
    outbox.drain((to, content) => {
      this.#peers.send(to, encodePeerFrame(this.frame(to, content)));
      if (content.probe === undefined && content.proofs === undefined) return;
      this.#peers.countProbe?.(to, "out", freshnessBytes(content));
    });
  }

  /** Sends a snapshot; `done` is called in a later turn with whether it arrived. */
  sendSnapshot(to: NodeId, sent: GroupMessage, done: (delivered: boolean) => void): void {
    const { snapshot } = sent.message;
    assert(snapshot !== undefined, "A snapshot message holds a snapshot");
    const message = { ...sent.message, snapshot: { ...snapshot, data: EMPTY_DATA } };
    const header = this.frame(to, { beat: undefined, messages: [{ ...sent, message }] });
    this.#peers.sendImage(to, encodePeerFrame(header), snapshot.data, done);
  }

  /** Makes a frame to `to`. Promises in its replies refer to the epoch that the same frame names. */
  frame(to: NodeId, content: FrameContent): PeerFrame {
    const supports = this.#liveness.supportedEpoch(to);
    const { run } = this.#liveness;
    if (supports === 0) return { ...content, run, supports };
    const messages = content.messages.map((one) => {
      const { type } = one.message;
      if (type !== "append_reply" && type !== "heartbeat_reply") return one;
      const fortifies = this.#groups.get(one.groupId)?.fortify(one.message, supports) ?? false;
      return fortifies ? { ...one, fortifies } : one;
    });
    return { ...content, run, supports, messages };
  }
}
