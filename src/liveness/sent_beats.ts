/**
 * Send times of the last beats to one node, by this node's monotonic clock. A reply names the beat
 * it answers; support counts from when that beat was sent, never from when the reply arrived.
 */
import { BEATS_REMEMBERED } from "../base/limits.ts";

/** The beats sent to one node in this run. */
export class SentBeats {
  readonly #sentMs = new Float64Array(BEATS_REMEMBERED);
  #last = 0;
  /** Beats up to this sequence are forgotten. */
  #forgotten = 0;

  /** The sequence of the newest beat; 0 if none was sent. */
  get last(): number {
    return this.#last;
  }

  /** Records a beat that leaves at `nowMs`, and returns its sequence. */
  note(nowMs: number): number {
    this.#last++;
    this.#sentMs[this.#last % BEATS_REMEMBERED] = nowMs;
    return this.#last;
  }

  /** Returns the send time of beat `sequence`; -Infinity if it was never sent or is forgotten. */
  sentMs(sequence: number): number {
    const oldest = Math.max(this.#forgotten, this.#last - BEATS_REMEMBERED);
    if (sequence <= oldest || sequence > this.#last) return Number.NEGATIVE_INFINITY;
    return this.#sentMs[sequence % BEATS_REMEMBERED]!;
  }

  /** Forgets all beats sent so far: replies to them no longer count. */
  forget(): void {
    this.#forgotten = this.#last;
  }
}
