/**
 * The process's resident memory, read when it is asked for and at most once in a while: the ceiling on
 * it is checked at every registration, and reading it costs more than a registration.
 */
import process from "node:process";
import { MEMORY_SAMPLE_MS } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";

/** Resident bytes, at most `MEMORY_SAMPLE_MS` old. A node that nobody asks reads nothing. */
export class MemorySampler {
  readonly #clock: MonotonicClock;
  readonly #read: () => number;
  #bytes = 0;
  #readAtMs = -Infinity;

  /** @param read returns the resident bytes now; default: those of this process. */
  constructor(clock: MonotonicClock, read: () => number = () => process.memoryUsage.rss()) {
    this.#clock = clock;
    this.#read = read;
  }

  /** Resident bytes as last read. */
  get bytes(): number {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#readAtMs >= MEMORY_SAMPLE_MS) {
      this.#readAtMs = nowMs;
      this.#bytes = this.#read();
    }
    return this.#bytes;
  }
}
