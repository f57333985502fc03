/**
 * The relay registry: which relays are alive, and through which of them an agent is reached. Its rules
 * are the same for all backends, so programs use this interface and never a backend.
 *
 * - Times are those of the backend's clock alone; callers supply none.
 * - A relay or agent that does not renew within its ttl is gone.
 * - An agent lives only while the **incarnation** of the relay that placed it lasts: its agents end with a
 *   relay at once, and stay gone when the relay comes back, until they register again.
 * - Registering an agent through another live relay moves it, in one step.
 */

/** Where a relay is reached. */
export interface RelayAddress {
  readonly relayId: string;
  readonly address: string;
  /** Any 32-bit integer, not only a valid port: existing relays send any. */
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
  /** Time until `deadline_exceeded`, ms. Default 3,000. */
  readonly timeoutMs?: number;
  /** Ends the call with `canceled`. */
  readonly signal?: AbortSignal;
}

/**
 * A relay registry. Its calls reject with a `RegistryError`: `invalid_argument` for a missing or oversized
 * field, `not_found` for a relay or agent that is not alive, `too_large` for a list that exceeds its
 * bound, `overloaded` when too many calls are in flight, `deadline_exceeded`, `canceled`, `shutting_down`
 * once it is closed, and the codes of its backend (`RelayBackend`). Messages of the first two are those
 * that existing clients know: "RelayId is required", "relay not registered: not found".
 *
 * A required argument that is `undefined` or empty, as it may arrive from the wire, is refused.
 */
export interface RelayRegistry {
  /** Registers a relay, or updates address and port of a live one. */
  registerRelay(relay: RelayAddress | undefined, options?: RelayCallOptions): Promise<void>;
  /** Renews a relay. */
  heartbeatRelay(relayId: string, options?: RelayCallOptions): Promise<void>;
  /** Returns the live relays in the order of their ids, by their UTF-8 bytes. */
  listRelays(options?: RelayCallOptions): Promise<readonly Relay[]>;
  /**
   * Places an agent at a live relay; one that another relay holds moves.
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
   * older clients, which do not name it.
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
