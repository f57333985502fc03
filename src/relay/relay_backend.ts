/**
 * The interface between the rules of a relay registry (backed_registry.ts) and the place that keeps the
 * entries. A backend implements these primitives, each in one atomic step, and nothing else: arguments
 * are validated, lists sorted and bounded, deadlines kept and errors worded above it.
 *
 * A backend gets the ttls of relays and of agents in its constructor, and measures them, and every time
 * it reports, by its own clock. Its operating conditions are `RegistryError`s: `connection_lost` while it
 * cannot be reached, `overloaded` with a retry hint while it has no memory or too much to do,
 * `storage_unavailable` while it accepts no writes, `not_leader` if another server must be asked,
 * `invalid_configuration` if it refuses access, `tls_failed`, `too_large` for a list that it cannot hold,
 * and `internal` for an answer that makes no sense. The cluster has those of the SDK.
 */
import type { AgentPlacement, Relay, RelayAddress } from "./relay_registry.ts";

/** The limits of one call. */
export interface BackendCall {
  /** Aborted at the deadline, when the caller gives up, and when the registry is closed. */
  readonly signal: AbortSignal;
  /** Time from the start of the call to its deadline, ms. */
  readonly timeoutMs: number;
}

/** Keeps the entries of a relay registry. */
export interface RelayBackend {
  /** The backend's kind and address for messages, without credentials: `redis://127.0.0.1:6379/0`. */
  readonly name: string;
  /** Updates a live relay and keeps its incarnation, or writes a new incarnation. Renews it. */
  putRelay(relay: RelayAddress, call: BackendCall): Promise<void>;
  /** Renews a relay; returns false if it is not live. */
  renewRelay(relayId: string, call: BackendCall): Promise<boolean>;
  /**
   * Places an agent at the current incarnation of a relay, wherever it was before, and renews it; returns
   * false and changes nothing if the relay is not live.
   */
  placeAgent(agentId: string, relayId: string, call: BackendCall): Promise<boolean>;
  /**
   * Renews an agent; returns false and changes nothing if it is not live.
   *
   * @param relayId if given, the agent counts as not live unless this relay holds it.
   */
  renewAgent(agentId: string, relayId: string | undefined, call: BackendCall): Promise<boolean>;
  /** Returns live relays in any order: all, or any `countMax` if there are more. */
  relays(countMax: number, call: BackendCall): Promise<Relay[]>;
  /**
   * Returns live agents in any order: all, or any `countMax` if there are more.
   *
   * @param relayId restricts them to those of one relay.
   */
  agents(
    relayId: string | undefined,
    countMax: number,
    call: BackendCall,
  ): Promise<AgentPlacement[]>;
  /** Returns where a live agent is; `undefined` if it is not live. */
  placement(agentId: string, call: BackendCall): Promise<AgentPlacement | undefined>;
  /** Ends all connections. Called last; the calls in flight were aborted. */
  close(): Promise<void>;
}
