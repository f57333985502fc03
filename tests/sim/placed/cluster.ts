/** A cluster that grows, as its seed plans it: machines, the network, and those who watch. */
import type { JoinClusterReply, JoinClusterRequest } from "../../../schemas/gen/wire.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { partitionId } from "../../../src/base/ids.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type {
  ClusterGroups,
  HostedPartition,
} from "../../../src/replication/assembly/cluster_groups.ts";
import type { MadeChange } from "../../../src/replication/placement/plan.ts";
import { SimNetwork } from "../network.ts";
import { Trace } from "../trace.ts";
import { SimWorld } from "../world.ts";
import type { PlacedChecker } from "./checker.ts";
import { type MachineHost, PlacedMachine } from "./machine.ts";
import type { PlacedPlan } from "./plan.ts";

/** Links of the longest chain of promises in joining and placement, with room. */
const HOPS = 24;

/** A cluster. */
export class PlacedCluster implements MachineHost {
  readonly plan: PlacedPlan;
  readonly world = new SimWorld();
  readonly trace = new Trace();
  readonly network: SimNetwork;
  readonly machines: readonly PlacedMachine[];
  /** Reports of changes, and requests to join, are lost while this is true. */
  readonly loses = { reports: false, joins: false };
  readonly #entropy: SeededEntropy;
  readonly #checkers: readonly PlacedChecker[];
  readonly #addresses = new Map<number, number>();

  constructor(plan: PlacedPlan, makers: readonly ((cluster: PlacedCluster) => PlacedChecker)[]) {
    this.plan = plan;
    this.#entropy = new SeededEntropy(plan.seed ^ 0x91ace);
    this.world.hops = HOPS;
    this.network = new SimNetwork(this.world, this.#entropy.uint32());
    this.network.settings = plan.network;
    this.machines = plan.machines.map((machine) =>
      new PlacedMachine(this, machine, this.#entropy.uint32())
    );
    for (const machine of this.machines) this.network.join(machine.address, machine);
    this.#addresses.set(1, 1);
    this.#checkers = makers.map((make) => make(this));
    this.world.onStep = () => {
      for (const address of this.world.touched) {
        const machine = this.machine(address);
        if (machine.groups === undefined) continue;
        for (const checker of this.#checkers) checker.stepped?.(machine, machine.groups);
      }
    };
  }

  get nowMs(): number {
    return this.world.nowMs;
  }

  /** Returns the machine with an address in the network. */
  machine(address: number): PlacedMachine {
    return this.machines[address - 1]!;
  }

  addressOf(node: number): number | undefined {
    return this.#addresses.get(node);
  }

  /** Returns the partition at its leader of the highest term, on a machine that runs. */
  leaderOf(partition: number): { machine: PlacedMachine; here: HostedPartition } | undefined {
    let found: { machine: PlacedMachine; here: HostedPartition } | undefined;
    for (const machine of this.machines) {
      const here = machine.groups?.partition(partitionId(partition));
      if (here?.group.isLeading !== true) continue;
      const isLater = here.group.status().term > (found?.here.group.status().term ?? 0);
      if (isLater) found = { machine, here };
    }
    return found;
  }

  /** Returns the machine that leads group 0 in the highest term. */
  systemLeader(): PlacedMachine | undefined {
    let leader: PlacedMachine | undefined;
    let highest = 0;
    for (const machine of this.machines) {
      const { group } = machine.groups?.system ?? {};
      if (group?.isLeading !== true || group.status().term <= highest) continue;
      leader = machine;
      highest = group.status().term;
    }
    return leader;
  }

  tell(hook: (checker: PlacedChecker) => void): void {
    this.world.guard(() => this.#checkers.forEach(hook));
  }

  /** A machine's folder has a number from now on. */
  joined(machine: PlacedMachine): void {
    const before = this.#addresses.get(machine.nodeId);
    this.tell((checker) => checker.joined?.(machine, before));
    this.#addresses.set(machine.nodeId, machine.address);
  }

  opened(machine: PlacedMachine, groups: ClusterGroups): void {
    const remove = groups.remove.bind(groups);
    groups.remove = (id, done) => {
      const replica = groups.partition(id)?.group.replica ?? 0;
      this.trace.note(this.nowMs, machine.address, "removes replica", replica);
      remove(id, (error) => {
        if (error === undefined) this.tell((checker) => checker.removed?.(machine, replica));
        done(error);
      });
    };
    this.tell((checker) => checker.opened?.(machine, groups));
  }

  refused(machine: PlacedMachine, error: RegistryError): void {
    this.tell((checker) => checker.refused?.(machine, error));
  }

  askJoin(
    from: number,
    to: PlacedMachine,
    request: JoinClusterRequest,
    answer: (reply: JoinClusterReply | RegistryError) => void,
  ): void {
    if (this.loses.joins && this.#entropy.unit() < 0.5) return;
    this.network.pass(from, to.address, () => {
      to.serveJoin(request, from === to.address ? "self" : "other", (reply) => {
        if (this.loses.joins && this.#entropy.unit() < 0.7) return;
        this.network.pass(to.address, from, () => answer(reply));
      });
    });
  }

  askReport(
    from: number,
    node: number,
    made: readonly MadeChange[],
    answer: (error: RegistryError | undefined) => void,
  ): void {
    const to = this.#addresses.get(node);
    if (to === undefined || this.loses.reports && this.#entropy.unit() < 0.5) return;
    this.network.pass(from, to, () => {
      this.machine(to).serveReport(from, made, (error) => {
        if (this.loses.reports && this.#entropy.unit() < 0.7) return;
        this.network.pass(to, from, () => answer(error));
      });
    });
  }
}
