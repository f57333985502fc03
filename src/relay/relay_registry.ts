/**
 * The relay registry: which relays are alive, and by which of them an agent is reached. Its rules are
 * the same whatever keeps the entries, so programs use this interface and never a backend.
 *
 * - Times are those of the backend's clock alone; callers bring none.
 * - A relay or agent that does not renew within its ttl is gone.
 * - An agent is there only while the **incarnation** of the relay that placed it lasts: when a relay ends,
 *   its agents end with it at once, and those of before stay gone when it comes back, until they register
 *   again.
 * - Registering an agent through another live relay moves it, in one step.
 */

/** Where a relay is reached. */
export interface RelayAddress {
  readonly relayId: string;
  readonly address: string;
  /** Any 32-bit integer: programs of others send any. */
  readonly grpcPort: number;
}

/** A live relay. */
export interface Relay extends RelayAddress {
  /** By the backend's clock. */
  readonly lastHeartbeatUnixMs: number;
}

/** A live agent of a live relay. */
export interface RelayAgent {
  readonly agentId: string;
  /** By the backend's clock. */
  readonly lastHeartbeatUnixMs: number;
}

/** Where a live agent is reached. */
export interface AgentPlacement {
  readonly agentId: string;
  readonly relayId: string;
  /** Time of the last registration or heartbeat, by the backend's clock. */
  readonly lastUpdatedUnixMs: number;
}

/** Options of a call. */
export interface RelayCallOptions {
  /** Time until `deadline_exceeded`; `RELAY_CALL_MS_DEFAULT` without it. */
  readonly timeoutMs?: number;
  /** Ends the call with `canceled`. */
  readonly signal?: AbortSignal;
}

/**
 * A relay registry. Its calls fail with a `RegistryError`: `invalid_argument` for a missing or oversized
 * field, `not_found` where a relay or agent is not alive, `too_large` where a list would exceed its bound,
 * `connection_lost` while the backend cannot be reached, `overloaded` while it has no room,
 * `deadline_exceeded`, `canceled`, and `shutting_down` once it is closed. Messages of the first two are
 * those that programs of others know: "RelayId is required", "relay not registered: not found".
 *
 * A required argument may be `undefined` or empty, as it arrives from the wire, and is refused then.
 */
export interface RelayRegistry {
  /** Registers a relay, or updates address and port of a live one. */
  registerRelay(relay: RelayAddress | undefined, options?: RelayCallOptions): Promise<void>;
  /** Renews a relay. */
  heartbeatRelay(relayId: string, options?: RelayCallOptions): Promise<void>;
  /** Returns the live relays in the order of their ids, by their UTF-8 bytes. */
  listRelays(options?: RelayCallOptions): Promise<readonly Relay[]>;
  /**
   * Places an agent at a live relay, and takes it over from another one.
   *
   * @param agentId `undefined` if the caller named no agent at all.
   */
  registerAgent(
    agentId: string | undefined,
    relayId: string,
    options?: RelayCallOptions,
  ): Promise<void>;
  /**
   * Renews an agent.
   *
   * @param relayId the relay that must hold the placement; `undefined` renews it wherever it is, for
   * programs that do not say.
   */
  heartbeatAgent(
    agentId: string,
    relayId: string | undefined,
    options?: RelayCallOptions,
  ): Promise<void>;
  /** Returns the live agents of live relays in the order of their ids. */
  listAgents(options?: RelayCallOptions): Promise<readonly RelayAgent[]>;
  /** Returns the live agents of one relay in the order of their ids; none if it is not alive. */
  agentsOf(relayId: string, options?: RelayCallOptions): Promise<readonly AgentPlacement[]>;
  /** Returns where an agent is. */
  placement(agentId: string, options?: RelayCallOptions): Promise<AgentPlacement>;
  /** Ends all calls and all connections to the backend. Idempotent. */
  close(): Promise<void>;
}
