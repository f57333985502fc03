/**
 * The preferred leader of each partition, such that every node leads about as many partitions as the
 * others, and as few leaders as possible move.
 *
 * It is a load balance on a bipartite graph: a partition may be led by any of its replicas. Starting
 * from the present leaders, a leadership moves along a chain of partitions from a node to another
 * that leads at least two fewer, until there is no such chain. Then the loads are as even as the
 * placement allows. Source: Harvey et al., "Semi-matchings for bipartite graphs and load balancing"
 * (2006), §3 (cost-reducing paths).
 */

/** Options of {@link spreadLeaders}. */
export interface LeaderSpreadOptions {
  /** The node ids of each partition's replicas that may lead, by partition. */
  readonly placements: readonly (readonly number[])[];
  /** The present leader of each partition; 0 or absent if there is none. */
  readonly leaders?: readonly number[];
}

/** Returns the node id of the preferred leader by partition; 0 where no replica may lead. */
export function spreadLeaders({ placements, leaders = [] }: LeaderSpreadOptions): number[] {
  const spread = new Spread(placements, leaders);
  spread.fill();
  spread.balance();
  return spread.leaders;
}

class Spread {
  readonly leaders: number[];
  readonly #placements: readonly (readonly number[])[];
  /** The partitions that each node leads. */
  readonly #led = new Map<number, Set<number>>();

  constructor(placements: readonly (readonly number[])[], present: readonly number[]) {
    this.#placements = placements;
    this.leaders = placements.map((replicas, partition) => {
      for (const node of replicas) if (!this.#led.has(node)) this.#led.set(node, new Set());
      const leader = present[partition] ?? 0;
      return replicas.includes(leader) ? leader : 0;
    });
    this.leaders.forEach((leader, partition) => this.#led.get(leader)?.add(partition));
  }

  /** Gives each partition without a leader to the replica whose node leads the fewest. */
  fill(): void {
    this.leaders.forEach((leader, partition) => {
      if (leader !== 0) return;
      let best = 0;
      for (const node of this.#placements[partition]!) {
        if (best === 0 || this.#load(node) < this.#load(best)) best = node;
      }
      if (best !== 0) this.#move(partition, best);
    });
  }

  /** Moves leaderships along chains until no chain makes the loads more even. */
  balance(): void {
    // The sum of the squared loads falls with each chain, so this ends.
    for (let moved = true; moved;) {
      moved = false;
      const nodes = [...this.#led.keys()].sort((a, b) => this.#load(b) - this.#load(a) || a - b);
      for (const node of nodes) while (this.#relieve(node)) moved = true;
    }
  }

  /** Moves one leadership away from `from` along the shortest chain; returns whether there is one. */
  #relieve(from: number): boolean {
    const target = this.#load(from) - 2;
    /** For each node reached: the partition that would move to it. */
    const via = new Map<number, number>([[from, -1]]);
    const queue = [from];
    for (let at = 0; at < queue.length; at++) {
      for (const partition of this.#led.get(queue[at]!)!) {
        for (const node of this.#placements[partition]!) {
          if (via.has(node)) continue;
          via.set(node, partition);
          if (this.#load(node) <= target) {
            this.#shift(node, via);
            return true;
          }
          queue.push(node);
        }
      }
    }
    return false;
  }

  /** Moves the partitions of the chain that ends at `to`, the last one first. */
  #shift(to: number, via: ReadonlyMap<number, number>): void {
    for (let node = to;;) {
      const partition = via.get(node)!;
      if (partition < 0) return;
      const before = this.leaders[partition]!;
      this.#move(partition, node);
      node = before;
    }
  }

  #move(partition: number, to: number): void {
    this.#led.get(this.leaders[partition]!)?.delete(partition);
    this.leaders[partition] = to;
    this.#led.get(to)!.add(partition);
  }

  #load(node: number): number {
    return this.#led.get(node)!.size;
  }
}
