/**
 * Agents of a running registry that are renewed by this program, a few clients for many leases, so that many
 * of them can fall silent at once and come back.
 */
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { findTarget } from "../../src/cli/target.ts";
import { type AgentInfo, type Client, connect } from "../../src/client/mod.ts";
import type { Incarnation, RenewItem } from "../../src/client/mod.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { spreadId } from "../../bench/fleet.ts";

const REGION = "global";
const CLIENTS = 4;
const REGISTER_ITEMS = 256;
const RENEW_ITEMS = 512;
/** Owners renew three times in a lease. */
const RENEWALS_PER_TTL = 3;

/** How many agents of a fleet are there. */
export interface FleetCounts {
  readonly live: number;
  readonly stale: number;
}

/** A fleet of agents. */
export class SilentFleet {
  readonly #clients: readonly Client[];
  readonly #dialer: QuicDialer;
  readonly #count: number;
  readonly #ttlMs: number;
  readonly #incarnations = new Map<number, Incarnation>();
  #renewing: Promise<void> = Promise.resolve();
  #isStopped = false;
  #firstKept = Infinity;
  /** Renewals that were refused or failed while the owners were to be alive. */
  failed = 0;

  private constructor(
    clients: readonly Client[],
    dialer: QuicDialer,
    { count, ttlMs }: { readonly count: number; readonly ttlMs: number },
  ) {
    this.#clients = clients;
    this.#dialer = dialer;
    this.#count = count;
    this.#ttlMs = ttlMs;
  }

  /** Registers the agents at the registry of a data folder. */
  static async register(
    data: string,
    size: { readonly count: number; readonly ttlMs: number },
  ): Promise<SilentFleet> {
    const world = processWorld();
    const { endpoints, trust } = findTarget({ data }, {});
    const { scheduler } = world;
    const dialer = new QuicDialer({ scheduler, onError: () => {} });
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => connect({ endpoints, trust, dialer, world })),
    );
    const fleet = new SilentFleet(clients, dialer, size);
    await fleet.#register();
    return fleet;
  }

  async #register(): Promise<void> {
    for (let at = 0; at < this.#count; at += REGISTER_ITEMS) {
      const numbers = range(at, Math.min(this.#count, at + REGISTER_ITEMS));
      const items = numbers.map((number) => ({
        kind: "agent" as const,
        agent: { id: spreadId(7, number), region: REGION, ttlMs: this.#ttlMs },
      }));
      const outcomes = await this.#clientOf(at).registerMany(items);
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.error !== undefined) throw outcome.error;
        this.#incarnations.set(numbers[index]!, outcome.registered.incarnation);
      }
    }
  }

  /** Renews the agents `[first, count)` from now on, as their owners do; the others are silent. */
  keepFrom(first: number): void {
    const isKeeping = this.#firstKept < Infinity;
    this.#firstKept = first;
    if (isKeeping) return;
    this.#renewing = (async () => {
      while (!this.#isStopped) {
        const from = this.#firstKept;
        this.failed += this.#count - from - await this.renew(from, this.#count);
        await new Promise((resolve) => setTimeout(resolve, this.#ttlMs / RENEWALS_PER_TTL - 500));
      }
    })();
  }

  /** Renews the agents `[first, end)` once; returns how many were renewed. */
  async renew(first: number, end: number): Promise<number> {
    const parts: Promise<number>[] = [];
    for (let at = first; at < end; at += RENEW_ITEMS) {
      const items = range(at, Math.min(end, at + RENEW_ITEMS)).map((number): RenewItem => ({
        id: spreadId(7, number),
        incarnation: this.#incarnations.get(number)!,
        kind: "agent",
      }));
      parts.push(this.#clientOf(at).renew(items).then(({ renewed }) => renewed, () => 0));
    }
    return (await Promise.all(parts)).reduce((sum, count) => sum + count, 0);
  }

  /** Counts all agents that are listed. */
  async counts(): Promise<FleetCounts> {
    let live = 0;
    let stale = 0;
    for await (const { agent } of this.#clientOf(0).allAgents(REGION)) {
      if (agent.isStale) stale++;
      else live++;
    }
    return { live, stale };
  }

  /** Reads one agent. */
  async agent(number: number): Promise<AgentInfo> {
    return (await this.#clientOf(number).getAgent(spreadId(7, number))).agent;
  }

  /** Ends the renewals and the connections; the leases stay. */
  async end(): Promise<void> {
    this.#isStopped = true;
    await this.#renewing;
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#dialer.close();
  }

  #clientOf(number: number): Client {
    return this.#clients[Math.floor(number / RENEW_ITEMS) % CLIENTS]!;
  }
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}
