/**
 * Reads with a bound on their age, asked of random replicas of a simulated cluster, where they are: by
 * the calls that a node makes to serve them.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { ReadPoint } from "../../src/replication/group_interface.ts";
import type { SimCluster } from "./cluster.ts";
import type { RunningReplica } from "./replica_view.ts";
import type { SimNode } from "./sim_node.ts";

/** Bounds that are asked for, ms. */
const BOUNDS_MS = [5, 30, 60, 100, 300, 1_000, 4_000, 60_000];
/** Time for which a read waits for a proof, ms. */
const WAIT_MS = 400;

/** The readers of one run. */
export class BoundedReaders {
  readonly #cluster: SimCluster;
  readonly #entropy: SeededEntropy;
  readonly #everyMs: number;
  #isStopped = false;
  /** Reads that were served by a proof, by a leader, and that were refused. */
  readonly counts = { proven: 0, led: 0, refused: 0 };

  constructor(cluster: SimCluster, everyMs: number, seed: number) {
    this.#cluster = cluster;
    this.#everyMs = everyMs;
    this.#entropy = new SeededEntropy(seed);
  }

  /** Reads until {@link stop} is called. */
  start(): void {
    this.#cluster.world.after(-this.#everyMs * Math.log(1 - this.#entropy.unit()), () => {
      if (this.#isStopped) return;
      const node = this.#oneOf(this.#cluster.nodes);
      const maxStalenessMs = this.#oneOf(BOUNDS_MS);
      const at = this.#entropy.uint32();
      if (node.isUp) this.#read(node, maxStalenessMs, at);
      this.start();
    });
  }

  stop(): void {
    this.#isStopped = true;
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[Math.floor(this.#entropy.unit() * list.length)]!;
  }

  #read(node: SimNode, maxStalenessMs: number, at: number): void {
    const askedMs = this.#cluster.nowMs;
    let awaited: RunningReplica | undefined;
    node.enter(({ replicas }) => {
      const replica = replicas[at % Math.max(1, replicas.length)];
      if (replica === undefined) return;
      const point = replica.group.readPoint(maxStalenessMs);
      if (point !== undefined) return this.#served(replica, point, maxStalenessMs, askedMs);
      if (replica.group.readElsewhere(maxStalenessMs) === undefined) awaited = replica;
      else this.counts.refused++;
    });
    const replica = awaited;
    if (replica === undefined) return;
    node.wait(() => replica.group.readBarrier(maxStalenessMs, WAIT_MS), (point) => {
      if (point instanceof RegistryError) this.counts.refused++;
      else this.#served(replica, point, maxStalenessMs, askedMs);
    });
  }

  #served(
    { ref }: RunningReplica,
    { ageBoundMs, appliedIndex: index }: ReadPoint,
    maxStalenessMs: number,
    askedMs: number,
  ): void {
    const { nowMs } = this.#cluster;
    if (ageBoundMs > 0) this.counts.proven++;
    else this.counts.led++;
    const atMs = ageBoundMs > 0 ? nowMs : askedMs;
    this.#cluster.tell((checker) => {
      checker.onBoundedRead?.(ref, { maxStalenessMs, ageBoundMs, index, atMs });
    });
  }
}
