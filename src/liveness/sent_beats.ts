/**
 * When the last beats to one node were sent, by the own monotonic clock. An answer names the beat it
 * answers; support counts from when that one was sent, never from when the answer came.
 */
import { BEATS_REMEMBERED } from "../base/limits.ts";

/** The beats to one node, in this run. */
export class SentBeats {
  readonly #sentMs = new Float64Array(BEATS_REMEMBERED);
  #last = 0;
  /** Beats up to this one are forgotten. */
  #forgotten = 0;

  /** The sequence of the newest; 0: none was sent. */
  get last(): number {
    return this.#last;
  }

  /** Notes that one leaves at `nowMs`, and returns its sequence. */
  note(nowMs: number): number {
    this.#last++;
    this.#sentMs[this.#last % BEATS_REMEMBERED] = nowMs;
    return this.#last;
  }

  /** When beat `sequence` was sent; -Infinity: never, or it is forgotten. */
  sentMs(sequence: number): number {
    const oldest = Math.max(this.#forgotten, this.#last - BEATS_REMEMBERED);
    if (sequence <= oldest || sequence > this.#last) return Number.NEGATIVE_INFINITY;
    return this.#sentMs[sequence % BEATS_REMEMBERED]!;
  }

  /** Answers to what was sent until now count for nothing any more. */
  forget(): void {
    this.#forgotten = this.#last;
  }
}
