/** The rate at which a node sends images to all others together, so that moves leave room for requests. */
import type { World } from "../../base/world.ts";

/** Time for which unused room is kept, ms: less than the shortest interval of beats. */
const BURST_MS = 10;

/** A rate that senders share in the order in which they ask. */
export class ImageRate {
  readonly #bytesPerMs: number;
  readonly #world: Pick<World, "monotonic" | "scheduler">;
  /** When everything that was taken so far has passed. */
  #passedAtMs = -Infinity;

  constructor(bytesPerSecond: number, world: Pick<World, "monotonic" | "scheduler">) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#world = world;
  }

  /** Resolves when `bytes` more may be sent. */
  async take(bytes: number): Promise<void> {
    const { monotonic, scheduler } = this.#world;
    const nowMs = monotonic.nowMs();
    const startMs = Math.max(this.#passedAtMs, nowMs - BURST_MS);
    this.#passedAtMs = startMs + bytes / this.#bytesPerMs;
    const waitMs = startMs - nowMs;
    if (waitMs > 0) await new Promise<void>((resolve) => void scheduler.after(waitMs, resolve));
  }
}
