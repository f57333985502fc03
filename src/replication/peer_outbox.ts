/**
 * What a node has to say to other nodes, gathered during a turn: its groups' messages, and beats. One
 * frame a node where all of it fits into one. What is beyond a turn's limit is dropped, as a network
 * may.
 */
import type { NodeId } from "../base/ids.ts";
import { PEER_FRAME_BYTES, PEER_TURN_BYTES_MAX } from "../base/limits.ts";
import type { Beat } from "../liveness/mod.ts";
import { type GroupMessage, groupMessageBytes } from "../wire/peer_frame.ts";

/** What one frame holds. */
export interface FrameContent {
  readonly beat: Beat | undefined;
  readonly messages: readonly GroupMessage[];
}

interface Gathered {
  readonly beats: Beat[];
  /** Frame by frame; the last one is being filled. */
  readonly frames: GroupMessage[][];
  frameBytes: number;
  turnBytes: number;
}

/** The messages of one turn, by recipient. */
export class PeerOutbox {
  #gathered = new Map<NodeId, Gathered>();

  /** Adds a message; false where too much is to be sent to that node already. */
  add(to: NodeId, message: GroupMessage): boolean {
    const gathered = this.#of(to);
    const bytes = groupMessageBytes(message.message);
    if (gathered.turnBytes + bytes > PEER_TURN_BYTES_MAX) return false;
    gathered.turnBytes += bytes;
    const { length } = gathered.frames;
    const last = gathered.frames[length - 1];
    // So many bytes are never more messages than a frame may have.
    if (last !== undefined && gathered.frameBytes + bytes <= PEER_FRAME_BYTES) {
      last.push(message);
      gathered.frameBytes += bytes;
    } else {
      gathered.frames.push([message]);
      gathered.frameBytes = bytes;
    }
    return true;
  }

  /** Adds a beat, which goes before all messages. */
  addBeat(to: NodeId, beat: Beat): void {
    this.#of(to).beats.push(beat);
  }

  /** Hands out what was gathered, frame by frame, in the order in which it was added. */
  drain(send: (to: NodeId, content: FrameContent) => void): void {
    if (this.#gathered.size === 0) return;
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [to, { beats, frames }] of gathered) {
      const count = Math.max(beats.length, frames.length);
      for (let at = 0; at < count; at++) {
        send(to, { beat: beats[at], messages: frames[at] ?? [] });
      }
    }
  }

  #of(to: NodeId): Gathered {
    let gathered = this.#gathered.get(to);
    if (gathered === undefined) {
      gathered = { beats: [], frames: [], frameBytes: 0, turnBytes: 0 };
      this.#gathered.set(to, gathered);
    }
    return gathered;
  }
}
