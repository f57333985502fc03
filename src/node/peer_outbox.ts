/**
 * What the groups of a node have to say to other nodes, gathered during a turn: one frame a node
 * where it fits into one. What is beyond a turn's limit is dropped, as a network may.
 */
import type { NodeId } from "../base/ids.ts";
import { PEER_FRAME_BYTES, PEER_MESSAGES_MAX, PEER_TURN_BYTES_MAX } from "../base/limits.ts";
import { type GroupMessage, groupMessageBytes } from "../wire/peer_frame.ts";

interface Gathered {
  messages: GroupMessage[];
  /** Of the frame that is being filled. */
  frameBytes: number;
  turnBytes: number;
  readonly full: (readonly GroupMessage[])[];
}

/** The messages of one turn, by recipient. */
export class PeerOutbox {
  #gathered = new Map<NodeId, Gathered>();

  /** True when nothing is to be sent. */
  get isEmpty(): boolean {
    return this.#gathered.size === 0;
  }

  /** Adds a message; false where too much is to be sent to that node already. */
  add(to: NodeId, message: GroupMessage): boolean {
    let gathered = this.#gathered.get(to);
    if (gathered === undefined) {
      gathered = { messages: [], frameBytes: 0, turnBytes: 0, full: [] };
      this.#gathered.set(to, gathered);
    }
    const bytes = groupMessageBytes(message.message);
    if (gathered.turnBytes + bytes > PEER_TURN_BYTES_MAX) return false;
    const isFull = gathered.messages.length === PEER_MESSAGES_MAX ||
      (gathered.messages.length > 0 && gathered.frameBytes + bytes > PEER_FRAME_BYTES);
    if (isFull) {
      gathered.full.push(gathered.messages);
      gathered.messages = [];
      gathered.frameBytes = 0;
    }
    gathered.messages.push(message);
    gathered.frameBytes += bytes;
    gathered.turnBytes += bytes;
    return true;
  }

  /** Hands out what was gathered, frame by frame, in the order in which it was added. */
  drain(send: (to: NodeId, messages: readonly GroupMessage[]) => void): void {
    if (this.#gathered.size === 0) return;
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [to, { full, messages }] of gathered) {
      for (const earlier of full) send(to, earlier);
      send(to, messages);
    }
  }
}
