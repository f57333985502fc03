/**
 * The real registry in one process, with sessions over a memory network, on a memory disk, in a
 * world that the test moves. It can die at any turn and start again from the same disk.
 */
import type { Agent, Gateway } from "../../schemas/gen/record.ts";
import { defined } from "../../src/base/assert.ts";
import { type LogFacts, type Logger, SILENT_LOGGER } from "../../src/base/logger.ts";
import type { AuthenticatedPeer } from "../../src/base/peer.ts";
import { NO_POSITION, type Position } from "../../src/base/position.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { connectCaller } from "../../src/client/client.ts";
import type { OperationCaller } from "../../src/client/invoker.ts";
import type { World } from "../../src/base/world.ts";
import type { Client, ClientOptions } from "../../src/client/types.ts";
import type { AccessPolicy } from "../../src/record/access.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../src/record/key.ts";
import { MemoryDisk } from "../../src/storage/memory_storage.ts";
import type { SharedLogLimits } from "../../src/storage/shared_log.ts";
import { Registry } from "../../src/node/registry.ts";
import type { RegionFreshness } from "../../src/serving/regions/mirror_homes.ts";
import type { SessionIdentity } from "../../src/node/session_identity.ts";
import { Sessions } from "../../src/node/sessions.ts";
import type { RegionLink } from "../../src/region/region_link.ts";
import {
  type BudgetLimits,
  NODE_BUDGET_LIMITS,
  SessionBudget,
} from "../../src/serving/session_budget.ts";
import { developmentPeer } from "../../identity/enrolment/development_peer.ts";
import { MemoryNetwork } from "../../transport/memory/network.ts";
import type { Dialer, Listener } from "../../transport/transport.ts";
import type { PeerRegion } from "../../src/system/regions/region_state.ts";
import type { ControlMessage } from "../../src/wire/control.ts";
import { listedCodes } from "./listed_codes.ts";
import { controlFrame, GOOD_HELLO, RawPeer } from "./raw_peer.ts";
import { Process, SteppedWorld } from "./stepped_world.ts";
import { agentBytes, gatewayBytes } from "./store.ts";
import { sessionPartsOf } from "./registry_facts.ts";

const HOST = "node";
const PORT = 4100;

/** Options of a harness; each has a default. */
export interface HarnessOptions {
  readonly partitions?: number;
  readonly policy?: AccessPolicy;
  readonly recordsMax?: number;
  readonly memoryBytesMax?: number;
  readonly rate?: { readonly requestsPerSecond: number; readonly burst: number };
  readonly logLimits?: SharedLogLimits;
  /** Changes to a node's limits on memory held for peers. */
  readonly budgetLimits?: Partial<BudgetLimits>;
  /** Returns the peer of a session that begins. */
  readonly peer?: (revoked: AbortSignal) => AuthenticatedPeer;
  /** The proof of identity of peers; by default there is none. */
  readonly identity?: SessionIdentity;
  readonly seed?: number;
  /** How far other regions are mirrored, as the node knows it; by default it knows nothing. */
  readonly regionFreshness?: RegionFreshness;
  /** Makes the links to other regions; by default there are none. */
  readonly linkTo?: (region: PeerRegion) => RegionLink;
}

/** The parts of a registry that exist from its start to its crash or stop. */
interface Running {
  readonly process: Process;
  readonly registry: Registry;
  readonly sessions: Sessions;
  readonly listener: Listener;
}

/** A registry to test. */
export class RegistryHarness {
  readonly world: SteppedWorld;
  readonly disk = new MemoryDisk();
  /** The disk that holds the log's mark. */
  readonly markDisk = new MemoryDisk();
  acceptDataLoss = false;
  /** Aborts a start that waits for the log. */
  signal: AbortSignal | undefined;
  readonly network: MemoryNetwork;
  readonly revocation = new AbortController();
  /** The memory use that admission sees. */
  memoryBytes = 0;
  /** Errors caught by sessions, by stage. */
  readonly caught: { readonly stage: string; readonly error: unknown }[] = [];
  /** Messages of the registry's log at level `error`. */
  readonly errors: { readonly message: string; readonly facts: LogFacts }[] = [];
  readonly writable: boolean[] = [];
  readonly counts = new Map<string, number>();
  poisoned = 0;
  readonly #options: HarnessOptions;
  #running: Running | undefined;
  #hosts = 0;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
    this.world = new SteppedWorld(options.seed);
    this.network = new MemoryNetwork(this.world);
  }

  /** Returns a harness whose registry is running. */
  static async open(options: HarnessOptions = {}): Promise<RegistryHarness> {
    const harness = new RegistryHarness(options);
    await harness.start();
    return harness;
  }

  get registry(): Registry {
    return this.#parts.registry;
  }

  get sessions(): Sessions {
    return this.#parts.sessions;
  }

  get listener(): Listener {
    return this.#parts.listener;
  }

  get partitionCount(): number {
    return this.#options.partitions ?? 8;
  }

  get #parts(): Running {
    return defined(this.#running, "The registry must run");
  }

  /** Makes the node a member of its cluster, whose apply version then rises to that of the program. */
  async raiseVersion(): Promise<void> {
    const pin = new Uint8Array(32);
    await this.world.wait(this.registry.putMember({ nodeId: 1, addresses: [], pin, nextPin: pin }));
    this.registry.placement.hurry();
    await this.world.settle();
  }

  /** Starts from the content of the disk; rejects like `Registry.open`. */
  async start(): Promise<void> {
    const process = new Process(this.world);
    const registry = await this.world.wait(this.#open(process));
    const listener = this.network.listen({ host: HOST, port: PORT });
    const sessions = this.#sessions(process, registry, listener);
    this.#running = { process, registry, sessions, listener };
    registry.start();
    sessions.run().catch((error) => this.caught.push({ stage: "listen", error }));
    await this.world.settle();
  }

  /** Kills the process and the power; `seed` decides which unsynced data survives. */
  crash(seed?: number): void {
    this.#parts.process.kill();
    this.network.crash(HOST);
    this.disk.crash(seed === undefined ? undefined : new SeededEntropy(seed));
    this.markDisk.crash(seed === undefined ? undefined : new SeededEntropy(~seed));
    this.#running = undefined;
  }

  /** Crashes and starts again. */
  async restart(seed?: number): Promise<void> {
    this.crash(seed);
    await this.start();
  }

  /** Stops as a node does that is told to stop. */
  async stop(): Promise<void> {
    const { registry, sessions, listener } = this.#parts;
    registry.admission.drain();
    await this.world.wait(sessions.close(1_000));
    await this.world.wait(listener.close());
    await this.world.wait(registry.close());
    this.#running = undefined;
  }

  /** Connects an SDK client. Each has its own host, and may have clocks of its own. */
  async client(
    options: ClientOptions = {},
    world: World = this.world,
  ): Promise<Client & OperationCaller> {
    return await this.world.wait(connectCaller({
      endpoints: [{ host: HOST, port: PORT }],
      dialer: this.dialer(),
      trust: { kind: "pins", sha256: [] },
      world,
      options,
    }));
  }

  dialer(): Dialer {
    return this.network.dialer(`client-${++this.#hosts}`);
  }

  /** Returns a raw peer with a control stream that has sent nothing yet. */
  async unauthenticated(): Promise<RawPeer> {
    const session = await this.world.wait(
      this.dialer().dial({ host: HOST, port: PORT }, { trust: { kind: "pins", sha256: [] } }),
    );
    return new RawPeer(this.world, session, await this.world.wait(session.open("control")));
  }

  /** Returns a raw peer whose Hello was answered. */
  async peer(hello: ControlMessage = { kind: "hello", hello: GOOD_HELLO }): Promise<RawPeer> {
    const peer = await this.unauthenticated();
    await this.world.wait(peer.control.write(controlFrame(hello)));
    await this.world.settle();
    return peer;
  }

  /** Returns the live record or alias as it is stored; `undefined` if there is none. */
  agent(id: Uint8Array): Agent | undefined {
    const home = this.registry.table.held(KIND_AGENT, id);
    const slot = home.store.find(KIND_AGENT, id, 0, 16);
    return slot === -1 ? undefined : home.store.agentView(slot).toPlain();
  }

  gateway(id: Uint8Array): Gateway | undefined {
    const home = this.registry.table.held(KIND_GATEWAY, id);
    const slot = home.store.find(KIND_GATEWAY, id, 0, 16);
    return slot === -1 ? undefined : home.store.gatewayView(slot).toPlain();
  }

  alias(domain: string) {
    const key = domainBytes(domain);
    const home = this.registry.table.held(KIND_ALIAS, key);
    const slot = home.store.find(KIND_ALIAS, key, 0, key.length);
    return slot === -1 ? undefined : home.store.aliasView(slot).toPlain();
  }

  /** Count of entries ever written to the logs of all partitions. */
  get logged(): number {
    let entries = 0;
    for (const { group } of this.registry.table.here()) entries += group.status().lastIndex;
    return entries;
  }

  async #open(process: Process): Promise<Registry> {
    const { recordsMax = 1_000_000, memoryBytesMax = 2 ** 30, logLimits, policy } = this.#options;
    const { regionFreshness, linkTo } = this.#options;
    return await Registry.open({
      storage: this.disk.open(process),
      markStorage: this.markDisk.open(process),
      acceptDataLoss: this.acceptDataLoss,
      ...(this.signal === undefined ? {} : { signal: this.signal }),
      world: process,
      logger: this.#logger(),
      nodeId: 1,
      region: "global",
      partitionCount: this.partitionCount,
      ceilings: { recordsMax, memoryBytesMax },
      memoryBytes: () => this.memoryBytes,
      ...(logLimits === undefined ? {} : { logLimits }),
      ...(policy === undefined ? {} : { policy }),
      ...(regionFreshness === undefined ? {} : { regionFreshness }),
      ...(linkTo === undefined ? {} : { linkTo }),
      requestTimeoutMs: 5_000,
      logEvents: {
        cut: () => {},
        poisoned: () => void this.poisoned++,
        writable: (writable) => void this.writable.push(writable),
        synced: () => {},
      },
      facts: () => ({
        sessions: this.sessions.count,
        uptimeMs: this.world.nowMs(),
        memoryBytes: this.memoryBytes,
        version: "test",
        ready: true,
        reason: "",
      }),
    });
  }

  #sessions(process: Process, registry: Registry, listener: Listener): Sessions {
    const revoked = this.revocation.signal;
    const development = developmentPeer({ region: "global", revoked });
    return new Sessions({
      listener,
      world: process,
      logger: SILENT_LOGGER,
      onError: (stage, error) => void this.caught.push({ stage, error }),
      identity: this.#options.identity ?? {
        prove: () => {
          const peer = this.#options.peer?.(revoked) ?? development;
          return Promise.resolve({ peer, close() {} });
        },
      },
      ...sessionPartsOf(registry, "global"),
      observer: listedCodes({
        requestDone: (id, code) => {
          const key = `${id} ${code}`;
          this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
        },
      }),
      budget: new SessionBudget({ ...NODE_BUDGET_LIMITS, ...this.#options.budgetLimits }),
      rate: this.#options.rate ?? { requestsPerSecond: 1e8, burst: 1e8 },
    });
  }

  #logger(): Logger {
    const logger: Logger = {
      ...SILENT_LOGGER,
      error: (message, facts = {}) => void this.errors.push({ message, facts }),
      child: () => logger,
    };
    return logger;
  }
}

/** Returns a RegisterAgent request for the agent with that number. */
export function agentRequest(
  fields: Partial<Agent> & { number: number },
  expected: Position = NO_POSITION,
) {
  return { record: agentBytes(fields), expected };
}

/** Returns a RegisterGateway request for the gateway with that number. */
export function gatewayRequest(
  fields: Partial<Gateway> & { number: number },
  expected: Position = NO_POSITION,
) {
  const record = gatewayBytes({ port: 4000, address: v4(192, 0, 2, 1), ...fields });
  return { record, expected };
}

/** Returns an IPv4 address in its stored form. */
export function v4(...octets: [number, number, number, number]): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set([0xff, 0xff, ...octets], 10);
  return bytes;
}
