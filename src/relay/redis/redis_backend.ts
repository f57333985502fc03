/**
 * The backend in Redis, or in one node of a Redis Cluster; tested with Redis 7.0. Each step is one script
 * (scripts.ts), so it is atomic, and Redis' clock is the only one.
 *
 * With asynchronous replication, or `appendfsync` other than `always`, Redis may lose the last
 * acknowledged registrations. Their relays and agents register again after their next heartbeat.
 */
import type { Entropy } from "../../base/world.ts";
import type { BackendCall, RelayBackend } from "../relay_backend.ts";
import type { AgentPlacement, Relay, RelayAddress } from "../relay_registry.ts";
import type { RelayTimes } from "../relay_times.ts";
import type { RedisAddress } from "../relay_url.ts";
import { RedisConnection } from "./connection.ts";
import { agentsOf, flagOf, placementsOf, relaysOf } from "./replies.ts";
import {
  AGENTS,
  KEY_TAG,
  PLACE_AGENT,
  PLACEMENT,
  PUT_RELAY,
  RELAYS,
  RENEW_AGENT,
  RENEW_RELAY,
} from "./scripts.ts";

/** Keeps the entries in Redis. */
export class RedisRelayBackend implements RelayBackend {
  readonly name: string;
  readonly #db: number;
  readonly #connection: RedisConnection;
  readonly #times: RelayTimes;

  constructor(address: RedisAddress, entropy: Entropy, times: RelayTimes) {
    this.name = address.name;
    this.#db = address.db;
    this.#connection = new RedisConnection(address, entropy);
    this.#times = times;
  }

  async putRelay({ relayId, address, grpcPort }: RelayAddress, call: BackendCall): Promise<void> {
    const { relayTtlMs } = this.#times;
    flagOf(await this.#run(PUT_RELAY, [relayId, address, grpcPort, relayTtlMs], call));
  }

  async renewRelay(relayId: string, call: BackendCall): Promise<boolean> {
    return flagOf(await this.#run(RENEW_RELAY, [relayId, this.#times.relayTtlMs], call));
  }

  async placeAgent(agentId: string, relayId: string, call: BackendCall): Promise<boolean> {
    const { agentTtlMs } = this.#times;
    return flagOf(await this.#run(PLACE_AGENT, [agentId, relayId, agentTtlMs], call));
  }

  async renewAgent(
    agentId: string,
    relayId: string | undefined,
    call: BackendCall,
  ): Promise<boolean> {
    const { agentTtlMs } = this.#times;
    return flagOf(await this.#run(RENEW_AGENT, [agentId, relayId ?? "", agentTtlMs], call));
  }

  async relays(countMax: number, call: BackendCall): Promise<Relay[]> {
    return relaysOf(await this.#run(RELAYS, [countMax], call));
  }

  async agents(
    relayId: string | undefined,
    countMax: number,
    call: BackendCall,
  ): Promise<AgentPlacement[]> {
    const { agentTtlMs } = this.#times;
    return agentsOf(await this.#run(AGENTS, [relayId ?? "", countMax], call), agentTtlMs);
  }

  async placement(agentId: string, call: BackendCall): Promise<AgentPlacement | undefined> {
    const [placement] = placementsOf(await this.#run(PLACEMENT, [agentId], call));
    return placement;
  }

  close(): Promise<void> {
    this.#connection.close();
    return Promise.resolve();
  }

  #run(script: string, values: readonly (string | number)[], call: BackendCall): Promise<unknown> {
    return this.#connection.run(script, KEY_TAG, [this.#db, ...values], call);
  }
}
