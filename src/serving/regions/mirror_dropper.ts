/**
 * Removes the mirrors of regions that are no peers any more, in the partitions that this node leads: an
 * operator's decision, logged in group 0, is the evidence. Repeating it does no harm, and the fence of
 * the removal keeps it from mirrors of a region that was added again meanwhile.
 */
import { toRegistryError } from "../../base/errors.ts";
import { MIRROR_DROP_LOOK_MS, REQUEST_TIMEOUT_MS_DEFAULT } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { MonotonicClock, Scheduler, Timer } from "../../base/world.ts";
import { encodeMirrorDrop } from "../../record/command.ts";
import type { Partition, PartitionTable } from "../partitions.ts";
import type { Proposer } from "../proposer.ts";

/** Dependencies of a {@link MirrorDropper}. */
export interface MirrorDropperOptions {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  /** Returns the fence of the removal of each removed region, as this node's copy of group 0 has them. */
  readonly removed: () => ReadonlyMap<string, number>;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Drops mirrors of removed regions. */
export class MirrorDropper {
  readonly #options: MirrorDropperOptions;
  #timer: Timer | undefined;
  #isRunning = false;
  #isStopped = false;

  constructor(options: MirrorDropperOptions) {
    this.#options = options;
  }

  /** Starts to look for such mirrors from time to time. */
  start(): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.scheduler.after(MIRROR_DROP_LOOK_MS, () => {
      void this.run();
      this.start();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Drops what there is, unless that is in progress. Never rejects. */
  async run(): Promise<void> {
    const { table, removed, logger } = this.#options;
    const regions = removed();
    if (this.#isRunning || regions.size === 0) return;
    this.#isRunning = true;
    try {
      for (const partition of table.here()) {
        if (!partition.group.isLeading) continue;
        for (const [home, fence] of regions) await this.#drop(partition, home, fence);
      }
    } catch (cause) {
      // Leadership was lost, or the log takes no writes: the next look finds what is left.
      const { code, message } = toRegistryError(cause);
      logger.debug("Mirrors of a removed region were not dropped yet", { code, message });
    } finally {
      this.#isRunning = false;
    }
  }

  async #drop(partition: Partition, home: string, fence: number): Promise<void> {
    const { proposer, clock } = this.#options;
    while (!this.#isStopped) {
      const source = partition.store.mirrors.source(home);
      if (source === undefined) return;
      // Of a region that was added again, group 0 forgot the removal, perhaps not here yet.
      if ([...source.shards.values()].some((shard) => shard.fence > fence)) return;
      const command = encodeMirrorDrop(proposer.header(partition, 0), { home, fence });
      const deadlineMs = clock.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT;
      const { outcome } = await proposer.propose(partition, command, deadlineMs);
      if (outcome.code !== "ok") return;
    }
  }
}
