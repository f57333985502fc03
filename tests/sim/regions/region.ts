/** A region of a simulation: the machines of its cluster, its operator, and a client that writes records. */
import { RegistryError } from "../../../src/base/errors.ts";
import { partitionId } from "../../../src/base/ids.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../../../src/base/limits.ts";
import { NO_POSITION, type Position } from "../../../src/base/position.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { connectCaller } from "../../../src/client/client.ts";
import type { OperationCaller } from "../../../src/client/invoker.ts";
import { DialedRegion } from "../../../src/region/dialed_region.ts";
import type { RegionLink } from "../../../src/region/region_link.ts";
import {
  encodePutRegion,
  REGIONS_APPLY_VERSION,
} from "../../../src/system/regions/region_codec.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import { agentCodec } from "../../../schemas/gen/record.ts";
import { KIND_MIRROR } from "../../../src/record/key.ts";
import type { PartitionStore } from "../../../src/store/store.ts";
import { agentBytes, idOf } from "../../support/store.ts";
import { Machine, type Process } from "../machine.ts";
import { type MachineHost, PlacedMachine } from "../placed/machine.ts";
import { clientPortOf } from "../placed/node_program.ts";
import { type SimWire, WIRE_HOST } from "../placed/wire.ts";
import type { Trace } from "../trace.ts";
import type { SimWorld } from "../world.ts";
import type { RegionsPlan, SimRegionPlan } from "./plan.ts";
import { numberOf, type RegionTruth } from "./truth.ts";

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
  readonly #sequences = new Map<number, number>();
  #isProposing = false;

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
    this.machines = of.machines.map((plan) =>
      new PlacedMachine(this, plan, this.#entropy.uint32())
    );
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

  /** Adds the peers that are missing, as an operator does who looks from time to time. */
  administer(): void {
    const leader = this.systemLeader;
    const state = leader?.registry?.groups.system.store.state;
    if (this.#isProposing || state === undefined) return;
    if (state.versions.applyVersion < REGIONS_APPLY_VERSION) return;
    const missing = this.#host.regions.find(({ name }) =>
      name !== this.name && state.regions.of(name) === undefined
    );
    if (missing === undefined) return;
    this.#isProposing = true;
    const { name, servers } = missing;
    const put = {
      ...{ name, servers, bundle: "", preference: 100, bytesPerSecondMax: 1 << 24 },
      ...{ logPercentMax: 100, isPaused: false, replacedRevision: 0, detail: "" },
    };
    leader!.enter(({ registry }) => {
      const { group } = registry!.identities;
      group.propose((header) => encodePutRegion(header, put), 0, group.soon())
        .catch(() => {}).finally(() => this.#isProposing = false);
    });
    // The program may be killed before that ends.
    this.world.after(2 * REQUEST_TIMEOUT_MS_DEFAULT, () => this.#isProposing = false);
  }

  // MachineHost.

  ownerAt(): undefined {
    return undefined;
  }

  joined(): void {}

  opened(): void {}

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

  async #work(process: Process): Promise<void> {
    const client = await connectCaller({
      endpoints: this.machines.map(({ address }) => ({
        host: WIRE_HOST,
        port: clientPortOf(address),
      })),
      dialer: this.wire.dialer(this.#client, process),
      trust: { kind: "pins", sha256: [] },
      world: process,
      options: { lazy: true, timeoutMs: 2_000 },
    });
    while (!this.isStopped) {
      const thinkMs = -this.#host.plan.thinkMs * Math.log(1 - this.#entropy.unit());
      await new Promise<void>((resolve) => void process.after(thinkMs, resolve));
      if (this.isStopped) break;
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
    const number = this.numbers[Math.floor(this.#entropy.unit() * this.numbers.length)]!;
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

/** A mirror, or a record at its home, as a replica has it. */
export interface SeenRecord {
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
    const { id, revisionGeneration: generation, revisionIndex: index, record } = mirror;
    const { port: value } = agentCodec.decode(record.slice());
    visit(numberOf(id), { revision: { generation, index }, value });
  });
}
