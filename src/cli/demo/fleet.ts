/**
 * The fleet of a demonstration: gateways that keep themselves and their agents alive over one
 * connection each, and proxies that resolve agents. Meanwhile a few agents come and go, and
 * gateways report and drain, so that the demonstration shows more than reads.
 */
import type { World } from "../../base/world.ts";
import {
  type AgentInput,
  type Client,
  connect,
  type KeepItem,
  type Lease,
  type LeaseEvent,
} from "../../client/mod.ts";
import type { Dialer, Endpoint, Trust } from "../../../transport/transport.ts";
import type { DemoSettings } from "./settings.ts";
import type { Tally } from "./tally.ts";

/** The region of all records. */
export const DEMO_REGION = "global";
/** A short ttl, so that a short demonstration shows renewals, ms. */
const TTL_MS = 6_000;
/** Mean interval between a gateway's actions other than renewals, ms. */
const CHANGE_MS = 1_000;
/** One lookup in this many asks for the best gateways of the region instead of an agent. */
const FIND_GATEWAYS_EVERY = 25;
/** Maximum number of connections established concurrently. */
const CONNECT_AT_ONCE = 10;

/** Parameters of a {@link Fleet}. */
export interface FleetOptions {
  readonly settings: DemoSettings;
  readonly endpoints: readonly Endpoint[];
  readonly trust: Trust;
  readonly dialer: Dialer;
  readonly world: World;
  readonly tally: Tally;
}

interface Gateway {
  readonly number: number;
  readonly client: Client;
  readonly lease: Lease;
  readonly agents: Lease[];
  readonly fields: readonly AgentInput[];
  isDraining: boolean;
}

/** Returns the domain of an agent, by its number. */
function agentDomain(number: number): string {
  return `a${number}.demo.example`;
}

/** The gateways and proxies of a demonstration. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #gateways: Gateway[] = [];
  readonly #clients: Client[] = [];
  readonly #stopped = Promise.withResolvers<void>();
  #running: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Connects and registers everything. */
  async register(): Promise<void> {
    const { gateways, proxies } = this.#options.settings;
    await inTurns(gateways, (number) => this.#addGateway(number));
    await inTurns(proxies, async () => {
      await this.#connect();
    });
  }

  /** Starts working; {@link stop} ends it. */
  run(): void {
    const owners = new Set(this.#gateways.map(({ client }) => client));
    const proxies = this.#clients.filter((client) => !owners.has(client));
    this.#running = Promise.all([
      ...this.#gateways.map((gateway) => this.#change(gateway)),
      ...proxies.map((proxy) => this.#look(proxy)),
    ]);
  }

  /** Stops working and closes all clients. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#options.tally.ended = true;
    this.#stopped.resolve();
    await this.#running;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #connect(): Promise<Client | undefined> {
    const { endpoints, trust, dialer, world, tally } = this.#options;
    const client = await tally.time(
      "connect",
      () => connect({ endpoints, trust, dialer, world, options: { program: "crs-demo" } }),
    );
    if (client !== undefined) this.#clients.push(client);
    return client;
  }

  async #addGateway(number: number): Promise<void> {
    const { tally, settings } = this.#options;
    const client = await this.#connect();
    if (client === undefined) return;
    const onEvent = (event: LeaseEvent) => this.#leaseEvent(event);
    const lease = await tally.time("register gateway", () =>
      client.keepGateway({
        domain: `g${number}.demo.example`,
        address: `10.0.${number >> 8}.${number & 255}`,
        port: 4_000,
        region: DEMO_REGION,
        capacity: { cpu: 8, memoryMiB: 16_384, connections: 10_000 },
        ttlMs: TTL_MS,
      }, { onEvent }));
    if (lease === undefined) return;
    const fields: AgentInput[] = [];
    for (let agent = number; agent < settings.agents; agent += settings.gateways) {
      fields.push({
        domain: agentDomain(agent),
        address: "10.1.0.1",
        port: 5_000,
        region: DEMO_REGION,
        gatewayId: lease.id,
        ttlMs: TTL_MS,
      });
    }
    const items: KeepItem[] = fields.map((agent) => ({ kind: "agent", agent }));
    const outcomes = await tally.time(
      "register a batch",
      () => client.keepMany(items, { onEvent }),
    );
    const agents: Lease[] = [];
    for (const { lease, error } of outcomes ?? []) {
      if (lease !== undefined) agents.push(lease);
      else tally.fail("register a batch", error.code);
    }
    this.#gateways.push({ number, client, lease, agents, fields, isDraining: false });
  }

  #leaseEvent(event: LeaseEvent): void {
    const { tally } = this.#options;
    if (event.kind === "renewed") tally.count("renew");
    else if (event.kind === "renewal_failed") tally.fail("renew", event.error.code);
    else if (event.kind === "expired") tally.fail("renew", "not_found");
  }

  /** Runs a gateway's actions other than renewals: reports, drains, and replaces agents. */
  async #change(gateway: Gateway): Promise<void> {
    const { tally, world: { entropy } } = this.#options;
    const { lease, agents, fields, client } = gateway;
    while (await this.#pause(CHANGE_MS * (0.5 + entropy.unit()))) {
      const choice = entropy.unit();
      if (choice < 0.4) {
        const connections = Math.floor(entropy.unit() * 10_000);
        const used = { cpu: 1, memoryMiB: 1_024, storageMiB: 0, bandwidthMbps: 0, connections };
        await tally.time("report", () => lease.report({ used }));
      } else if (choice < 0.5 || gateway.isDraining) {
        gateway.isDraining = !gateway.isDraining;
        await tally.time("report", () => lease.report({ draining: gateway.isDraining }));
      } else if (agents.length > 0) {
        const place = Math.floor(entropy.unit() * agents.length);
        const agent = agents[place]!;
        await tally.time("deregister", () => agent.release());
        const onEvent = (event: LeaseEvent) => this.#leaseEvent(event);
        const again = await tally.time(
          "register agent",
          () => client.keepAgent({ ...fields[place]!, id: agent.id }, { onEvent }),
        );
        if (again !== undefined) agents[place] = again;
      }
    }
  }

  /** Runs the lookups of a proxy. */
  async #look(proxy: Client): Promise<void> {
    const { tally, settings, world: { entropy } } = this.#options;
    for (let turn = 1;; turn++) {
      // Full jitter keeps the proxies from asking in step.
      const pauseMs = settings.rate === 0 ? 0 : 2_000 / settings.rate * entropy.unit();
      if (!await this.#pause(pauseMs)) return;
      if (turn % FIND_GATEWAYS_EVERY === 0) {
        await tally.time("find gateways", () => proxy.resolveGateways(DEMO_REGION, { limit: 3 }));
      } else {
        const domain = agentDomain(Math.floor(entropy.unit() * settings.agents));
        await tally.time("resolve", () => proxy.resolveAgent(domain));
      }
    }
  }

  /** Waits; returns false when the fleet was stopped. */
  async #pause(ms: number): Promise<boolean> {
    if (ms > 0 && !this.#isStopped) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = this.#options.world.scheduler.after(ms, resolve);
      await Promise.race([promise, this.#stopped.promise]);
      timer.cancel();
    }
    return !this.#isStopped;
  }
}

/** Calls `run` for each number in `[0, count)`, a few at a time. */
async function inTurns(count: number, run: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: Math.min(CONNECT_AT_ONCE, count) }, lane));
}
