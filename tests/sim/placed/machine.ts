/**
 * A machine of a cluster that grows: its disk, its data folder's membership, and the program that runs
 * on it: joins if it is to, opens its groups as a node does, and takes part in the placement.
 */
import type { JoinClusterReply, JoinClusterRequest } from "../../../schemas/gen/wire.ts";
import { bytesEqual } from "../../../src/base/bytes.ts";
import { RegistryError, toRegistryError } from "../../../src/base/errors.ts";
import { nodeId as toNodeId, replicaId } from "../../../src/base/ids.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import type { PeerInput } from "../../../src/replication/group_host.ts";
import { FOUNDER_REPLICA } from "../../../src/replication/log_entry.ts";
import { Joining } from "../../../src/replication/placement/joining.ts";
import { PlacementWork } from "../../../src/replication/placement/placement_work.ts";
import type { MadeChange } from "../../../src/replication/placement/plan.ts";
import { MemoryDisk } from "../../../src/storage/memory_storage.ts";
import { StoreShared } from "../../../src/store/shared.ts";
import { Machine, type Process } from "../machine.ts";
import type { NetworkEnd, SimNetwork } from "../network.ts";
import type { Trace } from "../trace.ts";
import type { SimWorld } from "../world.ts";
import type { MachinePlan, PlacedPlan } from "./plan.ts";

/** A start that was refused for the time being is repeated after this long, ms. */
const RESTART_MS = 300;
/** The time limit for the answer of another node, ms. */
const ANSWER_MS_MAX = 2_000;
const JOIN_RETRY_MS = 200;
/** The interval at which a program compares itself with group 0 and records members, ms. */
const LOOK_MS = 100;
const NO_PIN = new Uint8Array(32);
const NO_CLUSTER = new Uint8Array(16);

/** The membership recorded in the data folder; durable at once. */
interface Membership {
  readonly reply: Pick<JoinClusterReply, "nodeId" | "replica" | "clusterId" | "systemReplicas">;
  readonly isNew: boolean;
}

/** The program while it runs. */
export interface Program {
  readonly process: Process;
  input: PeerInput | undefined;
  groups: ClusterGroups | undefined;
  work: PlacementWork | undefined;
  joining: Joining | undefined;
  /** Node ids with a session. */
  readonly connected: Set<number>;
}

/** The cluster as its machines use it. */
export interface MachineHost {
  readonly plan: PlacedPlan;
  readonly world: SimWorld;
  readonly trace: Trace;
  readonly network: SimNetwork;
  readonly machines: readonly PlacedMachine[];
  readonly nowMs: number;
  machine(address: number): PlacedMachine;
  /** Returns the address of a node; undefined if no machine knows that it has that number. */
  addressOf(node: number): number | undefined;
  joined(machine: PlacedMachine): void;
  opened(machine: PlacedMachine, groups: ClusterGroups): void;
  refused(machine: PlacedMachine, error: RegistryError): void;
  /** Sends a request to join, and its answer back, if neither is lost. */
  askJoin(
    from: number,
    to: PlacedMachine,
    request: JoinClusterRequest,
    answer: (reply: JoinClusterReply | RegistryError) => void,
  ): void;
  /** Sends a report of changes to a node, and its answer back, if neither is lost. */
  askReport(
    from: number,
    node: number,
    made: readonly MadeChange[],
    answer: (error: RegistryError | undefined) => void,
  ): void;
}

/** A machine with a data folder. */
export class PlacedMachine implements NetworkEnd {
  readonly plan: MachinePlan;
  readonly machine: Machine;
  readonly disk = new MemoryDisk();
  readonly folderId: Uint8Array;
  membership: Membership | undefined;
  program: Program | undefined;
  /** The factor by which operations of the disk are slower. */
  diskFactor = 1;
  readonly #cluster: MachineHost;
  readonly #entropy: SeededEntropy;
  #wishedNumber: number;

  constructor(cluster: MachineHost, plan: MachinePlan, seed: number) {
    this.plan = plan;
    this.#cluster = cluster;
    this.#entropy = new SeededEntropy(seed);
    this.#wishedNumber = plan.wishedNumber;
    this.folderId = new Uint8Array(16);
    this.#entropy.fill(this.folderId);
    this.machine = new Machine(cluster.world, {
      id: plan.address,
      clock: plan.clock,
      seed: this.#entropy.uint32(),
      onKilled: () => this.kill(),
    });
    this.disk.reorder = this.#entropy;
    this.disk.delayMs = ({ kind }) => {
      const { diskMs } = cluster.plan;
      const base = kind === "sync" || kind === "syncFolder" ? diskMs : diskMs / 10;
      return base * (0.5 + this.#entropy.unit()) * this.diskFactor;
    };
  }

  /** Its address in the network. */
  get address(): number {
    return this.plan.address;
  }

  /** Its number in the cluster; 0 while it has none. */
  get nodeId(): number {
    return this.membership?.reply.nodeId ?? (this.address === 1 ? 1 : 0);
  }

  get isUp(): boolean {
    return this.machine.state === "up";
  }

  /** The groups, while the program is open and runs. */
  get groups(): ClusterGroups | undefined {
    return this.isUp ? this.program?.groups : undefined;
  }

  // What befalls it.

  /** Starts the program; does nothing if it runs. */
  start(): void {
    if (this.machine.state !== "down") return;
    const process = this.machine.start();
    // Everything that a program does may settle a promise.
    this.machine.openPromises = 1;
    this.#note("starts");
    this.program = {
      process,
      input: undefined,
      groups: undefined,
      work: undefined,
      joining: undefined,
      connected: new Set(),
    };
    const { program } = this;
    process.enter(() => {
      if (this.nodeId === 0) this.#join(program);
      else this.#open(program);
    });
    this.#cluster.network.started(this.address);
  }

  /** Ends the program; what it wrote is in the page cache. */
  kill(): void {
    if (this.machine.state === "down") return;
    this.#note("is killed");
    this.#end();
    this.disk.kill(this.#entropy);
  }

  /** The power fails: any part of what was not synced survives. */
  cutPower(): void {
    if (this.machine.state === "down") return;
    this.#note("loses its power");
    this.#end();
    this.disk.crash(this.#entropy);
  }

  stand(kind: "pause" | "suspend"): void {
    if (!this.isUp) return;
    this.#note(kind);
    this.machine[kind]();
    this.#cluster.network.stood(this.address);
  }

  resume(): void {
    if (this.machine.state !== "paused" && this.machine.state !== "suspended") return;
    this.#note("goes on");
    this.machine.resume();
    this.#cluster.network.started(this.address);
  }

  /** Runs something in the program. */
  enter(run: (program: Program) => void): void {
    const { program } = this;
    program?.process.enter(() => run(program));
  }

  #end(): void {
    this.machine.kill();
    this.program = undefined;
    this.#cluster.network.stopped(this.address);
  }

  // What reaches it.

  receive(from: number, frame: Uint8Array): void {
    this.#input(from, (input, node) => input.receive(toNodeId(node), frame));
  }

  receiveImage(from: number, header: Uint8Array, image: Uint8Array): void {
    this.#input(from, (input, node) => input.receiveImage(toNodeId(node), header, image));
  }

  connected(peer: number): void {
    const node = this.#cluster.machine(peer).nodeId;
    if (node === 0) return;
    this.enter((program) => {
      program.connected.add(node);
      program.work?.balance.disturbed();
      program.input?.peerConnected(toNodeId(node));
    });
  }

  lost(peer: number): void {
    const node = this.#cluster.machine(peer).nodeId;
    if (node === 0) return;
    this.enter((program) => {
      program.connected.delete(node);
      program.work?.balance.disturbed();
      program.input?.peerLost(toNodeId(node));
    });
  }

  /** Serves a request to join; answers later, or never. */
  serveJoin(
    request: JoinClusterRequest,
    from: "self" | "other",
    answer: (reply: JoinClusterReply | RegistryError) => void,
  ): void {
    this.enter(({ joining }) => {
      joining?.join(request, from).then(answer, (error) => answer(toRegistryError(error)));
    });
  }

  /** Takes a report of changes from the machine with that address. */
  serveReport(
    from: number,
    made: readonly MadeChange[],
    answer: (error?: RegistryError) => void,
  ): void {
    const node = this.#cluster.machine(from).nodeId;
    this.enter(({ work }) => {
      work?.runner.confirm(made, node)
        .then(() => answer(), (error) => answer(toRegistryError(error)));
    });
  }

  #input(from: number, run: (input: PeerInput, node: number) => void): void {
    const node = this.#cluster.machine(from).nodeId;
    if (node === 0 || this.machine.state === "suspended") return;
    this.enter(({ input }) => {
      if (input !== undefined) run(input, node);
    });
  }

  // What the program does.

  #request(nodeId: number): JoinClusterRequest {
    return {
      nodeId,
      folderId: this.folderId,
      clusterId: this.membership?.reply.clusterId ?? NO_CLUSTER,
      region: "eu",
      partitionCount: this.#cluster.plan.partitionCount,
      zone: this.plan.zone,
      host: "",
      applyVersionMax: 2,
      addresses: [],
      pin: NO_PIN,
      nextPin: NO_PIN,
    };
  }

  #join(program: Program): void {
    const { machines, world } = this.#cluster;
    const again = (afterMs: number) =>
      void program.process.after(afterMs, () => {
        if (this.nodeId === 0) this.#join(program);
      });
    if (this.#cluster.nowMs < this.plan.joinsAtMs) {
      return again(this.plan.joinsAtMs - this.#cluster.nowMs + 1);
    }
    for (let count = 0; count < this.plan.asksAtOnce; count++) {
      const others = machines.filter((other) => other !== this && other.nodeId !== 0);
      const asked = others[Math.floor(this.#entropy.unit() * others.length)]!;
      this.#cluster.askJoin(this.address, asked, this.#request(this.#wishedNumber), (reply) => {
        program.process.enter(() => world.guard(() => this.#answered(program, reply)));
      });
    }
    again(JOIN_RETRY_MS + ANSWER_MS_MAX * this.#entropy.unit());
  }

  #answered(program: Program, reply: JoinClusterReply | RegistryError): void {
    if (this.nodeId !== 0) return;
    if (reply instanceof RegistryError) {
      // The number has another folder, or this folder another number.
      const isOfNumber = reply.code === "locked" || reply.code === "invalid_argument";
      if (isOfNumber) this.#wishedNumber = 0;
      return;
    }
    this.#note("is node", reply.nodeId, "replica", reply.replica);
    this.membership = { reply, isNew: true };
    this.#cluster.joined(this);
    this.#open(program);
    for (const peer of machinesWithSession(this.#cluster, this)) {
      this.connected(peer.address);
      peer.connected(this.address);
    }
  }

  #open(program: Program): void {
    const isRunning = () => this.program === program;
    ClusterGroups.open(this.#options(program)).then(
      (groups) => {
        if (isRunning()) this.#cluster.world.guard(() => this.#opened(program, groups));
      },
      (error) => {
        if (isRunning()) this.#cluster.world.guard(() => this.#refused(toRegistryError(error)));
      },
    );
  }

  #options(program: Program): Parameters<typeof ClusterGroups.open>[0] {
    const { plan, network, world } = this.#cluster;
    const { process } = program;
    const { membership } = this;
    const { reply } = membership ?? {};
    const isFounder = reply === undefined || reply.replica === FOUNDER_REPLICA;
    const nodes = new Map(reply?.systemReplicas.map(({ replica, nodeId }) => [replica, nodeId]));
    const nodeOf = (replica: number) => {
      const node = nodes.get(replica);
      return node === undefined ? undefined : toNodeId(node);
    };
    const poisoned = () => {
      this.#note("must be started anew: its log is poisoned");
      world.after(RESTART_MS, () => {
        if (this.program !== program) return;
        this.kill();
        this.start();
      });
    };
    return {
      nodeId: toNodeId(this.nodeId),
      world: process,
      logger: SILENT_LOGGER,
      log: { storage: this.disk.open(process) },
      logEvents: { cut: () => {}, poisoned, writable: () => {}, synced: () => {} },
      leases: plan.leases,
      onFailure: (group, error) =>
        world.fail(new Error(`Node ${this.nodeId} quarantines group ${group}`, { cause: error })),
      peers: {
        send: (to, frame) => {
          const other = this.#cluster.addressOf(to);
          if (other !== undefined) network.send(this.address, other, frame);
        },
        sendImage: (to, header, image, done) => {
          const other = this.#cluster.addressOf(to);
          const ended = (delivered: boolean) => process.enter(() => done(delivered));
          if (other === undefined) return process.nextTurn(() => done(false));
          this.#note("sends an image to node", to);
          network.sendImage(this.address, other, { header, image }, ended);
        },
      },
      connect: (input) => {
        program.input = input;
        for (const node of program.connected) input.peerConnected(toNodeId(node));
      },
      shared: new StoreShared({ bytesMax: 2 ** 22, hashSeed: new Uint8Array(16) }),
      sink: { onEvent: () => {} },
      region: "eu",
      partitionCount: plan.partitionCount,
      ...(isFounder ? {} : {
        joined: {
          replica: replicaId(reply.replica),
          isNew: membership!.isNew,
          directory: { nodeOf },
        },
      }),
    };
  }

  #opened(program: Program, groups: ClusterGroups): void {
    const { process } = program;
    this.#note(groups.created ? "has founded the cluster" : "serves");
    this.#cluster.opened(this, groups);
    if (this.membership === undefined) {
      const { clusterId } = groups.system.store.genesis!;
      const systemReplicas = [{ replica: FOUNDER_REPLICA, nodeId: 1 }];
      const reply = { nodeId: 1, replica: FOUNDER_REPLICA, clusterId, systemReplicas };
      this.membership = { reply, isNew: false };
    } else this.membership = { ...this.membership, isNew: false };
    program.groups = groups;
    program.joining = new Joining(groups, process.wall);
    program.work = new PlacementWork({
      groups,
      self: toNodeId(this.nodeId),
      world: process,
      logger: SILENT_LOGGER,
      onPlace: () => {},
      report: (node, made) => this.#report(program, node, made),
      isConnected: (node) => program.connected.has(node),
    });
    program.work.start();
    groups.nodes.startCompaction();
    this.#look(program, groups, -1);
  }

  /** Records the members, and asks group 0 to describe this node until it does. */
  #look(program: Program, groups: ClusterGroups, seenRing: number): void {
    const { state, ringNumber } = groups.system.store;
    if (ringNumber !== seenRing && state.members.has(this.nodeId)) {
      const { systemReplicas } = program.joining!.describe();
      const { reply } = this.membership!;
      this.membership = { ...this.membership!, reply: { ...reply, systemReplicas } };
    }
    const admission = state.members.admission(this.nodeId);
    const isKnown = admission !== undefined && bytesEqual(admission.folderId, this.folderId);
    const leader = this.#cluster.machines.find(({ nodeId }) =>
      nodeId !== 0 && nodeId === groups.system.group.status().leader
    );
    if (!isKnown && leader !== undefined) {
      this.#cluster.askJoin(this.address, leader, this.#request(this.nodeId), () => {});
    }
    const waitMs = isKnown ? LOOK_MS : 5 * LOOK_MS;
    program.process.after(waitMs, () => this.#look(program, groups, ringNumber));
  }

  #report(program: Program, node: number, made: readonly MadeChange[]): Promise<void> {
    const { process } = program;
    return new Promise((resolve, reject) => {
      const timer = process.after(
        ANSWER_MS_MAX,
        () => reject(new RegistryError("deadline_exceeded", "No answer to a report")),
      );
      this.#cluster.askReport(this.address, node, made, (error) =>
        process.enter(() => {
          timer.cancel();
          if (error === undefined) resolve();
          else reject(error);
        }));
    });
  }

  #refused(error: RegistryError): void {
    this.#note("cannot start:", error.code, error.message);
    this.#cluster.refused(this, error);
    this.kill();
    this.#cluster.world.after(RESTART_MS, () => this.start());
  }

  #note(what: string, ...facts: (number | string)[]): void {
    this.#cluster.trace.note(this.#cluster.nowMs, this.address, what, ...facts);
  }
}

function machinesWithSession(
  { machines, network }: MachineHost,
  self: PlacedMachine,
): PlacedMachine[] {
  return machines.filter((other) =>
    other !== self && network.hasSession(self.address, other.address)
  );
}
