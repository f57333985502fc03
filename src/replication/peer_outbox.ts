/**
 * Collects the messages of a node's groups, beats and probes to other nodes during a turn. All content for
 * one node goes into one frame if it fits. Messages beyond a turn's limit are dropped, as a network
 * may drop them.
 */
import type { NodeId } from "../base/ids.ts";
import { PEER_FRAME_BYTES, PEER_TURN_BYTES_MAX } from "../base/limits.ts";
import type { Beat, Probe, Proofs } from "../liveness/mod.ts";
import { type GroupMessage, groupMessageBytes } from "../wire/peer_frame.ts";

/** The content of one frame. */
export interface FrameContent {
  readonly beat: Beat | undefined;
  readonly messages: readonly GroupMessage[];
  readonly probe?: Probe | undefined;
  readonly proofs?: Proofs | undefined;
}

interface Gathered {
  readonly beats: Beat[];
  probe: Probe | undefined;
  proofs: Proofs | undefined;
  /** The messages of each frame; the last frame is being filled. */
  readonly frames: GroupMessage[][];
  frameBytes: number;
  turnBytes: number;
}

/** The messages of one turn, by recipient. */
export class PeerOutbox {
  #gathered = new Map<NodeId, Gathered>();

  /** Adds a message; returns false if the limit of a turn to that node is reached. */
  add(to: NodeId, message: GroupMessage): boolean {
    const gathered = this.#of(to);
    const bytes = groupMessageBytes(message.message);
    if (gathered.turnBytes + bytes > PEER_TURN_BYTES_MAX) return false;
    gathered.turnBytes += bytes;
    const { length } = gathered.frames;
    const last = gathered.frames[length - 1];
    // The limit on a frame's bytes also keeps it below the limit on a frame's messages.
    if (last !== undefined && gathered.frameBytes + bytes <= PEER_FRAME_BYTES) {
      last.push(message);
      gathered.frameBytes += bytes;
    } else {
      gathered.frames.push([message]);
      gathered.frameBytes = bytes;
    }
    return true;
  }

  /** Adds a beat; beats are sent before all messages. */
  addBeat(to: NodeId, beat: Beat): void {
    this.#of(to).beats.push(beat);
  }

  /** Sets the probe to a node in this turn. */
  setProbe(to: NodeId, probe: Probe): void {
    this.#of(to).probe = probe;
  }

  /** Sets the answer to the last probe of a node. */
  setProofs(to: NodeId, proofs: Proofs): void {
    this.#of(to).proofs = proofs;
  }

  /** Passes the collected content to `send`, frame by frame, in the order in which it was added. */
  drain(send: (to: NodeId, content: FrameContent) => void): void {
    if (this.#gathered.size === 0) return;
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [to, { beats, frames, probe, proofs }] of gathered) {
      const count = Math.max(1, beats.length, frames.length);
      send(to, { beat: beats[0], messages: frames[0] ?? [], probe, proofs });
      for (let at = 1; at < count; at++) {
        send(to, { beat: beats[at], messages: frames[at] ?? [] });
      }
    }
  }

  #of(to: NodeId): Gathered {
    let gathered = this.#gathered.get(to);
    if (gathered === undefined) {
      gathered = {
        ...{ beats: [], frames: [], frameBytes: 0, turnBytes: 0 },
        ...{ probe: undefined, proofs: undefined },
      };
      this.#gathered.set(to, gathered);
    }
    return gathered;
  }
}
