/** A region of a simulation: the machines of its cluster, its operator, and a client that writes records. */
import { RegistryError } from "../../../src/base/errors.ts";
import type { Registry } from "../../../src/node/registry.ts";
import { partitionId } from "../../../src/base/ids.ts";
import { NO_POSITION, type Position } from "../../../src/base/position.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { connectCaller } from "../../../src/client/client.ts";
import type { OperationCaller } from "../../../src/client/invoker.ts";
import { DialedRegion } from "../../../src/region/dialed_region.ts";
import type { RegionLink } from "../../../src/region/region_link.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import { agentCodec } from "../../../schemas/gen/record.ts";
import { KIND_MIRROR } from "../../../src/record/key.ts";
import type { PartitionStore } from "../../../src/store/store.ts";
import { agentBytes, idOf } from "../../support/store.ts";
import { Machine, type Process } from "../machine.ts";
import { type MachineHost, PlacedMachine } from "../placed/machine.ts";
import { clientPortOf } from "../placed/node_program.ts";
import {
  type GroupImages,
  recoveredAlone,
  type RemadeCluster,
  restoredFrom,
  takeImages,
} from "../placed/remade.ts";
import { type SimWire, WIRE_HOST } from "../placed/wire.ts";
import type { Trace } from "../trace.ts";
import type { SimWorld } from "../world.ts";
import type { RegionsPlan, SimRegionPlan } from "./plan.ts";
import { numberOf } from "./era.ts";
import { RegionOperator } from "./operator.ts";
import type { RegionTruth } from "./truth.ts";

/** Parts of a run that its regions share. */
export interface RegionsHost {
  readonly plan: RegionsPlan;
  readonly world: SimWorld;
  readonly wire: SimWire;
  readonly trace: Trace;
  readonly regions: readonly SimRegion[];
  /** Returns a value that no other write has. */
  nextValue(): number;
}

const CLIENT_ADDRESS = 1_000;
/** Parts of the writes that take a record out of the global scope, or end it. */
const LOCAL = 0.2;
const ENDING = 0.2;
/** Part of the owners that do not come back to a region that was made anew. */
const AWAY = 0.3;
/** Records of a region have numbers from its number times this. */
const NUMBERS = 1_000;

/** One region. */
export class SimRegion implements MachineHost {
  readonly name: string;
  readonly machines: readonly PlacedMachine[];
  /** Changes that it has applied. */
  readonly applied: RegionTruth;
  readonly truth = { sinkOf: (address: number) => this.applied.sinkOf(this.#leadsAt(address)) };
  readonly numbers: readonly number[];
  readonly plan: {
    readonly partitionCount: number;
    readonly diskMs: number;
    readonly leases: boolean;
  };
  readonly world: SimWorld;
  readonly wire: SimWire;
  readonly trace: Trace;
  readonly stopsGroups = false;
  /** Whether the client makes no further call. */
  isStopped = false;
  written = 0;
  asked = 0;
  readonly #host: RegionsHost;
  readonly #entropy: SeededEntropy;
  readonly #client: Machine;
  /** The records whose owners are there. */
  #owned: readonly number[];
  readonly #sequences = new Map<number, number>();
  readonly #operator: RegionOperator;
  #backup: GroupImages | undefined;
  /** The highest generation that any of its clusters had. */
  #generation = 0;
  #clientsWished = 0;

  constructor(
    host: RegionsHost,
    of: SimRegionPlan,
    at: number,
    applied: RegionTruth,
    seed: number,
  ) {
    this.#host = host;
    this.name = of.name;
    this.applied = applied;
    this.world = host.world;
    this.wire = host.wire;
    this.trace = host.trace;
    this.#entropy = new SeededEntropy(seed);
    this.plan = { ...of, diskMs: host.plan.diskMs };
    this.numbers = Array.from({ length: host.plan.records }, (_, n) => (at + 1) * NUMBERS + n);
    this.#owned = this.numbers;
    this.machines = of.machines.map((plan) =>
      new PlacedMachine(this, plan, this.#entropy.uint32())
    );
    const peers = () => host.regions.filter(({ name }) => name !== this.name);
    this.#operator = new RegionOperator(this, peers, new SeededEntropy(seed ^ 0x0acce));
    this.#client = new Machine(host.world, {
      id: CLIENT_ADDRESS + at,
      clock: of.clientClock,
      seed: this.#entropy.uint32(),
      onKilled: () => {},
    });
  }

  get nowMs(): number {
    return this.world.nowMs;
  }

  /** Number of times that its operator has accepted what a peer is. */
  get accepted(): number {
    return this.#operator.accepted;
  }

  /** The addresses that peers are told. */
  get servers(): string[] {
    return this.machines.map(({ address }) => `${WIRE_HOST}:${clientPortOf(address)}`);
  }

  /** The machine that leads group 0. */
  get systemLeader(): PlacedMachine | undefined {
    return this.machines.find(({ groups }) => groups?.system.group.isLeading === true);
  }

  start(): void {
    for (const machine of this.machines) {
      this.world.at(machine.plan.joinsAtMs, () => machine.start());
    }
    const process = this.#client.start();
    this.#client.openPromises = 1;
    process.enter(() => void this.#work(process).catch((error) => this.world.fail(error)));
  }

  /** Has the operator look. */
  administer(): void {
    this.#operator.look();
  }

  /** Notes what a machine knows of other regions, after something ran on it. */
  stepped(machine: PlacedMachine): void {
    const state = machine.registry?.groups.system.store.state;
    if (state !== undefined) this.applied.accepted(state.regions.all);
  }

  // What becomes of data folders.

  /** All machines lose their disks; at its next start the first one founds a cluster of the same name. */
  loseAll(): void {
    const [founder, ...others] = this.machines as [PlacedMachine, ...PlacedMachine[]];
    for (const machine of this.machines) machine.kill();
    founder.lose(undefined);
    for (const machine of others) machine.lose(founder);
    this.applied.lost();
    this.#renewClient();
  }

  /** One machine that runs is recovered alone, and the others lose their disks. @returns whether one runs */
  recoverAlone(choose: <T>(items: readonly T[]) => T): boolean {
    const running = this.machines.filter(({ registry }) => registry !== undefined);
    if (running.length === 0) return false;
    const survivor = choose(running);
    this.#loseOthers(survivor);
    survivor.remake(recoveredAlone(survivor, (cluster) => this.#remade(cluster)));
    return true;
  }

  /** Takes a backup. @returns whether every group could be read */
  backUp(): boolean {
    const images = takeImages(this.machines, this.plan.partitionCount);
    if (images !== undefined) this.#backup = images;
    return images !== undefined;
  }

  get hasBackup(): boolean {
    return this.#backup !== undefined;
  }

  /** All machines lose their disks, and one is restored from the backup, which is used up. */
  restore(): void {
    const [first] = this.machines as [PlacedMachine];
    this.#loseOthers(first);
    const made = (cluster: RemadeCluster) => this.#remade(cluster);
    first.remake(restoredFrom(this.#backup!, { generation: this.#generation + 1, made }));
    this.#backup = undefined;
  }

  #loseOthers(kept: PlacedMachine): void {
    for (const machine of this.machines) machine.kill();
    for (const machine of this.machines) if (machine !== kept) machine.lose(kept);
    this.#renewClient();
  }

  #remade({ clusterId, generation, images: { partitions } }: RemadeCluster): void {
    this.#generation = Math.max(this.#generation, generation);
    this.applied.remade({ clusterId, generation }, partitions.map(({ store }) => store));
  }

  /** Has the client begin anew, which otherwise expects the cluster that it knows; some owners stay away. */
  #renewClient(): void {
    this.#clientsWished++;
    this.#owned = this.numbers.filter(() => this.#entropy.unit() > AWAY);
  }

  // MachineHost.

  ownerAt(): undefined {
    return undefined;
  }

  joined(): void {}

  opened(_machine: PlacedMachine, { created, cluster, groups }: Registry): void {
    if (!created) return;
    const { generation } = groups.system.store.state.versions;
    this.#generation = Math.max(this.#generation, generation);
    this.applied.founded({ clusterId: cluster.clusterId, generation });
  }

  refused(): void {}

  receipt(): void {}

  linkTo(machine: Machine, process: Process, { settings }: PeerRegion): RegionLink {
    return new DialedRegion({
      region: settings.name,
      own: this.name,
      endpoints: settings.servers.map((server) => ({
        host: WIRE_HOST,
        port: Number(server.split(":")[1]),
      })),
      bundle: "",
      isBanned: () => false,
      credentials: { kind: "development" },
      dialer: this.wire.dialer(machine, process),
      world: process,
    });
  }

  #leadsAt(address: number): (partition: number) => boolean {
    return (partition) => {
      const machine = this.machines.find((one) => one.address === address);
      return machine?.groups?.partition(partitionId(partition))?.group.isLeading === true;
    };
  }

  // The client.

  #connect(process: Process): Promise<OperationCaller & { close(): Promise<void> }> {
    return connectCaller({
      endpoints: this.machines.map(({ address }) => ({
        host: WIRE_HOST,
        port: clientPortOf(address),
      })),
      dialer: this.wire.dialer(this.#client, process),
      trust: { kind: "pins", sha256: [] },
      world: process,
      options: { lazy: true, timeoutMs: 2_000 },
    });
  }

  async #work(process: Process): Promise<void> {
    let client = await this.#connect(process);
    let clients = this.#clientsWished;
    while (!this.isStopped) {
      const thinkMs = -this.#host.plan.thinkMs * Math.log(1 - this.#entropy.unit());
      await new Promise<void>((resolve) => void process.after(thinkMs, resolve));
      if (this.isStopped) break;
      if (clients !== this.#clientsWished) {
        clients = this.#clientsWished;
        await client.close();
        client = await this.#connect(process);
      }
      this.asked++;
      try {
        await this.#write(client);
        this.written++;
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
      }
    }
    await client.close();
  }

  async #write(client: OperationCaller): Promise<void> {
    const number = this.#owned[Math.floor(this.#entropy.unit() * this.#owned.length)];
    if (number === undefined) return;
    const sequence = (this.#sequences.get(number) ?? 0) + 1;
    this.#sequences.set(number, sequence);
    const draw = this.#entropy.unit();
    this.trace.fold(this.nowMs, number, sequence);
    if (draw < ENDING) {
      const id = idOf(number);
      const incarnation = this.#incarnationOf(number) ?? NO_POSITION;
      const body = { id, process: 11, sequence, incarnation, withAgents: false };
      await client.call("deregisterAgent", body);
      return;
    }
    const record = agentBytes({
      ...{ number, sequence, region: this.name, ttlMs: 3_600_000, port: this.#host.nextValue() },
      domain: this.#entropy.unit() < 0.5 ? `a${number}.example` : "",
      scope: draw < ENDING + LOCAL ? 1 : 0,
    });
    await client.call("registerAgent", { record, expected: NO_POSITION });
  }

  /** Returns the incarnation of a record at its leader. */
  #incarnationOf(number: number) {
    for (const { groups, registry } of this.machines) {
      const table = registry?.table;
      if (groups === undefined || table === undefined) continue;
      for (const { store, group } of table.here()) {
        if (!group.isLeading) continue;
        const id = idOf(number);
        const slot = store.find(1, id, 0, id.length);
        if (slot !== -1) return store.agentView(slot).toPlain().incarnation;
      }
    }
    return undefined;
  }
}

/** A mirror as a replica has it. */
export interface SeenRecord {
  readonly feed: number;
  readonly revision: Position;
  readonly value: number;
}

/** Calls `visit` for each mirror of a home on a replica. */
export function forEachMirror(
  store: PartitionStore,
  home: string,
  visit: (number: number, seen: SeenRecord) => void,
): void {
  store.forEachSlot(KIND_MIRROR, (slot) => {
    const mirror = store.mirrors.view(slot);
    if (mirror.home !== home) return;
    const { id, feed, revisionGeneration: generation, revisionIndex: index, record } = mirror;
    const { port: value } = agentCodec.decode(record.slice());
    visit(numberOf(id), { feed, revision: { generation, index }, value });
  });
}
