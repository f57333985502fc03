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

/** A live relay. */
export interface Relay {
  readonly relayId: string;
  readonly address: string;
  /** Not validated: callers of older programs send any number. */
  readonly grpcPort: number;
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
  /** Time until `deadline_exceeded`; by default the backend's own limit. */
  readonly timeoutMs?: number;
  /** Ends the call with `canceled`. */
  readonly signal?: AbortSignal;
}

/**
 * A relay registry. Its calls fail with a `RegistryError`: `invalid_argument` for a missing or oversized
 * field, `not_found` where a relay or agent is not alive, `too_large` where a list would exceed its bound,
 * and `connection_lost` while the backend cannot be reached.
 */
export interface RelayRegistry {
  /** Registers a relay, or updates address and port of a live one. */
  registerRelay(
    relay: Pick<Relay, "relayId" | "address" | "grpcPort">,
    options?: RelayCallOptions,
  ): Promise<void>;
  /** Renews a relay. */
  heartbeatRelay(relayId: string, options?: RelayCallOptions): Promise<void>;
  /** Returns the live relays in the order of their ids. */
  listRelays(options?: RelayCallOptions): Promise<readonly Relay[]>;
  /** Places an agent at a live relay, and takes it over from another one. */
  registerAgent(agentId: string, relayId: string, options?: RelayCallOptions): Promise<void>;
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
  /** Ends all connections to the backend. Idempotent. */
  close(): Promise<void>;
}
