/**
 * Routing of calls that concern many partitions: which partitions are asked in one request, and
 * what to learn when a node does not serve one of them.
 */
import type { World } from "../base/world.ts";
import type { Partitioner } from "../ring/partition.ts";
import { type BoundedReads, checkedStaleness } from "./bounded_reads.ts";
import type { CallOptions } from "./call_options.ts";
import type {
  ClusterRouting,
  Part,
  PartitionRefusal,
  PlannedItems,
  PlannedPart,
} from "./cluster_routing.ts";
import { Deadline } from "./deadline.ts";
import type { NodeLinks } from "./node_links.ts";
import { ANY_NODE, type PartitionLeaders } from "./partition_leaders.ts";
import { backOffMs, electionRetry } from "./retry.ts";

/** Rounds without a pause: the believed leaders, those that they name, and one more replica. */
const ROUNDS_AT_ONCE = 3;

/** The routing of one client's calls of many partitions. */
export class ClusterRoutes implements ClusterRouting {
  readonly #world: World;
  readonly #leaders: PartitionLeaders;
  readonly #links: NodeLinks;
  readonly #reads: BoundedReads;
  readonly #timeoutMs: number;
  readonly #maxStalenessMs: number;
  readonly #refreshMap: () => void;
  /** Ends the pauses in progress. */
  readonly #pauses = new Set<() => void>();
  #isClosed = false;

  constructor(parts: {
    readonly world: World;
    readonly leaders: PartitionLeaders;
    readonly links: NodeLinks;
    readonly reads: BoundedReads;
    /** Default timeout of a call, ms. */
    readonly timeoutMs: number;
    /** Default age that reads accept, ms. */
    readonly maxStalenessMs: number;
    readonly refreshMap: () => void;
  }) {
    this.#world = parts.world;
    this.#leaders = parts.leaders;
    this.#links = parts.links;
    this.#reads = parts.reads;
    this.#timeoutMs = parts.timeoutMs;
    this.#maxStalenessMs = parts.maxStalenessMs;
    this.#refreshMap = parts.refreshMap;
  }

  get partitioner(): Partitioner {
    return this.#leaders.partitioner;
  }

  deadline(options: CallOptions): Deadline {
    return new Deadline(this.#world.monotonic, options, this.#timeoutMs);
  }

  stalenessOf({ maxStalenessMs }: CallOptions): number {
    return checkedStaleness(maxStalenessMs ?? this.#maxStalenessMs);
  }

  plan({ positions, partitionOf, round, alone, maxStalenessMs }: PlannedItems): PlannedPart[] {
    const nowMs = this.#world.monotonic.nowMs();
    const parts = new Map<number, { part: Part; positions: number[] }>();
    for (const position of positions) {
      const partition = partitionOf(position);
      // After a refusal the leader is asked next, then another replica, and so on.
      const isBounded = maxStalenessMs > 0 && round % 2 === 0 && partition !== ANY_NODE;
      const nearest = isBounded ? this.#reads.nodeFor(partition, maxStalenessMs, nowMs) : 0;
      const nodeId = nearest || this.#nodeOf(partition, round);
      const isExact = alone.has(partition);
      // Node ids are not negative; partitions are at least ANY_NODE, which is -1.
      const key = isExact ? -2 - partition : nodeId;
      const known = parts.get(key);
      if (known === undefined) {
        parts.set(key, {
          part: { partition, isExact, nodeId, servedBy: 0 },
          positions: [position],
        });
      } else known.positions.push(position);
    }
    if (maxStalenessMs > 0) this.#reads.measureByStatus(nowMs);
    return [...parts.values()];
  }

  refused({ partition, nodeId, maxStalenessMs, code }: PartitionRefusal): void {
    if (maxStalenessMs > 0) {
      this.#reads.refused(partition, nodeId, maxStalenessMs);
      // A follower that cannot prove the age says nothing about who leads.
      if (code === "too_stale" || nodeId !== this.#leaders.leaderOf(partition)) return;
    }
    if (partition !== ANY_NODE) this.#leaders.refuted(partition, nodeId);
    this.#refreshMap();
  }

  async pause(round: number, deadline: Deadline): Promise<boolean> {
    if (this.#isClosed) return false;
    if (round < ROUNDS_AT_ONCE) return deadline.leftMs > 0;
    const backOff = electionRetry(this.#pauses.size);
    const delayMs = backOffMs(round - ROUNDS_AT_ONCE + 1, backOff, this.#world.entropy);
    if (delayMs >= deadline.leftMs) return false;
    await this.#wait(delayMs, deadline.signal);
    return true;
  }

  /** Ends all pauses. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#pauses) end();
  }

  /** Waits; an abort or the end of the client ends it early. */
  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    const timer = this.#world.scheduler.after(ms, end);
    this.#pauses.add(end);
    signal?.addEventListener("abort", end);
    await promise;
    timer.cancel();
    this.#pauses.delete(end);
    signal?.removeEventListener("abort", end);
  }

  /** Returns the node to ask: the believed leader if it is up, else a replica; 0 for any node. */
  #nodeOf(partition: number, round: number): number {
    const leader = partition === ANY_NODE ? 0 : this.#leaders.leaderOf(partition);
    if (leader !== 0) {
      if (this.#links.isUp(leader)) return leader;
      // Dialed meanwhile, so that it is asked again once it is back.
      this.#links.to(leader);
    }
    const replicas = this.#leaders.replicasOf(partition).filter((id) => this.#links.isUp(id));
    return replicas[round % replicas.length] ?? 0;
  }
}
