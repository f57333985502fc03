/**
 * The backend in this cluster, through the SDK: relays and placements are records, which the cluster
 * keeps, replicates and expires. A front makes one for each of its callers, over the client that acts
 * for that caller, so that relays belong to those who registered them.
 */
import { RegistryError } from "../base/errors.ts";
import { TTL_MS_MIN } from "../base/limits.ts";
import type { CallOptions } from "../client/call_options.ts";
import type { PlacementEntry, RelayClient } from "../client/relay_types.ts";
import type { BackendCall, RelayBackend } from "./relay_backend.ts";
import type { AgentPlacement, Relay, RelayAddress } from "./relay_registry.ts";
import { checkShortestTtl, type RelayTimes } from "./relay_times.ts";

/** Options of a {@link ClusterRelayBackend}. */
export interface ClusterRelayBackendOptions {
  readonly times: RelayTimes;
  /**
   * Hexadecimal hash under which relays are registered, for callers without an identity. Default: none.
   */
  readonly credentialHash?: string;
}

/** Keeps the entries in the cluster. */
export class ClusterRelayBackend implements RelayBackend {
  readonly name = "cluster";
  readonly #relays: RelayClient;
  readonly #times: RelayTimes;
  readonly #credential: { readonly credentialHash?: string };

  /**
   * @param client stays the caller's: it is not closed with the backend.
   * @throws RegistryError `invalid_configuration` for leases that are shorter than the cluster's.
   */
  constructor(
    client: { readonly relays: RelayClient },
    { times, credentialHash }: ClusterRelayBackendOptions,
  ) {
    checkShortestTtl(times, TTL_MS_MIN, 'the backend "cluster"');
    this.#relays = client.relays;
    this.#times = times;
    this.#credential = credentialHash === undefined ? {} : { credentialHash };
  }

  async putRelay(relay: RelayAddress, call: BackendCall): Promise<void> {
    await this.#relays.register({ ...relay, ttlMs: this.#times.relayTtlMs }, this.#written(call));
  }

  renewRelay(relayId: string, call: BackendCall): Promise<boolean> {
    return isLive(this.#relays.heartbeat(relayId, this.#written(call)));
  }

  placeAgent(agentId: string, relayId: string, call: BackendCall): Promise<boolean> {
    const placement = { agentId, relayId, ttlMs: this.#times.agentTtlMs };
    return isLive(this.#relays.place(placement, this.#written(call)));
  }

  renewAgent(agentId: string, relayId: string | undefined, call: BackendCall): Promise<boolean> {
    return isLive(this.#relays.heartbeatAgent(agentId, relayId, this.#written(call)));
  }

  async relays(countMax: number, call: BackendCall): Promise<Relay[]> {
    const { items } = await this.#relays.list({ ...optionsOf(call), itemsMax: countMax });
    return items.map(({ relayId, address, grpcPort, lastHeartbeatUnixMs }) => (
      { relayId, address, grpcPort, lastHeartbeatUnixMs }
    ));
  }

  async agents(
    relayId: string | undefined,
    countMax: number,
    call: BackendCall,
  ): Promise<AgentPlacement[]> {
    const options = { ...optionsOf(call), itemsMax: countMax };
    const { items } = relayId === undefined
      ? await this.#relays.agents(options)
      : await this.#relays.agentsOf(relayId, options);
    return items.map(placementOf);
  }

  async placement(agentId: string, call: BackendCall): Promise<AgentPlacement | undefined> {
    try {
      return placementOf(await this.#relays.placement(agentId, optionsOf(call)));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #written(call: BackendCall) {
    return { ...optionsOf(call), ...this.#credential };
  }
}

/** Returns the options of a call: linearizable, regardless of the client's default. */
function optionsOf({ signal, timeoutMs }: BackendCall): CallOptions {
  return { signal, timeoutMs, maxStalenessMs: 0 };
}

async function isLive(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "not_found";
}

function placementOf(
  { agentId, relayId, lastHeartbeatUnixMs }: PlacementEntry,
): AgentPlacement {
  return { agentId, relayId, lastUpdatedUnixMs: lastHeartbeatUnixMs };
}
