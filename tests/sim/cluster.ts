/**
 * A simulated cluster as its seed plans it: nodes, the network between them and clients, the places
 * of replicas; and the checkers that observe all of it.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import { OUTAGE_TIMING } from "../../src/replication/available_time.ts";
import type { GroupSettings } from "../../src/replication/group_set.ts";
import type { Checker, CheckerMaker, ClusterView, Expiry, ReplicaView } from "./history.ts";
import type { MachineClock } from "./machine.ts";
import { SimNetwork } from "./network.ts";
import { Placement } from "./placement.ts";
import type { Plan } from "./plan.ts";
import type { RunningReplica } from "./replica_view.ts";
import type { Reply, Request } from "./service.ts";
import { SimNode } from "./sim_node.ts";
import { Trace } from "./trace.ts";
import { SimWorld } from "./world.ts";

/** Maximum offset of wall clocks at the beginning of a run, ms. */
const WALL_OFFSET_MS_MAX = 5_000;

/** A cluster. */
export class SimCluster implements ClusterView {
  readonly plan: Plan;
  readonly world = new SimWorld();
  readonly trace = new Trace();
  readonly network: SimNetwork;
  readonly placement = new Placement();
  readonly nodes: readonly SimNode[];
  readonly #checkers: readonly Checker[];
  readonly #steppers: readonly Checker[];
  readonly #expired = new Set<string>();
  /** Roles as last recorded in the trace. */
  readonly #leaders = new Map<number, number>();

  constructor(plan: Plan, makers: readonly CheckerMaker[]) {
    this.plan = plan;
    const entropy = new SeededEntropy(plan.seed ^ 0xc1a5);
    this.network = new SimNetwork(this.world, entropy.uint32());
    this.network.settings = plan.network;
    for (const { group, nodes } of plan.groups) {
      for (const node of nodes) this.placement.place(group, node, true);
    }
    const groups = plan.groups.map(({ group }) => group);
    const { driftPpm, leases, nodeCount, seed } = plan;
    const outages = plan.raft.outages ?? OUTAGE_TIMING;
    const hasWallJumps = plan.faults.has("wall_jump");
    const facts = { seed, groups, nodeCount, leases, driftPpm, outages, hasWallJumps };
    this.#checkers = makers.map((make) => make(facts));
    this.#steppers = this.#checkers.filter(({ afterStep }) => afterStep !== undefined);
    this.nodes = Array.from(
      { length: nodeCount },
      (_, at) => this.#newNode(at + 1, new SeededEntropy(entropy.uint32())),
    );
    for (const node of this.nodes) this.network.join(node.id, node);
    this.world.onStep = () => this.#stepped();
  }

  get nowMs(): number {
    return this.world.nowMs;
  }

  replicasOf(group: number): readonly RunningReplica[] {
    const found: RunningReplica[] = [];
    for (const { program } of this.nodes) {
      const replica = program?.replicaOf(group);
      if (replica !== undefined) found.push(replica);
    }
    return found;
  }

  /** Returns the node of that number. */
  node(id: number): SimNode {
    return this.nodes[id - 1]!;
  }

  /** Returns the replica that leads a group in the highest term, on a node that is up. */
  leaderOf(group: number): RunningReplica | undefined {
    let leader: RunningReplica | undefined;
    for (const { isUp, program } of this.nodes) {
      const replica = isUp ? program?.replicaOf(group) : undefined;
      if (replica === undefined || replica.role !== "leader") continue;
      if (leader === undefined || replica.term > leader.term) leader = replica;
    }
    return leader;
  }

  /** Sends a client's request to a node, and its replies back. */
  send(client: number, node: number, request: Request, answer: (reply: Reply) => void): boolean {
    return this.network.pass(client, node, () => {
      this.node(node).serve(request, (reply) => {
        this.network.pass(node, client, () => answer(reply));
      });
    });
  }

  /** Calls every checker. Findings must not be caught by the code that is being checked. */
  tell(hook: (checker: Checker) => void): void {
    this.world.guard(() => this.#checkers.forEach(hook));
  }

  /** Records an event in the trace. */
  note(what: string, ...facts: (number | string)[]): void {
    this.trace.note(this.nowMs, 0, what, ...facts);
  }

  #newNode(id: number, entropy: SeededEntropy): SimNode {
    const { disk, leases } = this.plan;
    return new SimNode({
      id,
      world: this.world,
      network: this.network,
      placement: this.placement,
      trace: this.trace,
      clock: clockOf(entropy, this.plan.driftPpm),
      disk,
      settings: this.plan.raft satisfies GroupSettings,
      leases,
      seed: entropy.uint32(),
      started: (node) => this.tell((checker) => checker.onStart?.(node)),
      outage: (outage) => this.tell((checker) => checker.onOutage?.(outage)),
      events: {
        appended: (ref, entry) => this.tell((checker) => checker.onAppend?.(ref, entry)),
        spoken: (ref, words) => this.tell((checker) => checker.onWords?.(ref, words)),
        voted: (ref, term, vote) => this.tell((checker) => checker.onVote?.(ref, term, vote)),
        applied: (ref, entry) => {
          this.trace.fold(this.nowMs, ref.node, entry.hash + entry.index);
          this.tell((checker) => checker.onApply?.(ref, entry));
        },
        permitted: (reader, read) => this.tell((checker) => checker.onRead?.(reader, read)),
        led: (ref, leases) => this.tell((checker) => checker.onLed?.(ref, leases)),
        ran: (run) => this.tell((checker) => checker.onRun?.(id, run)),
        imaged: (ref, image) => {
          this.trace.note(
            this.nowMs,
            ref.node,
            "has an image: group",
            ref.group,
            "at",
            image.index,
          );
          this.tell((checker) => checker.onImage?.(ref, image));
        },
        imageDurable: (ref, index) => this.tell((checker) => checker.onImageDurable?.(ref, index)),
        expired: (expiry) => this.#tellExpired(expiry),
        forgotten: (ref) => this.tell((checker) => checker.onForget?.(ref)),
        failed: (ref, error) => {
          const words = error instanceof Error ? error.stack ?? error.message : String(error);
          this.trace.note(this.nowMs, ref.node, "quarantines group", ref.group, words);
        },
      },
    });
  }

  #tellExpired(expiry: Omit<Expiry, "atMs">): void {
    const place = `${expiry.group} ${expiry.index} ${expiry.key}`;
    if (this.#expired.has(place)) return;
    this.#expired.add(place);
    this.note("expired", expiry.key);
    this.tell((checker) => checker.onExpired?.({ ...expiry, atMs: this.nowMs }));
  }

  #stepped(): void {
    for (const id of this.world.touched) {
      const node = this.node(id);
      node.look();
      for (const replica of node.replicas) this.#noteLeader(replica);
      for (const checker of this.#steppers) checker.afterStep!(node, this);
    }
  }

  #noteLeader({ ref, role, term }: ReplicaView): void {
    if (role !== "leader" || (this.#leaders.get(ref.group) ?? 0) >= term) return;
    this.#leaders.set(ref.group, term);
    this.trace.note(this.nowMs, ref.node, "leads group", ref.group, "in term", term);
  }
}

function clockOf(entropy: SeededEntropy, driftPpm: number): MachineClock {
  const rate = () => {
    // The bounds themselves are the most interesting rates.
    const dice = entropy.unit();
    const part = dice < 0.25 ? -1 : dice < 0.5 ? 1 : 2 * entropy.unit() - 1;
    return 1 + part * driftPpm / 1_000_000;
  };
  return {
    rate: rate(),
    wallRate: rate(),
    wallOffsetMs: Math.floor((2 * entropy.unit() - 1) * WALL_OFFSET_MS_MAX),
  };
}
