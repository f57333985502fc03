/**
 * Injects faults into a cluster: each kind in the plan occurs at its own times, with a victim and a
 * duration that are drawn at that time, and ends by itself or when all faults end.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import type { SimCluster } from "./cluster.ts";
import type { Membership } from "./membership.ts";
import { CALM_NETWORK } from "./network.ts";
import type { FaultKind } from "./plan.ts";
import type { SimNode } from "./sim_node.ts";

/** The faults of one run. */
export class Faults {
  readonly #cluster: SimCluster;
  readonly #membership: Membership;
  readonly #entropy: SeededEntropy;
  #isOver = false;
  /** The number of occurrences of each kind. */
  readonly counts = new Map<FaultKind, number>();

  constructor(cluster: SimCluster, membership: Membership, seed: number) {
    this.#cluster = cluster;
    this.#membership = membership;
    this.#entropy = new SeededEntropy(seed ^ 0xfa17);
  }

  /** Starts the faults. */
  start(): void {
    for (const [kind, meanMs] of this.#cluster.plan.faults) this.#later(kind, meanMs);
  }

  /** Stops all faults: no new ones occur, current ones end, and nodes that are down are started. */
  end(): void {
    this.#isOver = true;
    const { network, nodes } = this.#cluster;
    this.#cluster.note("all faults end");
    network.settings = { ...CALM_NETWORK, reorders: network.settings.reorders };
    network.healAll();
    for (const node of nodes) {
      node.resume();
      node.endWithin(Infinity);
      node.fails = undefined;
      this.#healDisk(node);
      node.start();
    }
  }

  #later(kind: FaultKind, meanMs: number): void {
    this.#cluster.world.after(-meanMs * Math.log(1 - this.#unit()), () => {
      if (this.#isOver) return;
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      this.#befall(kind);
      this.#later(kind, meanMs);
    });
  }

  #befall(kind: FaultKind): void {
    const { nodes, plan: { groups } } = this.#cluster;
    const node = this.#of(nodes);
    const { group } = this.#of(groups);
    switch (kind) {
      case "kill":
      case "power_cut":
        return this.#end(kind, node);
      case "pause":
      case "suspend":
      case "freeze":
        return this.#stand(kind, node, this.#scale(20, 5_000));
      case "long_pause":
        return this.#stand("pause", node, this.#scale(4_000, 9_000));
      case "wall_jump":
        return this.#jump(node);
      case "partition":
        return this.#partition();
      case "one_way_cut":
        return this.#link("is cut", (from, to) => this.#cluster.network.cut(from, to));
      case "deaf":
        return this.#deaf(node);
      case "clog":
        return this.#link("is clogged", (from, to) => this.#cluster.network.clog(from, to));
      case "late_answers":
        return this.#lateAnswers(group);
      case "slow_network":
        return this.#slowNetwork();
      case "slow_disk":
        return this.#disk(node, 5 + 50 * this.#unit());
      case "stuck_disk":
        return this.#disk(node, Infinity);
      case "failed_sync":
      case "failed_write":
        node.fails = kind === "failed_sync" ? "sync" : "write";
        return;
      case "stuck_write":
        return this.#holdWrites(this.#leaderNode(group) ?? node);
      case "full_disk":
        return this.#fillDisk(node, 200, 3_000);
      case "long_full_disk":
        return this.#fillDisk(node, 3_000, 9_000);
      case "bit_flip":
        return this.#flip(node);
      case "transfer":
        return this.#transfer(group);
      case "membership":
        return this.#membership.step(group);
      case "image":
        return this.#image(group);
    }
  }

  // Nodes.

  /** Kills a node, now or within some turns, and starts it again after a while. */
  #end(kind: "kill" | "power_cut", node: SimNode): void {
    const end = () => kind === "kill" ? node.kill() : node.cutPower();
    if (this.#unit() < 0.5) end();
    else node.endWithin(this.#int(20), end);
    this.#until(this.#scale(50, 4_000), () => {
      end();
      node.start();
    });
  }

  #stand(kind: "pause" | "suspend" | "freeze", node: SimNode, forMs: number): void {
    node[kind]();
    this.#until(forMs, () => node.resume());
  }

  #jump(node: SimNode): void {
    const byMs = Math.round((this.#unit() < 0.5 ? -1 : 1) * this.#scale(10, 3_600_000));
    this.#cluster.note("wall clock jumps: node", node.id, byMs);
    node.machine.jumpWall(byMs);
  }

  // The network.

  #partition(): void {
    const { network, nodes } = this.#cluster;
    const isHere = nodes.map(() => this.#unit() < 0.5);
    const isOneWay = this.#unit() < 0.3;
    const here = nodes.filter((_, at) => isHere[at]).map(({ id }) => id);
    this.#cluster.note(isOneWay ? "one-way partition:" : "partition:", here.join(" "));
    const ways = nodes.flatMap((from, at) =>
      nodes.filter((_, other) => isHere[at] !== isHere[other] && (isHere[at]! || !isOneWay))
        .map((to) => [from.id, to.id] as const)
    );
    for (const [from, to] of ways) network.cut(from, to);
    this.#until(this.#scale(100, 5_000), () => {
      this.#cluster.note("partition ends");
      for (const [from, to] of ways) network.heal(from, to);
    });
  }

  #link(what: string, befall: (from: number, to: number) => void): void {
    const { network, nodes } = this.#cluster;
    const from = this.#of(nodes).id;
    const to = this.#of(nodes).id;
    if (from === to) return;
    this.#cluster.note("the way", from, "to", to, what);
    befall(from, to);
    this.#until(this.#scale(50, 4_000), () => {
      this.#cluster.note("the way", from, "to", to, "is whole");
      network.heal(from, to);
    });
  }

  #deaf(node: SimNode): void {
    const { network, nodes } = this.#cluster;
    const isDeaf = this.#unit() < 0.5;
    this.#cluster.note(isDeaf ? "hears nobody: node" : "is heard by nobody: node", node.id);
    const ways = nodes.filter(({ id }) => id !== node.id)
      .map(({ id }) => isDeaf ? [id, node.id] as const : [node.id, id] as const);
    for (const [from, to] of ways) network.cut(from, to);
    this.#until(this.#scale(100, 4_000), () => {
      for (const [from, to] of ways) network.heal(from, to);
    });
  }

  #lateAnswers(group: number): void {
    const { network, nodes } = this.#cluster;
    const leader = this.#cluster.leaderOf(group)?.ref.node;
    if (leader === undefined) return;
    this.#cluster.note("is heard by nobody, and hears late: node", leader);
    const others = nodes.filter(({ id }) => id !== leader).map(({ id }) => id);
    for (const other of others) {
      network.cut(leader, other);
      network.clog(other, leader);
    }
    this.#until(this.#scale(100, 1_500), () => {
      for (const other of others) network.heal(other, leader);
    });
    this.#until(1_500, () => {
      for (const other of others) network.heal(leader, other);
    });
  }

  #slowNetwork(): void {
    const { network, plan } = this.#cluster;
    network.settings = { ...plan.network, delayMs: 20 + 80 * this.#unit(), jitterMs: 100 };
    this.#cluster.note("the network is slow");
    this.#until(this.#scale(100, 3_000), () => network.settings = plan.network);
  }

  // Disks.

  #disk(node: SimNode, factor: number): void {
    this.#cluster.note("disk takes longer: node", node.id, factor);
    node.diskFactor = factor;
    this.#until(this.#scale(50, 4_000), () => this.#healDisk(node));
  }

  #holdWrites(node: SimNode): void {
    this.#cluster.note("writes do not return: node", node.id);
    node.holdsWrites = true;
    this.#until(this.#scale(1_500, 9_000), () => this.#healDisk(node));
  }

  #fillDisk(node: SimNode, lo: number, hi: number): void {
    this.#cluster.note("disk is full: node", node.id);
    node.disk.capacityBytes = node.disk.usedBytes + this.#int(64 * 1024);
    this.#until(this.#scale(lo, hi), () => this.#healDisk(node));
  }

  #healDisk(node: SimNode): void {
    node.diskFactor = 1;
    node.holdsWrites = false;
    node.disk.capacityBytes = Infinity;
    node.disk.releaseHeld();
  }

  /**
   * Flips a bit on the disk of a node that is down. Never in the newest segment: in the last batch
   * before its watermark a torn write and bit rot look alike, as the log's documentation says.
   */
  #flip(node: SimNode): void {
    node.cutPower();
    const files = node.disk.list().filter(({ size }) => size > 0);
    const newest = files.findLast(({ name }) => name.endsWith(".wal"))?.name;
    const old = files.filter(({ name }) => name !== newest);
    if (old.length > 0) {
      const { name, size } = this.#of(old);
      const offset = this.#int(size);
      const bit = this.#int(8);
      this.#cluster.note("a bit turns: node", node.id, name, offset, bit);
      node.disk.flip(name, offset, bit);
      node.repairs.push(() => node.disk.flip(name, offset, bit));
    }
    this.#cluster.world.after(this.#scale(50, 1_000), () => node.start());
  }

  // Groups.

  #leaderNode(group: number): SimNode | undefined {
    const leader = this.#cluster.leaderOf(group);
    return leader && this.#cluster.node(leader.ref.node);
  }

  #transfer(group: number): void {
    const leader = this.#cluster.leaderOf(group);
    if (leader === undefined) return;
    const to = this.#of(leader.configuration.voters);
    this.#cluster.note("is to hand over: group", group, "to", to);
    this.#cluster.node(leader.ref.node).enter(() => leader.group.transferLeader(to));
  }

  #image(group: number): void {
    const replicas = this.#cluster.replicasOf(group);
    if (replicas.length === 0) return;
    const replica = this.#of(replicas);
    this.#cluster.node(replica.ref.node).enter((program) => program.image(group, () => {}));
  }

  // Chance.

  /** Ends a fault after some time, unless all faults have ended before. */
  #until(afterMs: number, end: () => void): void {
    this.#cluster.world.after(afterMs, () => {
      if (!this.#isOver) end();
    });
  }

  #unit(): number {
    return this.#entropy.unit();
  }

  #int(count: number): number {
    return Math.floor(this.#unit() * count);
  }

  /** Returns a number in `[lo, hi)` with a logarithmic distribution. */
  #scale(lo: number, hi: number): number {
    return lo * (hi / lo) ** this.#unit();
  }

  #of<T>(list: readonly T[]): T {
    return list[this.#int(list.length)]!;
  }
}
