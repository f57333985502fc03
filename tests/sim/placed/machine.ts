/**
 * A machine of a cluster that grows: its disks, its data folder's membership, and the program of a node
 * that runs on it (node_program.ts).
 */
import { type RegistryError, toRegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { Registry } from "../../../src/node/registry.ts";
import type { ClusterFile } from "../../../src/node/cluster_file.ts";
import type { LogStorages } from "../../../src/node/data_folder.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import { MemoryDisk } from "../../../src/storage/memory_storage.ts";
import type { RegionLink } from "../../../src/region/region_link.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import { Machine, type Process } from "../machine.ts";
import type { Trace } from "../trace.ts";
import type { SimWorld } from "../world.ts";
import { type NodeMachine, NodeProgram } from "./node_program.ts";
import type { Owner } from "./owner.ts";
import type { MachinePlan, PlacedPlan } from "./plan.ts";
import type { EventSink } from "../../../src/store/event.ts";
import type { WatchTruth } from "./watch_truth.ts";
import type { SimWire } from "./wire.ts";

/** A start that was refused for the time being is repeated after this long, ms. */
const RESTART_MS = 300;
/** Time for requests in progress at an orderly stop, ms. */
const DRAIN_MS = 1_000;
/** Refusals of a number that a node that joins has wished. */
const NUMBER_TAKEN: readonly string[] = ["locked", "invalid_argument"];

/** The cluster as its machines use it. */
export interface MachineHost {
  readonly plan:
    & Pick<PlacedPlan, "partitionCount" | "diskMs" | "leases">
    & Partial<Pick<PlacedPlan, "isGuardTight">>;
  readonly world: SimWorld;
  readonly trace: Trace;
  readonly wire: SimWire;
  readonly machines: readonly PlacedMachine[];
  readonly nowMs: number;
  readonly stopsGroups: boolean;
  readonly truth: Pick<WatchTruth, "sinkOf">;
  /** Returns the owner at an address of the wire. */
  ownerAt(address: number): Owner | undefined;
  joined(machine: PlacedMachine): void;
  opened(machine: PlacedMachine, registry: Registry): void;
  refused(machine: PlacedMachine, error: RegistryError): void;
  receipt(machine: PlacedMachine, partition: number, point: ReadPoint): void;
  /** Makes a node's links to peer regions; absent: it follows none. */
  linkTo?(machine: Machine, process: Process, region: PeerRegion): RegionLink;
}

/** Makes a data folder: its log in empty storages, and its `cluster.json`, which it returns. */
export type Remake = (process: Process, into: LogStorages) => Promise<ClusterFile>;

/** A machine with a data folder. */
export class PlacedMachine {
  readonly plan: MachinePlan;
  readonly machine: Machine;
  program: NodeProgram | undefined;
  /** Whether its node was removed from the cluster, and has stopped for good. */
  isRemoved = false;
  /** The factor by which operations of the disk are slower. */
  diskFactor = 1;
  readonly #cluster: MachineHost;
  readonly #entropy: SeededEntropy;
  #disk: MemoryDisk;
  #markDisk: MemoryDisk;
  #file: ClusterFile | undefined;
  #wishedNumber: number;
  /** Whether an empty folder founds a cluster. */
  #founds: boolean;
  /** The machine that it asks to join; undefined: any that is a member. */
  #sponsor: PlacedMachine | undefined;
  /** Makes the folder anew before the next start. */
  #remake: Remake | undefined;

  constructor(cluster: MachineHost, plan: MachinePlan, seed: number) {
    this.plan = plan;
    this.#cluster = cluster;
    this.#entropy = new SeededEntropy(seed);
    this.#wishedNumber = plan.wishedNumber;
    this.#founds = plan.founds ?? plan.address === 1;
    this.machine = new Machine(cluster.world, {
      id: plan.address,
      clock: plan.clock,
      seed: this.#entropy.uint32(),
      onKilled: () => this.kill(),
    });
    this.#disk = this.#newDisk();
    this.#markDisk = this.#newDisk();
  }

  #newDisk(): MemoryDisk {
    const disk = new MemoryDisk();
    disk.reorder = this.#entropy;
    disk.delayMs = ({ kind }) => {
      const { diskMs } = this.#cluster.plan;
      const base = kind === "sync" || kind === "syncFolder" ? diskMs : diskMs / 10;
      return base * (0.5 + this.#entropy.unit()) * this.diskFactor;
    };
    return disk;
  }

  /** The disk with its log. */
  get disk(): MemoryDisk {
    return this.#disk;
  }

  /** The disk with the marks of its log. */
  get markDisk(): MemoryDisk {
    return this.#markDisk;
  }

  /** Its `cluster.json`. */
  get file(): ClusterFile | undefined {
    return this.#file;
  }

  /** Its address on the wire. */
  get address(): number {
    return this.plan.address;
  }

  /** Its number in the cluster; 0 while it has none. */
  get nodeId(): number {
    return this.#file?.membership?.nodeId ?? (this.#founds ? 1 : 0);
  }

  get isUp(): boolean {
    return this.machine.state === "up";
  }

  /** The registry, while the program is open and runs. */
  get registry(): Registry | undefined {
    return this.isUp ? this.program?.registry : undefined;
  }

  /** The groups, while the program is open and runs. */
  get groups(): ClusterGroups | undefined {
    return this.registry?.groups;
  }

  /** Whether it serves clients now. */
  get isServing(): boolean {
    return this.isUp && this.program?.isServing === true;
  }

  /** Starts the program; does nothing if it runs. */
  start(): void {
    if (this.machine.state !== "down" || this.isRemoved) return;
    const process = this.machine.start();
    // Everything that a program does may settle a promise.
    this.machine.openPromises = 1;
    if (this.#remake !== undefined) return this.#makeAnew(process, this.#remake);
    this.#note("starts");
    const program = new NodeProgram(this.#options(), process);
    this.program = program;
    process.enter(() => {
      program.start().then(
        () => this.#note("serves"),
        (error) => this.#refused(program, error),
      );
    });
  }

  /**
   * Loses the data folder: the next start is that of an empty machine. Its program must have ended.
   *
   * @param sponsor the machine that it asks to join; undefined: it founds a cluster.
   */
  lose(sponsor: PlacedMachine | undefined): void {
    this.#note("has lost its data folder");
    [this.#disk, this.#markDisk] = [this.#newDisk(), this.#newDisk()];
    this.#file = undefined;
    this.#founds = sponsor === undefined;
    this.#sponsor = sponsor;
    this.#remake = undefined;
    // Its number may be that of a node that was removed.
    this.#wishedNumber = 0;
    this.isRemoved = false;
  }

  /** Has the next start make the data folder anew, once more if it is killed meanwhile. */
  remake(how: Remake): void {
    this.#remake = how;
  }

  #makeAnew(process: Process, remake: Remake): void {
    this.#note("makes its data folder anew");
    const [disk, markDisk] = [this.#newDisk(), this.#newDisk()];
    const into = { storage: disk.open(process), markStorage: markDisk.open(process) };
    process.enter(() => {
      remake(process, into).then((file) => {
        if (!process.isAlive) return;
        this.#remake = undefined;
        this.kill();
        [this.#disk, this.#markDisk, this.#file] = [disk, markDisk, file];
        // There is nobody to join.
        this.#founds = true;
        this.isRemoved = false;
        this.start();
      }, (error) => this.#cluster.world.fail(error));
    });
  }

  /** Ends the program; what it wrote is in the page cache. */
  kill(): void {
    if (this.machine.state === "down") return;
    this.#note("is killed");
    this.#end();
    this.disk.kill(this.#entropy);
    this.markDisk.kill(this.#entropy);
  }

  /** The power fails: any part of what was not synced survives. */
  cutPower(): void {
    if (this.machine.state === "down") return;
    this.#note("loses its power");
    this.#end();
    this.disk.crash(this.#entropy);
    this.markDisk.crash(this.#entropy);
  }

  /** Stops the program in order, as an operator does; `then` follows unless it is killed before. */
  stop(then: () => void): void {
    this.enter((program) => {
      this.#note("is stopped");
      program.stop(DRAIN_MS).then(() => {
        if (this.program !== program) return;
        this.#note("has stopped");
        this.#end();
        this.disk.kill(this.#entropy);
        this.markDisk.kill(this.#entropy);
        then();
      }, (error) => this.#cluster.world.fail(error));
    });
  }

  stand(kind: "pause" | "suspend"): void {
    if (!this.isUp) return;
    this.#note(kind);
    this.machine[kind]();
  }

  resume(): void {
    if (this.machine.state !== "paused" && this.machine.state !== "suspended") return;
    this.#note("goes on");
    this.machine.resume();
  }

  /** Runs something in the program. */
  enter(run: (program: NodeProgram) => void): void {
    const { program } = this;
    program?.process.enter(() => run(program));
  }

  #end(): void {
    this.machine.kill();
    this.program = undefined;
  }

  #options(): NodeMachine {
    const { plan, wire, world } = this.#cluster;
    const linkTo = this.#cluster.linkTo?.bind(this.#cluster);
    const { address, zone } = this.plan;
    const fileOf = () => this.#file;
    const setFile = (file: ClusterFile | undefined) => {
      const before = this.nodeId;
      this.#file = file;
      if (file?.membership === undefined || before === this.nodeId) return;
      this.#note("is node", this.nodeId, "replica", file.membership.replica);
      world.guard(() => this.#cluster.joined(this));
    };
    return {
      machine: this.machine,
      address,
      wire,
      disk: this.disk,
      markDisk: this.markDisk,
      get file() {
        return fileOf();
      },
      set file(file) {
        setFile(file);
      },
      partitionCount: plan.partitionCount,
      zone,
      leases: plan.leases,
      isGuardTight: plan.isGuardTight === true,
      wishedNumber: this.#wishedNumber,
      events: guarded(this.#cluster.truth.sinkOf(address), world),
      region: this.plan.region ?? "eu",
      joins: this.#founds ? 0 : this.#target(),
      ...(linkTo === undefined ? {} : { linkTo: (...to) => linkTo(this.machine, ...to) }),
      ownerAt: (from) => this.#cluster.ownerAt(from),
      onOpened: (registry) => {
        this.#note(registry.created ? "has founded the cluster" : "has its groups");
        world.guard(() => this.#cluster.opened(this, registry));
      },
      onReceipt: (partition, point) => this.#cluster.receipt(this, partition, point),
      onBug: (message, cause) => {
        if (this.#cluster.stopsGroups) return;
        world.fail(new Error(`Machine ${address}: ${message}`, cause ? { cause } : {}));
      },
      onRemoved: () => {
        this.isRemoved = true;
        this.#note("was removed from the cluster");
        // In a turn of its own, as an operator's supervisor does.
        world.soon(() => this.stop(() => {}));
      },
      onPoisoned: () => {
        this.#note("must be started anew: its log is poisoned");
        const { program } = this;
        world.after(RESTART_MS, () => {
          if (this.program !== program) return;
          this.kill();
          this.start();
        });
      },
    };
  }

  /** Draws the machine that it asks to join. */
  #target(): number {
    if (this.#sponsor !== undefined) return this.#sponsor.address;
    const members = this.#cluster.machines.filter((other) => other !== this && other.nodeId !== 0);
    return members[Math.floor(this.#entropy.unit() * members.length)]!.address;
  }

  #refused(program: NodeProgram, cause: unknown): void {
    if (this.program !== program) return;
    const error = toRegistryError(cause);
    this.#note("cannot start:", error.code, error.message);
    if (this.#wishedNumber !== 0 && NUMBER_TAKEN.includes(error.code)) this.#wishedNumber = 0;
    else this.#cluster.refused(this, error);
    this.kill();
    this.#cluster.world.after(RESTART_MS, () => this.start());
  }

  #note(what: string, ...facts: (number | string)[]): void {
    this.#cluster.trace.note(this.#cluster.nowMs, this.address, what, ...facts);
  }
}

/** Returns a sink whose findings end the run, as a sink must not throw. */
function guarded(sink: EventSink, world: SimWorld): EventSink {
  return {
    onEvent: (event) => world.guard(() => sink.onEvent(event)),
    onBegin: (partition, index) => world.guard(() => sink.onBegin(partition, index)),
  };
}
