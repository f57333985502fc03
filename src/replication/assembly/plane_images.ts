/**
 * Images of the governed plane: its log is short in bytes and takes long to replay, because each signature is
 * verified again, so it is replaced by an image sooner than the size of the node's log would have it.
 */
import { GOVERNED_GROUP } from "../../base/ids.ts";
import {
  PLANE_IMAGE_ENTRIES,
  PLANE_IMAGE_ENTRIES_AT_STOP,
  PLANE_IMAGE_LOOK_MS,
} from "../../base/limits.ts";
import type { Scheduler, Timer } from "../../base/world.ts";
import type { ClusterGroups } from "./cluster_groups.ts";

/** Writes images of the governed plane, while it is hosted here. */
export class PlaneImages {
  readonly #nodes: Pick<ClusterGroups["nodes"], "replayedOf" | "writeImage">;
  readonly #scheduler: Scheduler;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(
    nodes: Pick<ClusterGroups["nodes"], "replayedOf" | "writeImage">,
    scheduler: Scheduler,
  ) {
    this.#nodes = nodes;
    this.#scheduler = scheduler;
  }

  /** Tells that the plane's log has grown, or was replayed at the start. */
  grown(): void {
    if (this.#isStopped || this.#timer !== undefined || !this.#isLong()) return;
    this.#timer = this.#scheduler.after(PLANE_IMAGE_LOOK_MS, () => {
      this.#timer = undefined;
      if (this.#isLong()) this.#nodes.writeImage(GOVERNED_GROUP, () => {});
      // Until it is written: one that cannot be written now is asked for again.
      this.grown();
    });
  }

  /** Ends all of it, with a last image; resolves when that is written, or cannot be. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    if (this.#nodes.replayedOf(GOVERNED_GROUP) < PLANE_IMAGE_ENTRIES_AT_STOP) return;
    await new Promise<void>((resolve) => this.#nodes.writeImage(GOVERNED_GROUP, () => resolve()));
  }

  #isLong(): boolean {
    return this.#nodes.replayedOf(GOVERNED_GROUP) >= PLANE_IMAGE_ENTRIES;
  }
}
