/** A cluster that grows, as its seed plans it: machines, the network, and those who watch. */
import type { RegistryError } from "../../../src/base/errors.ts";
import { partitionId } from "../../../src/base/ids.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { Registry } from "../../../src/node/registry.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import type { HostedPartition } from "../../../src/replication/assembly/cluster_groups.ts";
import { Trace } from "../trace.ts";
import { microtaskCheckpoint, SimWorld } from "../world.ts";
import type { PlacedChecker } from "./checker.ts";
import type { LeasePromise } from "./kept_lease.ts";
import { Governors } from "./governors.ts";
import { type MachineHost, PlacedMachine } from "./machine.ts";
import { type MapsAnswered, type MapsCall, mapsCallName, MapsPrograms } from "./maps.ts";
import type { Owner } from "./owner.ts";
import { Operators } from "./operators.ts";
import { Owners } from "./owners.ts";
import type { PlacedPlan } from "./plan.ts";
import { type RelayAnswered, type RelayCall, relayCallName, RelayFronts } from "./relays.ts";
import { CLIENT_ADDRESS_MIN } from "./sdk_client.ts";
import { callName, type SdkAnswer } from "./sdk_history.ts";
import { SdkLoad } from "./sdk_load.ts";
import { WatchTruth } from "./watch_truth.ts";
import { SimWire } from "./wire.ts";

/** A cluster. */
export class PlacedCluster implements MachineHost {
  readonly plan: PlacedPlan;
  readonly world = new SimWorld();
  readonly trace = new Trace();
  readonly wire: SimWire;
  readonly machines: readonly PlacedMachine[];
  readonly load: SdkLoad;
  /** Entries that nodes have applied. */
  readonly truth = new WatchTruth(() => this.world.nowMs);
  readonly owners: Owners;
  readonly governors: Governors;
  readonly operators: Operators;
  readonly relays: RelayFronts;
  readonly maps: MapsPrograms;
  /** Whether nothing moves any more, and every client has read everything since. */
  isSettled = false;
  /** Called when a client has its answer, before anything else runs. */
  onAnswer: (answer: SdkAnswer) => void = () => {};
  /** Whether groups may stop by now, which otherwise nothing may cause. */
  stopsGroups = false;
  readonly #entropy: SeededEntropy;
  #checkers: readonly PlacedChecker[];
  readonly #addresses = new Map<number, number>();

  constructor(plan: PlacedPlan, makers: readonly ((cluster: PlacedCluster) => PlacedChecker)[]) {
    this.plan = plan;
    this.#entropy = new SeededEntropy(plan.seed ^ 0x91ace);
    this.world.checkpoint = microtaskCheckpoint();
    this.wire = new SimWire(this.world, this.#entropy.uint32());
    this.wire.settings = plan.network;
    this.machines = plan.machines.map((machine) =>
      new PlacedMachine(this, machine, this.#entropy.uint32())
    );
    const promised = (promise: LeasePromise) => this.tell((checker) => checker.promised?.(promise));
    this.owners = new Owners(this, promised);
    this.governors = new Governors(this);
    this.operators = new Operators(this);
    this.relays = new RelayFronts(this);
    this.maps = new MapsPrograms(this);
    this.load = new SdkLoad({
      world: this.world,
      wire: this.wire,
      plan,
      truth: this.truth,
      promised,
      called: (call) => {
        this.trace.fold(this.nowMs, call.client, call.calledAt);
        this.tell((checker) => checker.called?.(call));
      },
      answered: (answer) => {
        this.trace.note(this.nowMs, CLIENT_ADDRESS_MIN + answer.client, callName(answer));
        this.tell((checker) => checker.answered?.(answer));
        this.onAnswer(answer);
      },
    });
    this.#addresses.set(1, 1);
    this.#checkers = makers.map((make) => make(this));
    this.world.onStep = () => {
      for (const address of this.world.touched) {
        // Clients have no groups.
        const machine = this.machines[address - 1];
        if (machine?.groups === undefined) continue;
        for (const checker of this.#checkers) checker.stepped?.(machine, machine.groups);
      }
    };
  }

  get nowMs(): number {
    return this.world.nowMs;
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

  /** The machines whose nodes are members, as the leader of group 0 knows; all of them without one. */
  get members(): readonly PlacedMachine[] {
    const { members } = this.systemLeader()?.groups?.system.store.state ?? {};
    return this.machines.filter(({ nodeId, isRemoved }) =>
      !isRemoved && members?.wasRemoved(nodeId) !== true
    );
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

  /** Ends all checkers: from now on the cluster need not be one, with one history. */
  endChecks(): void {
    this.#checkers = [];
    this.truth.end();
  }

  tell(hook: (checker: PlacedChecker) => void): void {
    this.world.guard(() => this.#checkers.forEach(hook));
  }

  relayCalled(call: RelayCall): void {
    this.trace.fold(this.nowMs, call.front, call.calledAt);
    this.tell((checker) => checker.relayCalled?.(call));
  }

  relayAnswered(answer: RelayAnswered): void {
    this.trace.note(this.nowMs, answer.front, relayCallName(answer));
    this.tell((checker) => checker.relayAnswered?.(answer));
  }

  mapsCalled(call: MapsCall): void {
    this.trace.fold(this.nowMs, call.program, call.calledAt);
    this.tell((checker) => checker.mapsCalled?.(call));
  }

  mapsAnswered(answer: MapsAnswered): void {
    this.trace.note(this.nowMs, answer.program, mapsCallName(answer));
    this.tell((checker) => checker.mapsAnswered?.(answer));
  }

  ownerAt(address: number): Owner | undefined {
    return this.owners.at(address);
  }

  /** A machine's folder has a number from now on. */
  joined(machine: PlacedMachine): void {
    const before = this.#addresses.get(machine.nodeId);
    this.tell((checker) => checker.joined?.(machine, before));
    this.#addresses.set(machine.nodeId, machine.address);
  }

  opened(machine: PlacedMachine, { groups }: Registry): void {
    const remove = groups.remove.bind(groups);
    groups.remove = (id, done) => {
      const replica = groups.placed(id)?.group.replica ?? 0;
      this.trace.note(this.nowMs, machine.address, "removes replica", replica);
      remove(id, (error) => {
        if (error === undefined) this.tell((checker) => checker.removed?.(machine, replica));
        done(error);
      });
    };
    this.tell((checker) => checker.opened?.(machine, groups));
  }

  receipt(machine: PlacedMachine, partition: number, point: ReadPoint): void {
    if (point.ageBoundMs === 0) return;
    this.tell((checker) => checker.aged?.(machine, partition, point));
  }

  refused(machine: PlacedMachine, error: RegistryError): void {
    this.tell((checker) => checker.refused?.(machine, error));
  }
}
