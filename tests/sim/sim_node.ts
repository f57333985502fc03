/**
 * A node of a simulated cluster: a machine, a disk and the program that runs on them now, and the
 * faults of all three.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import type { NodeId } from "../../src/base/ids.ts";
import type { PeerLinks } from "../../src/replication/group_host.ts";
import type { GroupSettings } from "../../src/replication/group_set.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import type { StorageOperation } from "../../src/storage/storage.ts";
import { checkKilledLog } from "./killed_log.ts";
import type { NodeOutage, NodeState, NodeView, ReplicaView } from "./history.ts";
import { Machine, type MachineClock } from "./machine.ts";
import type { NetworkEnd, SimNetwork } from "./network.ts";
import { type NodeEvents, NodeRun } from "./node_run.ts";
import { OutageWatch } from "./outages.ts";
import type { DiskPlan } from "./plan.ts";
import type { PlacedReplica, Placement } from "./placement.ts";
import type { Reply, Request } from "./service.ts";
import type { Trace } from "./trace.ts";
import type { SimWorld } from "./world.ts";

/** Time after which a refused start, or a poisoned log, leads to a new start, ms. */
const RESTART_MS = 300;

/** The parts of the cluster that a node uses. */
export interface SimNodeOptions {
  readonly id: number;
  readonly world: SimWorld;
  readonly network: SimNetwork;
  readonly placement: Placement;
  readonly trace: Trace;
  readonly clock: MachineClock;
  readonly disk: DiskPlan;
  readonly settings: GroupSettings;
  readonly leases: boolean;
  readonly seed: number;
  readonly events: Omit<NodeEvents, "started" | "refused" | "poisoned">;
  readonly started: (node: SimNode) => void;
  readonly outage: (outage: NodeOutage) => void;
}

/** A node. */
export class SimNode implements NodeView, NetworkEnd {
  readonly id: number;
  readonly machine: Machine;
  readonly disk = new MemoryDisk();
  program: NodeRun | undefined;
  /** Factor of the duration of disk operations; Infinity: syncs do not return. */
  get diskFactor(): number {
    return this.#diskFactor;
  }

  set diskFactor(factor: number) {
    this.#diskFactor = factor;
    this.#stuckSinceMs = undefined;
  }
  /** The next operation of that kind fails. */
  fails: "sync" | "write" | undefined;
  /** Writes of the log do not return until the disk releases them. */
  holdsWrites = false;
  /** Undoes each damage that may keep the node from starting. */
  repairs: (() => void)[] = [];
  readonly #options: SimNodeOptions;
  readonly #entropy: SeededEntropy;
  /** Separate, so that values drawn from it do not change the rest of the run. */
  readonly #lossEntropy: SeededEntropy;
  #diskFactor = 1;
  /** The time, by the machine's clock, at which a write or a sync of the log began that does not return. */
  #stuckSinceMs: number | undefined;
  #end: () => void = () => {};
  #frozenMs: number | undefined;
  readonly #outages: OutageWatch;
  readonly #owners = new Map<number, PlacedReplica>();

  constructor(options: SimNodeOptions) {
    this.#options = options;
    const { clock, id, seed, world } = options;
    this.id = id;
    this.#outages = new OutageWatch(id, options.outage);
    this.#entropy = new SeededEntropy(seed);
    this.#lossEntropy = new SeededEntropy(~seed >>> 0);
    this.machine = new Machine(world, {
      id,
      clock,
      seed: this.#entropy.uint32(),
      onKilled: () => this.#end(),
    });
    this.disk.reorder = this.#entropy;
    this.disk.poisons = options.disk.poisons;
    this.disk.sectorBytes = this.#entropy.unit() < 0.5 ? 512 : 4_096;
    this.disk.delayMs = (operation) => this.#delayMs(operation);
    this.disk.intercept = (operation) => {
      const isOfLog = "file" in operation && operation.file.startsWith("log-");
      if (this.holdsWrites && operation.kind === "write" && isOfLog && this.isUp) {
        this.#stuckSinceMs ??= this.machine.monotonicMs();
        return "hold";
      }
      if (operation.kind !== this.fails || !this.isUp) return undefined;
      this.fails = undefined;
      this.#note(`a ${operation.kind} fails:`, operation.file);
      return "io";
    };
  }

  get state(): NodeState {
    return this.machine.state;
  }

  get run(): number {
    return this.machine.run;
  }

  get replicas(): readonly ReplicaView[] {
    return this.program?.replicas ?? NO_REPLICAS;
  }

  get stuckMs(): number {
    const isStuck = this.diskFactor === Infinity || this.holdsWrites;
    if (!isStuck || this.#stuckSinceMs === undefined) return 0;
    return this.machine.monotonicMs() - this.#stuckSinceMs;
  }

  get isUp(): boolean {
    return this.machine.state === "up";
  }

  // Faults.

  /** Starts the program; does nothing if it is running. */
  start(): void {
    if (this.state !== "down") return;
    const { leases, network, placement, settings, world } = this.#options;
    const process = this.machine.start();
    this.#note("starts, run", this.run);
    this.program = new NodeRun({
      nodeId: this.id,
      process,
      storage: this.disk.open(process),
      peers: this.#peers(),
      placement,
      owners: this.#owners,
      settings,
      leases,
      events: this.#events(),
      stepOf: () => world.steps,
      waitsFor: (change) => void (this.machine.openPromises += change),
      guard: (run) => world.guard(run),
    });
    const { program } = this;
    process.enter(() => program.open());
    network.started(this.id);
  }

  /** Ends the program; its writes stay in the page cache. */
  kill(): void {
    if (this.state === "down") return;
    this.#note("is killed");
    const isAnswered = this.#isAnswered;
    this.#stop();
    this.disk.kill(this.#entropy);
    if (isAnswered) {
      const { world } = this.#options;
      world.guard(() => checkKilledLog(this.disk, this.id, this.#lossEntropy));
    }
  }

  /** True while everything handed to the log has been acknowledged, and so must be kept. */
  get #isAnswered(): boolean {
    const { isUnmarked, log } = this.program ?? {};
    if (log === undefined || isUnmarked) return false;
    const { pendingBytes, poisoned, writable } = log.stats();
    return pendingBytes === 0 && writable && !poisoned;
  }

  /** Cuts the power: any part of the unsynced data survives. */
  cutPower(): void {
    if (this.state === "down") return;
    this.#note("loses its power");
    this.#stop();
    this.disk.crash(this.#entropy);
  }

  /**
   * Calls `end` after some more turns, and so in the middle of an operation; Infinity cancels it.
   */
  endWithin(turns: number, end: () => void = () => {}): void {
    this.machine.turnsLeft = turns;
    this.#end = end;
  }

  /** Stops everything in the program; its clocks advance. */
  pause(): void {
    if (!this.isUp) return;
    this.#note("is paused");
    this.machine.pause();
    this.#stands();
  }

  /** Stops everything except the wall clock. */
  suspend(): void {
    if (!this.isUp) return;
    this.#note("is suspended");
    this.machine.suspend();
    this.#stands();
  }

  /** Stops everything including the clocks, so that the program cannot notice it. */
  freeze(): void {
    if (!this.isUp) return;
    this.#note("is frozen");
    this.#frozenMs = this.#options.world.nowMs;
    this.machine.suspend();
    this.#stands();
  }

  #stands(): void {
    this.#outages.stands(this.#options.world.nowMs);
    this.#options.network.stood(this.id);
  }

  /** Checks the state of the log after something ran on this node. */
  look(): void {
    const { log } = this.program ?? {};
    if (log === undefined || !this.isUp) return;
    this.#outages.look(this.#options.world.nowMs, log.stats(), this.#options.clock.rate);
  }

  /** Ends a pause or a suspension. */
  resume(): void {
    if (this.state !== "paused" && this.state !== "suspended") return;
    this.#note("goes on");
    if (this.#frozenMs !== undefined) {
      this.machine.jumpWall(this.#frozenMs - this.#options.world.nowMs);
    }
    this.#outages.goesOn(this.#options.world.nowMs, this.#frozenMs === undefined);
    this.#frozenMs = undefined;
    this.machine.resume();
    this.#options.network.started(this.id);
  }

  #stop(): void {
    this.#stuckSinceMs = undefined;
    this.#outages.restarted();
    this.machine.kill();
    this.program = undefined;
    this.#frozenMs = undefined;
    this.#options.network.stopped(this.id);
  }

  // Input.

  receive(from: number, frame: Uint8Array): void {
    this.#enter((peers) => peers.receive(from as NodeId, frame));
  }

  receiveImage(from: number, header: Uint8Array, image: Uint8Array): void {
    this.#note("is sent an image by node", from);
    this.#enter((peers) => peers.receiveImage(from as NodeId, header, image));
  }

  connected(peer: number): void {
    this.#enter((peers) => peers.peerConnected(peer as NodeId));
  }

  lost(peer: number): void {
    this.#enter((peers) => peers.peerLost(peer as NodeId));
  }

  /** Serves a client's request. */
  serve(request: Request, answer: (reply: Reply) => void): void {
    this.enter(({ service }) => service.serve(request, answer));
  }

  /** Adds a replica that was placed here; a node that is down does so at its start. */
  take(placed: PlacedReplica): void {
    this.enter((program) => program.take(placed));
  }

  /** Ends a replica that was removed from its group; a node that is down does so at its start. */
  drop(placed: PlacedReplica): void {
    this.enter((program) => program.drop(placed));
  }

  /** Runs code in the program if it serves; otherwise does nothing. */
  enter(run: (program: NodeRun) => void): void {
    const { process } = this.machine;
    const { program } = this;
    if (process === undefined || program === undefined) return;
    process.enter(() => {
      if (program.isServing) run(program);
    });
  }

  /** Asks the program for a promise, and passes on its value if it ever settles. */
  wait<T>(ask: () => Promise<T>, settled: (value: T) => void): void {
    const { machine } = this;
    const { process } = machine;
    const { world } = this.#options;
    this.enter(() => {
      machine.openPromises++;
      ask().then((value) => {
        if (machine.process !== process) return;
        machine.openPromises--;
        world.guard(() => settled(value));
      });
    });
  }

  #enter(run: (peers: NonNullable<NodeRun["peers"]>) => void): void {
    const { process } = this.machine;
    const { program } = this;
    // A suspended machine takes nothing from the network.
    if (process === undefined || program === undefined || this.state === "suspended") return;
    process.enter(() => {
      if (program.peers !== undefined) run(program.peers);
    });
  }

  // State of the node within its cluster.

  #peers(): PeerLinks {
    const { network } = this.#options;
    const process = this.machine.process!;
    return {
      send: (to, frame) => network.send(this.id, to, frame),
      sendImage: (to, header, image, done) =>
        network.sendImage(
          this.id,
          to,
          { header, image },
          (delivered) => process.enter(() => done(delivered)),
        ),
    };
  }

  #events(): NodeEvents {
    const { world } = this.#options;
    const run = this.run;
    const again = () => {
      if (this.run === run) this.start();
    };
    return {
      ...this.#options.events,
      started: () => {
        this.#note("serves");
        this.#options.started(this);
      },
      refused: (error) => {
        this.#note("cannot start:", error.message);
        this.kill();
        if (error.code === "storage_unavailable") {
          world.after(RESTART_MS, again);
          return;
        }
        if (this.repairs.length === 0) {
          return world.fail(new Error(`Node ${this.id} cannot start: ${error.message}`));
        }
        for (const repair of this.repairs) repair();
        this.repairs = [];
        world.after(RESTART_MS, again);
      },
      poisoned: () => {
        this.#note("must be started anew: its log is poisoned");
        world.after(RESTART_MS, () => {
          if (this.run !== run) return;
          // A restart either keeps the page cache, or boots the machine anew.
          if (this.#entropy.unit() < 0.5) this.kill();
          else this.cutPower();
          again();
        });
      },
    };
  }

  #delayMs(operation: StorageOperation): number {
    const { kind } = operation;
    const { delayMs, jitterMs } = this.#options.disk;
    if (this.diskFactor === Infinity && kind === "sync" && operation.file.startsWith("log-")) {
      this.#stuckSinceMs ??= this.machine.monotonicMs();
    }
    const isWait = kind === "sync" || kind === "syncFolder";
    const base = isWait ? delayMs - jitterMs * Math.log(1 - this.#entropy.unit()) : delayMs / 10;
    return isWait || this.diskFactor !== Infinity ? base * this.diskFactor : base;
  }

  #note(what: string, ...facts: (number | string)[]): void {
    this.#options.trace.note(this.#options.world.nowMs, this.id, what, ...facts);
  }
}

const NO_REPLICAS: readonly ReplicaView[] = [];
