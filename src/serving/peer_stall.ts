/** Since when a peer has not taken replies, or not finished a frame, as seen at the looks of a watch. */
import { PEER_STALL_MS } from "../base/limits.ts";

/** The counts of a stream; undefined while its peer owes nothing of the kind. */
export interface PeerDebts {
  /** Writes that the peer has taken, while it has replies to take. */
  readonly writes: number | undefined;
  /** Frames that the peer has finished, while it has one to finish. */
  readonly requests: number | undefined;
}

/** The stalls of one stream's peer. */
export class PeerStall {
  #writes: number | undefined;
  #requests: number | undefined;
  #repliesSinceMs = 0;
  #frameSinceMs = 0;

  /** Returns what has not advanced for too long. */
  look(nowMs: number, { writes, requests }: PeerDebts): "replies" | "frame" | undefined {
    if (writes === undefined || writes !== this.#writes) this.#repliesSinceMs = nowMs;
    if (requests === undefined || requests !== this.#requests) this.#frameSinceMs = nowMs;
    this.#writes = writes;
    this.#requests = requests;
    if (nowMs - this.#repliesSinceMs >= PEER_STALL_MS) return "replies";
    return nowMs - this.#frameSinceMs >= PEER_STALL_MS ? "frame" : undefined;
  }

  /** Forgets the last look: nothing is looked at for a while. */
  rest(): void {
    this.#writes = this.#requests = undefined;
  }
}
