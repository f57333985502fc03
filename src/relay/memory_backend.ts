/**
 * The backend in the memory of this process: for a single front, and for tests. Its entries are lost
 * when the process ends. Leases follow the monotonic clock, reported times the wall clock.
 */
import { RegistryError } from "../base/errors.ts";
import {
  RELAY_MEMORY_AGENTS_MAX,
  RELAY_MEMORY_RELAYS_MAX,
  RELAY_MEMORY_SWEEP_MS,
  RELAY_RETRY_MS,
} from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { RelayBackend } from "./relay_backend.ts";
import type { AgentPlacement, Relay, RelayAddress } from "./relay_registry.ts";
import type { RelayTimes } from "./relay_times.ts";

/** An incarnation of a relay; a relay that comes back gets a new object. */
interface KeptRelay {
  relay: Relay;
  endsAtMs: number;
}

interface KeptAgent {
  readonly placement: AgentPlacement;
  readonly relay: KeptRelay;
  readonly endsAtMs: number;
}

/** Keeps the entries in memory. */
export class MemoryRelayBackend implements RelayBackend {
  readonly name = "memory:";
  readonly #world: Pick<World, "monotonic" | "wall">;
  readonly #times: RelayTimes;
  readonly #relays = new Map<string, KeptRelay>();
  readonly #agents = new Map<string, KeptAgent>();
  #sweptAtMs = -Infinity;

  constructor(world: Pick<World, "monotonic" | "wall">, times: RelayTimes) {
    this.#world = world;
    this.#times = times;
  }

  // deno-lint-ignore require-await -- a refusal must reject, not throw.
  async putRelay(relay: RelayAddress): Promise<void> {
    const kept = this.#liveRelay(relay.relayId);
    if (kept !== undefined) {
      Object.assign(kept, this.#renewed(relay));
    } else {
      this.#makeRoom(this.#relays, relay.relayId, RELAY_MEMORY_RELAYS_MAX);
      this.#relays.set(relay.relayId, this.#renewed(relay));
    }
  }

  renewRelay(relayId: string): Promise<boolean> {
    const kept = this.#liveRelay(relayId);
    if (kept !== undefined) Object.assign(kept, this.#renewed(kept.relay));
    return Promise.resolve(kept !== undefined);
  }

  // deno-lint-ignore require-await -- a refusal must reject, not throw.
  async placeAgent(agentId: string, relayId: string): Promise<boolean> {
    const relay = this.#liveRelay(relayId);
    if (relay === undefined) return false;
    this.#makeRoom(this.#agents, agentId, RELAY_MEMORY_AGENTS_MAX);
    this.#place(agentId, relay);
    return true;
  }

  renewAgent(agentId: string, relayId: string | undefined): Promise<boolean> {
    const relay = this.#liveAgent(agentId)?.relay;
    if (relay === undefined) return Promise.resolve(false);
    if (relayId !== undefined && relay.relay.relayId !== relayId) return Promise.resolve(false);
    this.#place(agentId, relay);
    return Promise.resolve(true);
  }

  relays(countMax: number): Promise<Relay[]> {
    const relays: Relay[] = [];
    for (const kept of this.#relays.values()) {
      if (relays.length === countMax) break;
      if (this.#isLive(kept)) relays.push(kept.relay);
    }
    return Promise.resolve(relays);
  }

  agents(relayId: string | undefined, countMax: number): Promise<AgentPlacement[]> {
    const placements: AgentPlacement[] = [];
    for (const kept of this.#agents.values()) {
      if (placements.length === countMax) break;
      if (relayId !== undefined && kept.placement.relayId !== relayId) continue;
      if (this.#isLiveAgent(kept)) placements.push(kept.placement);
    }
    return Promise.resolve(placements);
  }

  placement(agentId: string): Promise<AgentPlacement | undefined> {
    return Promise.resolve(this.#liveAgent(agentId)?.placement);
  }

  close(): Promise<void> {
    this.#relays.clear();
    this.#agents.clear();
    return Promise.resolve();
  }

  get #nowMs(): number {
    return this.#world.monotonic.nowMs();
  }

  #isLive({ endsAtMs }: KeptRelay | KeptAgent): boolean {
    return this.#nowMs < endsAtMs;
  }

  #liveRelay(relayId: string): KeptRelay | undefined {
    const kept = this.#relays.get(relayId);
    return kept !== undefined && this.#isLive(kept) ? kept : undefined;
  }

  #liveAgent(agentId: string): KeptAgent | undefined {
    const kept = this.#agents.get(agentId);
    return kept !== undefined && this.#isLiveAgent(kept) ? kept : undefined;
  }

  /** Reports whether an agent is live, and at the current incarnation of a live relay. */
  #isLiveAgent(kept: KeptAgent): boolean {
    return this.#isLive(kept) && this.#liveRelay(kept.placement.relayId) === kept.relay;
  }

  #renewed({ relayId, address, grpcPort }: RelayAddress): KeptRelay {
    return {
      relay: { relayId, address, grpcPort, lastHeartbeatUnixMs: this.#world.wall.unixMs() },
      endsAtMs: this.#nowMs + this.#times.relayTtlMs,
    };
  }

  #place(agentId: string, relay: KeptRelay): void {
    const { relayId } = relay.relay;
    const placement = { agentId, relayId, lastUpdatedUnixMs: this.#world.wall.unixMs() };
    this.#agents.set(agentId, {
      placement,
      relay,
      endsAtMs: this.#nowMs + this.#times.agentTtlMs,
    });
  }

  /** Makes room for one more entry, or throws `overloaded`. */
  #makeRoom(entries: ReadonlyMap<string, unknown>, id: string, countMax: number): void {
    if (entries.size < countMax || entries.has(id)) return;
    this.#sweep();
    if (entries.size < countMax) return;
    throw new RegistryError(
      "overloaded",
      `The relay registry in memory can keep ${countMax} entries of a kind: all are in use`,
      { retryAfterMs: RELAY_RETRY_MS },
    );
  }

  /** Removes entries that ended, once in a while: one full of live entries is not searched at each call. */
  #sweep(): void {
    if (this.#nowMs < this.#sweptAtMs + RELAY_MEMORY_SWEEP_MS) return;
    this.#sweptAtMs = this.#nowMs;
    for (const [agentId, kept] of this.#agents) {
      if (!this.#isLiveAgent(kept)) this.#agents.delete(agentId);
    }
    for (const [relayId, kept] of this.#relays) {
      if (!this.#isLive(kept)) this.#relays.delete(relayId);
    }
  }
}
