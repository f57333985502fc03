/** Lets faults befall a cluster that grows, each kind at times of its own, until all of them end. */
import { SeededEntropy } from "../../../src/base/prng.ts";
import { CLOCK_DRIFT_PPM } from "../../../src/base/limits.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { replicaId } from "../../../src/base/ids.ts";
import type { Machine } from "../machine.ts";
import { CALM_NETWORK } from "../network.ts";
import { leaderOf } from "./claims.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";
import type { SdkAnswer } from "./sdk_history.ts";
import type { PlacedFault } from "./plan.ts";
import { strayStep } from "./stray_steps.ts";

/** The faults of one run. */
export class PlacedFaults {
  readonly counts = new Map<PlacedFault, number>();
  readonly #cluster: PlacedCluster;
  readonly #entropy: SeededEntropy;
  #isOver = false;
  #killsAfterClaim = false;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
    cluster.onAnswer = (answer) => this.#answered(answer);
    this.#entropy = new SeededEntropy(cluster.plan.seed ^ 0xfa171);
  }

  start(): void {
    for (const [kind, meanMs] of this.#cluster.plan.faults) this.#later(kind, meanMs);
  }

  /** All faults end: whoever is down starts. */
  end(): void {
    this.#isOver = true;
    const { load, wire, machines } = this.#cluster;
    this.#note("all faults end");
    wire.settings = { ...CALM_NETWORK };
    wire.healAll();
    for (const { machine } of load.clients) machine.resume();
    for (const machine of machines) {
      machine.resume();
      machine.machine.turnsLeft = Infinity;
      machine.diskFactor = 1;
      machine.start();
    }
  }

  #later(kind: PlacedFault, meanMs: number): void {
    this.#cluster.world.after(-meanMs * Math.log(1 - this.#unit()), () => {
      if (this.#isOver) return;
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      this.#befall(kind);
      this.#later(kind, meanMs);
    });
  }

  #befall(kind: PlacedFault): void {
    const { machines } = this.#cluster;
    const machine = this.#of(machines);
    switch (kind) {
      case "kill":
      case "power_cut":
        return this.#kill(machine, kind);
      case "kill_after_claim":
        this.#killsAfterClaim = true;
        return;
      case "pause":
      case "suspend":
        return this.#stand(machine, kind);
      case "wall_jump":
        this.#note("wall clock is set: machine", machine.address);
        return machine.machine.jumpWall(this.#wallJumpMs());
      case "drift": {
        const rate = () => 1 + (2 * this.#unit() - 1) * CLOCK_DRIFT_PPM / 1_000_000;
        const { clock } = machine.plan;
        return machine.machine.setClock({ ...clock, rate: rate(), wallRate: rate() });
      }
      case "client_stop":
        return this.#clientStop(this.#of(this.#cluster.load.clients).machine);
      case "pause_system_leader":
        return this.#stand(this.#cluster.systemLeader() ?? machine, "pause");
      case "cut_system_leader":
        return this.#isolate(this.#cluster.systemLeader() ?? machine);
      case "partition":
        return this.#partition();
      case "one_way_cut":
        return this.#way();
      case "slow_disk":
        machine.diskFactor = 5 + 50 * this.#unit();
        return this.#until(this.#scale(100, 3_000), () => machine.diskFactor = 1);
      case "break_session": {
        const ends = this.#cluster.wire.breakOne();
        return ends === undefined ? undefined : this.#note("lose a session:", ...ends);
      }
      case "stray_step":
        return strayStep(this.#cluster, machine, this.#of(this.#cluster.load.domains));
      case "stop":
        return this.#stop(machine);
      case "transfer":
        return this.#transfer(machine);
      case "image":
        return this.#image(machine);
      case "restart_all":
        for (const each of machines) this.#kill(each, this.#unit() < 0.5 ? "kill" : "power_cut");
    }
  }

  #kill(machine: PlacedMachine, kind: "kill" | "power_cut"): void {
    const end = () => kind === "kill" ? machine.kill() : machine.cutPower();
    // After some more turns, and so in the middle of something.
    if (kind === "kill" && this.#unit() < 0.5) machine.machine.turnsLeft = this.#int(20);
    else end();
    this.#until(this.#scale(50, 4_000), () => {
      end();
      machine.start();
    });
  }

  /** Kills the node that has just registered an agent, before it has confirmed its claim. */
  #answered({ domain, end, key }: SdkAnswer): void {
    if (!this.#killsAfterClaim || this.#isOver || end !== "ok" || domain === "") return;
    this.#killsAfterClaim = false;
    const leader = leaderOf(this.#cluster, KIND_AGENT, parseUuid(key))?.machine;
    if (leader !== undefined) this.#cluster.world.soon(() => this.#kill(leader, "kill"));
  }

  #stop(machine: PlacedMachine): void {
    const downMs = this.#scale(50, 2_000);
    machine.stop(() => {
      // The faults may have ended while it stopped.
      if (this.#isOver) machine.start();
      else this.#until(downMs, () => machine.start());
    });
  }

  #stand(machine: PlacedMachine, kind: "pause" | "suspend"): void {
    machine.stand(kind);
    this.#until(this.#scale(50, 6_000), () => machine.resume());
  }

  #clientStop(machine: Machine): void {
    this.#note("stands still: client", machine.id);
    if (this.#unit() < 0.5) machine.pause();
    else machine.suspend();
    this.#until(this.#scale(50, 6_000), () => machine.resume());
  }

  /** Mostly seconds, sometimes days, either way. */
  #wallJumpMs(): number {
    const sign = this.#unit() < 0.5 ? -1 : 1;
    return sign * this.#scale(100, this.#unit() < 0.2 ? 1e9 : 10_000);
  }

  #isolate({ address }: PlacedMachine): void {
    this.#note("is alone: machine", address);
    const ways = this.#cluster.machines.filter((other) => other.address !== address)
      .flatMap((other) => [[address, other.address], [other.address, address]] as const);
    this.#cut(ways);
  }

  #partition(): void {
    const { machines } = this.#cluster;
    const sides = machines.map(() => this.#unit() < 0.5);
    this.#note("partition:", sides.map((side) => side ? "a" : "b").join(""));
    this.#cut(
      machines.flatMap((from, at) =>
        machines.filter((_, other) => sides[at] !== sides[other])
          .map((to) => [from.address, to.address] as const)
      ),
    );
  }

  #cut(ways: readonly (readonly [number, number])[]): void {
    const { wire } = this.#cluster;
    for (const [from, to] of ways) wire.cut(from, to);
    this.#until(this.#scale(200, 6_000), () => {
      for (const [from, to] of ways) wire.heal(from, to);
    });
  }

  #way(): void {
    const { machines, wire } = this.#cluster;
    const from = this.#of(machines).address;
    const to = this.#of(machines).address;
    if (from === to) return;
    this.#note("cut", from, "to", to);
    wire.cut(from, to);
    this.#until(this.#scale(100, 4_000), () => wire.heal(from, to));
  }

  #transfer(machine: PlacedMachine): void {
    const { groups } = machine;
    if (groups === undefined) return;
    const led = [...groups.nodes.all].filter(({ raft }) => raft.isLeading);
    if (led.length === 0) return;
    const { raft } = this.#of(led);
    const to = this.#of(raft.configuration.voters);
    this.#note("is to hand over: group", raft.id, "to replica", to);
    machine.enter(() => void raft.transferLeader(replicaId(to)));
  }

  #image(machine: PlacedMachine): void {
    const { groups } = machine;
    if (groups === undefined) return;
    const { group } = this.#of([...groups.nodes.all]);
    this.#note("makes an image: machine", machine.address, "group", group);
    machine.enter(() => groups.nodes.writeImage(group, () => {}));
  }

  #until(afterMs: number, end: () => void): void {
    this.#cluster.world.after(afterMs, () => {
      if (!this.#isOver) end();
    });
  }

  #note(what: string, ...facts: (number | string)[]): void {
    this.#cluster.trace.note(this.#cluster.nowMs, 0, what, ...facts);
  }

  #unit(): number {
    return this.#entropy.unit();
  }

  #int(below: number): number {
    return Math.floor(this.#unit() * below);
  }

  #of<T>(items: readonly T[]): T {
    return items[this.#int(items.length)]!;
  }

  #scale(lo: number, hi: number): number {
    return lo * (hi / lo) ** this.#unit();
  }
}
