/**
 * The SDK's parameters and results: plain objects and small interfaces, independent of the wire
 * format. Identifiers are UUID text; durations are milliseconds. Every failure is a `RegistryError`
 * (src/base/errors.ts): its class tells *proven empty* (`not_found`) from *unknown*
 * (`unavailable`).
 */
import type { RegistryError } from "../base/errors.ts";
import type { World } from "../base/world.ts";
import type { InputOf, RecordKindName } from "../record/kinds.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { CallOptions } from "./call_options.ts";
import type { IdentityClient } from "./calls/identity.ts";
import type { Credentials } from "./credentials.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import type {
  AgentInfo,
  AgentInput,
  Capacity,
  GatewayInfo,
  GatewayInput,
  Incarnation,
} from "./records.ts";

export type { CallOptions } from "./call_options.ts";
export type { IdentityClient } from "./calls/identity.ts";

/** An event of the connection, reported to {@link ClientOptions.onConnection}. */
export type ConnectionEvent =
  | { readonly kind: "connected"; readonly endpoint: Endpoint; readonly nodeId: number }
  | { readonly kind: "lost"; readonly endpoint: Endpoint; readonly error: RegistryError }
  | {
    readonly kind: "attempt_failed";
    readonly endpoint: Endpoint;
    readonly error: RegistryError;
    /** Delay before the next endpoint is tried, ms. */
    readonly retryInMs: number;
  };

/** Options of a client; every field has a default. */
export interface ClientOptions {
  /** Name and version of the program, for the server's log. Default `registry-sdk`. */
  readonly program?: string;
  /** UUID of the expected cluster; any other cluster is refused with `wrong_cluster`. */
  readonly clusterId?: string;
  /** The caller's region, sent to the server. */
  readonly region?: string;
  /** Default timeout of a call, `[1, 60000]` ms. Default 5000. */
  readonly timeoutMs?: number;
  /** Time limit of {@link connect}, ms. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Whether {@link connect} returns at once and connects in the background. Default false. */
  readonly lazy?: boolean;
  /**
   * Maximum number of requests in flight, `[1, 4096]`; the server may allow fewer. Default 1024.
   */
  readonly inFlightMax?: number;
  /** Whether to cache the last known answers of `resolveAgent`, and negative ones while valid. */
  readonly cache?: boolean;
  /** Called on events of the connection. It must not throw. */
  readonly onConnection?: (event: ConnectionEvent) => void;
}

/** Parameters of {@link connect}. */
export interface ConnectParameters {
  /** Addresses of nodes, at least one; tried in order, starting at a random one. */
  readonly endpoints: readonly Endpoint[];
  /** Opens sessions. The caller owns it and closes it after the client. */
  readonly dialer: Dialer;
  /** Trust by which the server's certificate is verified. */
  readonly trust: Trust;
  /** Clocks, timers and randomness. */
  readonly world: World;
  /** Credentials of the client. Default: none, which a development node accepts. */
  readonly credentials?: Credentials;
  readonly options?: ClientOptions;
}

/** The source and freshness of an answer or a part of it. */
export interface Receipt {
  /** Node id. */
  readonly node: number;
  readonly partition: number;
  readonly term: number;
  readonly appliedIndex: number;
  /** Upper bound on the answer's age when it was sent, ms; 0 for linearizable. */
  readonly ageBoundMs: number;
}

/** The result of `getAgent`. */
export interface AgentAnswer {
  readonly agent: AgentInfo;
  /** Remaining lease when the answer was sent, ms. */
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
}

/** The result of `getGateway`. */
export interface GatewayAnswer {
  readonly gateway: GatewayInfo;
  /** Remaining lease when the answer was sent, ms. */
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
}

/** The result of `getAgentStored` and `getGatewayStored`: the record's undecoded bytes. */
export interface StoredAnswer<T> {
  /** The stored form (schemas/record.capnp), a copy that the caller owns. */
  readonly bytes: Uint8Array;
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
  /** Decodes the bytes, anew at each call. @throws RegistryError `malformed`. */
  decode(): T;
}

/** An agent and its gateway, found by the agent's domain. */
export interface ResolvedAgent {
  readonly domain: string;
  readonly agent: AgentInfo;
  /** The gateway; `undefined` if the agent names none or the named one is not registered. */
  readonly gateway: GatewayInfo | undefined;
  /** UUID of the gateway that the agent names; `undefined` if none. */
  readonly gatewayId: string | undefined;
  /** Remaining lease of the agent when the answer was sent, ms. */
  readonly agentRemainingMs: number;
  /** Remaining lease of the gateway, ms; 0 if there is none. */
  readonly gatewayRemainingMs: number;
  /** True for a last known answer, returned because the registry could not be asked. */
  readonly stale: boolean;
  /** Time since the registry gave the answer, ms; 0 if it was asked now. */
  readonly ageMs: number;
  readonly receipts: readonly Receipt[];
}

/**
 * The result for one of many domains: an agent, or why not (`not_found` is proven, `unavailable`
 * means unknown).
 */
export type ResolveOutcome =
  | { readonly domain: string; readonly found: ResolvedAgent; readonly error?: undefined }
  | { readonly domain: string; readonly found?: undefined; readonly error: RegistryError };

/** A page of records of a region. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Start of the next page; `undefined` if this was the last. */
  readonly nextCursor: Uint8Array | undefined;
  readonly receipts: readonly Receipt[];
}

/** An agent in a list. */
export interface ListedAgent {
  readonly agent: AgentInfo;
  readonly remainingMs: number;
}

/** A gateway in a list. */
export interface ListedGateway {
  readonly gateway: GatewayInfo;
  readonly remainingMs: number;
}

/** Options of a list. */
export interface ListOptions extends CallOptions {
  /** The `nextCursor` of the previous page. */
  readonly cursor?: Uint8Array;
  /** Records per page, `[1, 1000]`. Default 1000. */
  readonly limit?: number;
}

/** Options of `resolveGateways`. */
export interface ResolveGatewaysOptions extends CallOptions {
  /** Maximum number of gateways, `[1, 256]`. Default 16. */
  readonly limit?: number;
}

/** Options of a register. */
export interface RegisterOptions extends CallOptions {
  /**
   * The incarnation to take over from another process; absent to create or update one's own record.
   */
  readonly expected?: Incarnation;
  /** Whether to take over a record that another process holds. Default false. */
  readonly takeOver?: boolean;
}

/** The result of a register. */
export interface Registered {
  readonly id: string;
  /** The fencing token that renewals, reports and deregistrations name. */
  readonly incarnation: Incarnation;
  readonly revision: Incarnation;
  /** Remaining lease when the answer was sent, ms. */
  readonly remainingMs: number;
  /** Time after the answer at which the server wants the first renewal, ms. */
  readonly renewAfterMs: number;
  /** False if a live record of the same process was updated. */
  readonly created: boolean;
  readonly receipts: readonly Receipt[];
}

/** One record of a bulk register: its kind, and its fields under the name of the kind. */
export type RegisterItem = {
  [Kind in RecordKindName]:
    & { readonly kind: Kind; readonly expected?: Incarnation }
    & { readonly [Record in Kind]: InputOf<Kind> };
}[RecordKindName];

/** The outcome for one item of a bulk register, at the item's index. */
export type RegisterOutcome =
  | { readonly registered: Registered; readonly error?: undefined }
  | { readonly registered?: undefined; readonly error: RegistryError };

/** A record to renew. */
export interface RenewItem {
  readonly kind: RecordKindName;
  readonly id: string;
  readonly incarnation: Incarnation;
}

/** A record that was not renewed: `not_found` (it expired), `superseded`, or another error. */
export interface RenewFailure {
  /** Index of the record among the items. */
  readonly position: number;
  readonly error: RegistryError;
}

/** The result of a renewal. */
export interface Renewed {
  readonly renewed: number;
  /** Time after the answer at which the server wants the next renewal, ms; Infinity for none. */
  readonly renewAfterMs: number;
  readonly failures: readonly RenewFailure[];
}

/** Options of a deregistration. */
export interface DeregisterOptions extends CallOptions {
  /** The incarnation to deregister. Default: the record's current one, which is read first. */
  readonly incarnation?: Incarnation;
  /** For a gateway: whether to deregister its agents too. Default false. */
  readonly withAgents?: boolean;
}

/** The result of a deregistration. */
export interface Deregistered {
  /** The number of records removed; 0 if it was already gone. */
  readonly removed: number;
  readonly receipts: readonly Receipt[];
}

/** Options of a report. */
export interface ReportOptions extends CallOptions {
  /** The incarnation to report on. Default: the record's current one, which is read first. */
  readonly incarnation?: Incarnation;
  /** For a gateway: the capacity in use. */
  readonly used?: Capacity;
  /** Whether the record is draining: it stays, but should receive nothing new. */
  readonly draining?: boolean;
}

/** The result of a report. */
export interface Reported {
  readonly revision: Incarnation;
  readonly receipts: readonly Receipt[];
}

/** The status that a node reports of itself. */
export interface NodeStatus {
  readonly nodeId: number;
  readonly version: string;
  readonly region: string;
  readonly clusterId: string;
  readonly partitionCount: number;
  readonly ready: boolean;
  /** Reason why the node is not ready; empty if it is. */
  readonly reason: string;
  readonly agents: number;
  readonly gateways: number;
  readonly aliases: number;
  readonly sessions: number;
  readonly uptimeMs: number;
  /** Sizes in bytes: of the records, of the log on disk, and of resident memory. */
  readonly recordBytes: number;
  readonly logBytes: number;
  readonly memoryBytes: number;
}

/** The state of a lease. `lost` and `released` are final. */
export type LeaseState = "active" | "recovering" | "lost" | "released";

/** The end of a lease and its reason. */
export interface LeaseEnd {
  /**
   * `released`: by its owner, or with its client. `superseded`: another process took the record
   * over. `refused`: the record had expired and could not be registered again.
   */
  readonly reason: "released" | "superseded" | "refused";
  readonly error: RegistryError | undefined;
}

/** An event of a lease, reported to {@link KeepOptions.onEvent}. */
export type LeaseEvent =
  /** A renewal was answered; the lease lasts at least `remainingMs`. */
  | { readonly kind: "renewed"; readonly remainingMs: number }
  /** The record had expired and is being registered again. */
  | { readonly kind: "expired" }
  /** The record was registered again, under a new incarnation. */
  | { readonly kind: "recovered"; readonly incarnation: Incarnation }
  /** A renewal failed temporarily and is retried. */
  | { readonly kind: "renewal_failed"; readonly error: RegistryError }
  | { readonly kind: "ended"; readonly end: LeaseEnd };

/** Options of the `keep` methods. */
export interface KeepOptions extends CallOptions {
  /** Whether to take the record over from another process. Default true. */
  readonly takeOver?: boolean;
  /** Called on events of the lease, after its state has changed. It must not throw. */
  readonly onEvent?: (event: LeaseEvent, lease: Lease) => void;
}

/** A record that its client keeps alive until it is released or lost. */
export interface Lease {
  readonly kind: RecordKindName;
  /** UUID of the record. */
  readonly id: string;
  /** Changes only when the record is registered again after it expired. */
  readonly incarnation: Incarnation;
  readonly state: LeaseState;
  /** Minimum time the record lives without another renewal, ms, by this machine's clock. */
  readonly remainingMs: number;
  /** Resolves once, when the lease has ended; never rejects. */
  readonly ended: Promise<LeaseEnd>;

  /**
   * Registers the record with these fields changed, under the same lease.
   *
   * @throws RegistryError as a register; `superseded` if the lease has ended.
   */
  update(
    fields: Partial<AgentInput> | Partial<GatewayInput>,
    options?: CallOptions,
  ): Promise<Registered>;

  /** Reports usage and draining. @throws RegistryError as `report`. */
  report(
    report: { readonly used?: Capacity; readonly draining?: boolean },
    options?: CallOptions,
  ): Promise<Reported>;

  /**
   * Stops renewing and deregisters the record; for a gateway, its agents too if requested.
   * Idempotent.
   *
   * @throws RegistryError if the deregistration failed; the record then ends with its lease.
   */
  release(options?: CallOptions & { readonly withAgents?: boolean }): Promise<void>;
}

/** The outcome for one item of `keepMany`, at the item's index. */
export type KeepOutcome =
  | { readonly lease: Lease; readonly error?: undefined }
  | { readonly lease?: undefined; readonly error: RegistryError };

/** The state of one connection of a client. */
export interface NodeLinkStatus {
  /** Id of the node; 0 for a connection to the given endpoints that is not established. */
  readonly nodeId: number;
  readonly state: "connecting" | "connected";
  readonly endpoint: Endpoint | undefined;
  readonly inFlight: number;
  readonly waiting: number;
}

/** The state of the client, for people and metrics. */
export interface ClientStatus {
  readonly state: "connecting" | "connected" | "closed";
  /** The endpoint of the current connection. */
  readonly endpoint: Endpoint | undefined;
  readonly inFlight: number;
  /** The number of calls waiting for room, a connection or their next attempt. */
  readonly waiting: number;
  readonly leases: number;
  /** One entry per connection, that to the given endpoints first. */
  readonly nodes: readonly NodeLinkStatus[];
  /** Connections established and attempts repeated since the client's start. */
  readonly connections: number;
  readonly retries: number;
}

/**
 * A reconnecting connection to the registry and the calls over it. Any number of calls may be in
 * flight; answers arrive in any order. All methods reject with `RegistryError`.
 */
export interface Client {
  /** This client's process id, random at its start; the process owns the records it registers. */
  readonly process: number;
  readonly status: ClientStatus;

  /** Gets an agent by UUID text or 16 bytes. @throws RegistryError `not_found` (`cacheMs`). */
  getAgent(id: string | Uint8Array, options?: CallOptions): Promise<AgentAnswer>;
  /** Gets a gateway by UUID text or 16 bytes. @throws RegistryError `not_found` (`cacheMs`). */
  getGateway(id: string | Uint8Array, options?: CallOptions): Promise<GatewayAnswer>;
  /** Like {@link getAgent}, without decoding the record: for proxies that forward or compare it. */
  getAgentStored(id: string | Uint8Array, options?: CallOptions): Promise<StoredAnswer<AgentInfo>>;
  /** Like {@link getGateway}, without decoding the record. */
  getGatewayStored(
    id: string | Uint8Array,
    options?: CallOptions,
  ): Promise<StoredAnswer<GatewayInfo>>;

  /** Resolves a domain to its agent and gateway. @throws RegistryError `not_found` (`cacheMs`). */
  resolveAgent(domain: string, options?: CallOptions): Promise<ResolvedAgent>;
  /** Resolves many domains, with outcomes in their order; more than 256 take several requests. */
  resolveAgents(domains: readonly string[], options?: CallOptions): Promise<ResolveOutcome[]>;
  /**
   * Returns live gateways of a region, the one with the largest minimum free fraction first. It is
   * refused, with the missing `partitions`, while some cannot be read.
   */
  resolveGateways(region: string, options?: ResolveGatewaysOptions): Promise<Page<ListedGateway>>;

  /**
   * Returns one page of a region's agents. A list is complete when its last page has no
   * `nextCursor`; a page that cannot be read is refused, with the missing `partitions`.
   */
  listAgents(region: string, options?: ListOptions): Promise<Page<ListedAgent>>;
  /** Like {@link listAgents}, for gateways. */
  listGateways(region: string, options?: ListOptions): Promise<Page<ListedGateway>>;
  /** Iterates over all agents of a region, page by page. */
  allAgents(region: string, options?: ListOptions): AsyncIterableIterator<ListedAgent>;
  /** Iterates over all gateways of a region, page by page. */
  allGateways(region: string, options?: ListOptions): AsyncIterableIterator<ListedGateway>;

  /**
   * Creates an agent, or renews and updates this client's own.
   *
   * @throws RegistryError `invalid_argument`, `incarnation_mismatch` (another process holds it),
   * `domain_taken`, `superseded`, `stale_sequence`, `permission_denied`.
   */
  registerAgent(agent: AgentInput, options?: RegisterOptions): Promise<Registered>;
  /** Like {@link registerAgent}, for a gateway. */
  registerGateway(gateway: GatewayInput, options?: RegisterOptions): Promise<Registered>;
  /** Registers many records, with outcomes in their order; more than 512 take several requests. */
  registerMany(
    items: readonly RegisterItem[],
    options?: CallOptions & { readonly takeOver?: boolean },
  ): Promise<RegisterOutcome[]>;
  /** Renews leases; more than 4096 take several requests. Prefer the `keep` methods. */
  renew(items: readonly RenewItem[], options?: CallOptions): Promise<Renewed>;
  /** Deregisters an agent. @throws RegistryError `not_found`, `superseded`, `permission_denied`. */
  deregisterAgent(id: string, options?: DeregisterOptions): Promise<Deregistered>;
  /**
   * Deregisters a gateway. @throws RegistryError `not_found`, `superseded`, `permission_denied`.
   */
  deregisterGateway(id: string, options?: DeregisterOptions): Promise<Deregistered>;
  /** Reports whether an agent is draining. @throws RegistryError `not_found`, `superseded`. */
  reportAgent(id: string, options: Omit<ReportOptions, "used">): Promise<Reported>;
  /** Reports a gateway's usage and whether it is draining. @throws as {@link reportAgent}. */
  reportGateway(id: string, options: ReportOptions): Promise<Reported>;

  /** Registers an agent and keeps it alive; rejects as {@link registerAgent}. */
  keepAgent(agent: AgentInput, options?: KeepOptions): Promise<Lease>;
  /** Registers a gateway and keeps it alive; rejects as {@link registerGateway}. */
  keepGateway(gateway: GatewayInput, options?: KeepOptions): Promise<Lease>;
  /** Registers many records and keeps the accepted ones alive; outcomes in the items' order. */
  keepMany(items: readonly RegisterItem[], options?: KeepOptions): Promise<KeepOutcome[]>;

  /** Returns the status of the node this client is connected to. */
  nodeStatus(options?: CallOptions): Promise<NodeStatus>;
  /** Fetches the current ring map. {@link lastRingMap} has the last one received. */
  ringMap(options?: CallOptions): Promise<RingMap>;
  /** The newest ring map received; `undefined` before the first connection. */
  readonly lastRingMap: RingMap | undefined;

  /** Operations on join tokens, certificates, tokens, bans and the audit log. */
  readonly identities: IdentityClient;

  /**
   * Closes the client: rejects waiting calls with `shutting_down` and says goodbye to the server.
   * Leases are released (`releaseLeases: true`) or left to expire (default). Idempotent.
   */
  close(options?: { readonly releaseLeases?: boolean; readonly timeoutMs?: number }): Promise<void>;
}
