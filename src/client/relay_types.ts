/** Types of the SDK's calls on relays, and on the agents placed at them. */
import type { Receipt } from "./answer_types.ts";
import type { CallOptions } from "./call_options.ts";
import type { Incarnation } from "./records.ts";

/** A relay to register. */
export interface RelayInput {
  /** The name of the relay, 1 to 512 bytes of any text. */
  readonly relayId: string;
  /** 1 to 512 bytes of any text; not interpreted. */
  readonly address: string;
  /** A 32-bit integer; not checked. */
  readonly grpcPort: number;
  /** Lease, `[5000, 86400000]` ms. Default 30,000. */
  readonly ttlMs?: number;
}

/** An agent to place at a relay. */
export interface PlacementInput {
  /** The name of the agent, 1 to 512 bytes of any text. */
  readonly agentId: string;
  readonly relayId: string;
  /** Lease, `[5000, 86400000]` ms. Default 30,000. */
  readonly ttlMs?: number;
}

/** Options of a call that writes a relay, or an agent placed at it. */
export interface RelayWriteOptions extends CallOptions {
  /**
   * Hexadecimal hash, up to 64 bytes, under which the relay is registered, and alone may be written. For
   * fronts, which register relays of callers that bring no identity. Default: none.
   */
  readonly credentialHash?: string;
}

/** A relay or placement that was registered. */
export interface RegisteredName {
  readonly incarnation: Incarnation;
  /** Whether a new incarnation began. */
  readonly created: boolean;
  /** Time after which to send a heartbeat, ms. */
  readonly renewAfterMs: number;
  readonly receipts: readonly Receipt[];
}

/** A heartbeat that was accepted. */
export interface AcceptedHeartbeat {
  /** Time after which to send the next one, ms. */
  readonly renewAfterMs: number;
}

/** A live relay. */
export interface RelayEntry {
  readonly relayId: string;
  readonly address: string;
  readonly grpcPort: number;
  readonly ttlMs: number;
  /** Its agents end with it. */
  readonly incarnation: Incarnation;
  readonly remainingMs: number;
  /**
   * Time of the last registration or heartbeat, Unix ms, by the clock of the node that answered. Just
   * after a change of the leader, and for answers of followers, it may be later than it was.
   */
  readonly lastHeartbeatUnixMs: number;
}

/** A live agent at a live relay. */
export interface PlacementEntry {
  readonly agentId: string;
  readonly relayId: string;
  readonly ttlMs: number;
  readonly incarnation: Incarnation;
  /** The incarnation of the relay under which the agent was placed. */
  readonly relayIncarnation: Incarnation;
  readonly remainingMs: number;
  /** As that of a relay. */
  readonly lastHeartbeatUnixMs: number;
}

/** An answer about one relay. */
export interface RelayAnswer extends RelayEntry {
  readonly receipts: readonly Receipt[];
}

/** An answer about one agent. */
export interface PlacementAnswer extends PlacementEntry {
  readonly receipts: readonly Receipt[];
}

/** A whole list, in the order of the ids as UTF-8 bytes. */
export interface NamedList<T> {
  readonly items: readonly T[];
  readonly receipts: readonly Receipt[];
}

/** Options of a list. */
export interface NamedListOptions extends CallOptions {
  /** Most items of the list, `[1, 100000]`; a longer one is refused with `too_large`. Default 32,768. */
  readonly itemsMax?: number;
}

/**
 * Relays and the agents placed at them. All methods reject with `RegistryError`.
 *
 * A relay and an agent live while they renew within their lease. An agent is there only while the
 * incarnation of the relay that placed it lives: it ends with that incarnation at once, and stays gone when
 * the relay comes back, until it is placed again. Placing an agent at another live relay moves it, in one
 * step.
 */
export interface RelayClient {
  /**
   * Registers a relay, or updates address, port and lease of a live one, which its owner alone may.
   *
   * @throws RegistryError `permission_denied` for another identity or credential.
   */
  register(relay: RelayInput, options?: RelayWriteOptions): Promise<RegisteredName>;
  /** Renews a relay. @throws RegistryError `not_found`, `permission_denied`. */
  heartbeat(relayId: string, options?: RelayWriteOptions): Promise<AcceptedHeartbeat>;
  /** Places an agent at a live relay, wherever it was. @throws as {@link heartbeat}. */
  place(placement: PlacementInput, options?: RelayWriteOptions): Promise<RegisteredName>;
  /**
   * Renews an agent.
   *
   * @param relayId the relay that must hold it; `undefined` renews it wherever it is.
   * @throws as {@link heartbeat}.
   */
  heartbeatAgent(
    agentId: string,
    relayId: string | undefined,
    options?: RelayWriteOptions,
  ): Promise<AcceptedHeartbeat>;
  /** Returns a live relay. @throws RegistryError `not_found`. */
  get(relayId: string, options?: CallOptions): Promise<RelayAnswer>;
  /** Returns where an agent is. @throws RegistryError `not_found`. */
  placement(agentId: string, options?: CallOptions): Promise<PlacementAnswer>;
  /** Returns all live relays. @throws RegistryError `too_large`. */
  list(options?: NamedListOptions): Promise<NamedList<RelayEntry>>;
  /** Returns all live agents of live relays. @throws RegistryError `too_large`. */
  agents(options?: NamedListOptions): Promise<NamedList<PlacementEntry>>;
  /** Returns the live agents of one relay; none if it is not alive. @throws RegistryError `too_large`. */
  agentsOf(relayId: string, options?: NamedListOptions): Promise<NamedList<PlacementEntry>>;
}
