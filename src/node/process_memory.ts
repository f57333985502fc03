/**
 * The process's resident memory, sampled: the ceiling on it is asked at every registration, and a
 * reading of the system costs more than a registration.
 */
import process from "node:process";
import { MEMORY_SAMPLE_MS } from "../base/limits.ts";
import type { Scheduler, Timer } from "../base/world.ts";

/** Resident bytes, as of the last sample. */
export class MemorySampler {
  #bytes = process.memoryUsage.rss();
  #timer: Timer | undefined;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** As last sampled. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Begins to sample. */
  start(): void {
    this.#timer = this.#scheduler.after(MEMORY_SAMPLE_MS, () => {
      this.#bytes = process.memoryUsage.rss();
      this.start();
    });
  }

  /** Ends it. */
  stop(): void {
    this.#timer?.cancel();
  }
}
