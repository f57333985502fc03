/**
 * Assigns the shards of the peer regions to nodes, at the leader of group 0. A puller whose node cannot be
 * reached, or has not answered for the time of a lease, is given to another node; one that still runs
 * there is fenced by the next. Nodes have about as many shards each.
 */
import { toRegistryError } from "../base/errors.ts";
import { PULLER_LEASE_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock } from "../base/world.ts";
import { encodeAssignPuller } from "../system/regions/region_codec.ts";
import type { RegionAges } from "./region_ages.ts";
import type { RegionGroup } from "./region_group.ts";

/** Dependencies of a {@link PullerAssigner}. */
export interface PullerAssignerParts {
  readonly self: number;
  /** The number of shards of each region. */
  readonly shardCount: number;
  readonly group: RegionGroup;
  readonly ages: Pick<RegionAges, "silentMs">;
  /** Reports whether there is a session with another node, and its log takes writes. */
  readonly isReachable: (node: number) => boolean;
  readonly clock: MonotonicClock;
  readonly logger: Logger;
}

/** An assignment that this node has seen. */
interface SeenAssignment {
  readonly fence: number;
  readonly sinceMs: number;
}

/** Assigns pullers while this node leads group 0. */
export class PullerAssigner {
  readonly #parts: PullerAssignerParts;
  readonly #seen = new Map<string, SeenAssignment>();
  #isRunning = false;

  constructor(parts: PullerAssignerParts) {
    this.#parts = parts;
  }

  /** Assigns what is due, unless that is in progress. Never rejects. */
  async run(): Promise<void> {
    const { group, logger } = this.#parts;
    if (!group.isLeading()) return void this.#seen.clear();
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      await this.#assign();
    } catch (cause) {
      // Leadership was lost, the log is full, or a node obtained its fence meanwhile.
      const { code, message } = toRegistryError(cause);
      logger.debug("A puller was not assigned", { code, message });
    } finally {
      this.#isRunning = false;
    }
  }

  async #assign(): Promise<void> {
    const { group, shardCount, logger } = this.#parts;
    for (const { settings: { name, isPaused }, pullers } of group.regions()) {
      for (let shard = 0; shard < shardCount && !isPaused; shard++) {
        const current = pullers.find((puller) => puller.shard === shard);
        if (current !== undefined && this.#isAlive(name, shard, current)) continue;
        const nodeId = this.#nodeWithFewest(current?.nodeId);
        if (nodeId === undefined || nodeId === current?.nodeId) continue;
        const replacedFence = current?.fence ?? 0;
        const assignment = { name, shard, nodeId, replacedFence };
        const fence = await group.propose((header) => encodeAssignPuller(header, assignment));
        logger.info("A node follows a region", { region: name, shard, node: nodeId, fence });
      }
    }
  }

  #isAlive(
    name: string,
    shard: number,
    { nodeId, fence }: { readonly nodeId: number; readonly fence: number },
  ): boolean {
    const { self, ages, isReachable, group, clock } = this.#parts;
    if (nodeId === self) return true;
    if (!group.members().includes(nodeId)) return false;
    const key = `${name}/${shard}`;
    const nowMs = clock.nowMs();
    const seen = this.#seen.get(key);
    if (seen?.fence !== fence) this.#seen.set(key, { fence, sinceMs: nowMs });
    const sinceMs = seen?.fence === fence ? seen.sinceMs : nowMs;
    const silentMs = Math.min(ages.silentMs(nodeId), nowMs - sinceMs);
    return silentMs < PULLER_LEASE_MS && (isReachable(nodeId) || silentMs < PULLER_LEASE_MS / 2);
  }

  /** Returns the reachable node that follows the fewest shards, another one than `not` if there is one. */
  #nodeWithFewest(not: number | undefined): number | undefined {
    const { self, group, isReachable } = this.#parts;
    const counts = new Map<number, number>();
    for (const { pullers } of group.regions()) {
      for (const { nodeId } of pullers) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
    }
    let best: number | undefined;
    for (const node of group.members()) {
      if (node === not || node !== self && !isReachable(node)) continue;
      const isFewer = best === undefined || (counts.get(node) ?? 0) < (counts.get(best) ?? 0);
      if (isFewer) best = node;
    }
    return best;
  }
}
