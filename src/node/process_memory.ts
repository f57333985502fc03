/**
 * The process's resident memory, read on demand and cached for a while: the limit on it is checked at
 * every registration, and reading it costs more than a registration.
 */
import process from "node:process";
import { MEMORY_SAMPLE_MS } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";

/** A cache of the resident bytes, at most `MEMORY_SAMPLE_MS` old. It reads nothing unless asked. */
export class MemorySampler {
  readonly #clock: MonotonicClock;
  readonly #read: () => number;
  #bytes = 0;
  #readAtMs = -Infinity;

  /** @param read returns the current resident bytes; default: those of this process. */
  constructor(clock: MonotonicClock, read: () => number = () => process.memoryUsage.rss()) {
    this.#clock = clock;
    this.#read = read;
  }

  /** The resident bytes; read again if the last reading is too old. */
  get bytes(): number {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#readAtMs >= MEMORY_SAMPLE_MS) {
      this.#readAtMs = nowMs;
      this.#bytes = this.#read();
    }
    return this.#bytes;
  }
}
