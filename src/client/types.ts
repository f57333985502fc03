/**
 * The SDK's parameters and results: plain objects and small interfaces, independent of the wire
 * format. Identifiers are UUID text; durations are milliseconds. Every failure is a `RegistryError`
 * (src/base/errors.ts): its class tells *proven empty* (`not_found`) from *unknown*
 * (`unavailable`).
 */
import type { Guarded } from "../../identity/capabilities/guarded.ts";
import type { RegistryError } from "../base/errors.ts";
import type { World } from "../base/world.ts";
import type { DelegatedBy } from "../base/peer.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type {
  AgentAnswer,
  Deregistered,
  DeregisterOptions,
  GatewayAnswer,
  ListedAgent,
  ListedGateway,
  ListOptions,
  Page,
  Registered,
  RegisterItem,
  RegisterOptions,
  RegisterOutcome,
  Renewed,
  RenewItem,
  Reported,
  ReportOptions,
  ResolvedAgent,
  ResolveGatewaysOptions,
  ResolveOutcome,
  StoredAnswer,
} from "./answer_types.ts";
import type { CallOptions } from "./call_options.ts";
import type { IdentityClient } from "./calls/identity.ts";
import type { GovernedClient } from "./governed/governed_types.ts";
import type { RelayClient } from "./relay_types.ts";
import type { Credentials } from "./credentials.ts";
import type { CallerEvidence } from "./delegation/evidence.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import type { KeepItem, KeepOptions, KeepOutcome, Lease } from "./lease_types.ts";
import type { MapsClient } from "./maps_types.ts";
import type { AgentInfo, AgentInput, GatewayInfo, GatewayInput } from "./records.ts";
import type {
  CachedView,
  CachedViewOptions,
  RecordFilter,
  RingWatch,
  Watch,
  WatchFilter,
  WatchOptions,
} from "./watch_types.ts";
import type { RecordKindName } from "../record/kinds.ts";

export type * from "./answer_types.ts";
export type { CallOptions } from "./call_options.ts";
export type * from "./lease_types.ts";
export type * from "./maps_types.ts";
export type * from "./watch_types.ts";
export type { CallerEvidence } from "./delegation/evidence.ts";
export type { IdentityClient } from "./calls/identity.ts";

/**
 * An event of a connection, reported to {@link ClientOptions.onConnection}. A client of a cluster has
 * a connection for each node that it needs.
 */
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
  /**
   * Whether to keep the last answers of `resolveAgent`, `getAgent`, `getGateway` and
   * `resolveGateways`, and to return them, marked stale, while the registry cannot be asked. Negative
   * answers of `resolveAgent` are kept while they are valid. Default false.
   */
  readonly cache?: boolean;
  /** Called on events of all connections. It must not throw. */
  readonly onConnection?: (event: ConnectionEvent) => void;
}

/** Access to another region, for calls with the option `home`. */
export interface HomeAccess {
  /** Default: the servers that the client's own registry knows of that region. */
  readonly endpoints?: readonly Endpoint[];
  /** Default: as the client's own registry verifies them, else as the client verifies its own. */
  readonly trust?: Trust;
  /** Default: the client's own identity. */
  readonly credentials?: Credentials;
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
  /**
   * Default for reads: the maximum age of an answer, `[0, 60000]` ms; a call may ask for another.
   * Reads that may be some time old are served by the nearest replica. Default 0: every read is
   * linearizable.
   */
  readonly maxStalenessMs?: number;
  /** Access to other regions, by name, where it is not what the client's own registry knows of them. */
  readonly homes?: Readonly<Record<string, HomeAccess>>;
  /** The zone that the client is in; replicas there are nearer than all others. Default: none. */
  readonly zone?: string;
  readonly options?: ClientOptions;
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
  /** Members of the cluster, and those with which the node has a session, itself included. */
  readonly members: number;
  readonly connected: number;
  /** Partitions of which the node holds a replica, that it leads, and without a known leader. */
  readonly held: number;
  readonly leading: number;
  readonly leaderless: number;
  /**
   * Counts of reads with `maxStalenessMs` at partitions that the node does not lead: served with a
   * proven age, redirected to the leader, refused without knowing one.
   */
  readonly followerReads: number;
  readonly followerReadsRedirected: number;
  readonly followerReadsRefused: number;
  /** Percentiles of the ages that were proven, ms. */
  readonly followerReadAgeMsP50: number;
  readonly followerReadAgeMsP99: number;
  /** Number of stale records that the node holds: those that outlive their leases. */
  readonly stale: number;
}

/** The state of one connection of a client. */
export interface NodeLinkStatus {
  /** Id of the node; 0 for a connection to the given endpoints that is not established. */
  readonly nodeId: number;
  readonly state: "connecting" | "connected";
  readonly endpoint: Endpoint | undefined;
  readonly inFlight: number;
  readonly waiting: number;
}

/**
 * Counts of requests for reads with `maxStalenessMs`. A request for many partitions counts by the
 * first of them.
 */
export interface BoundedReadCounts {
  /** Requests answered by the leader of their partition, and by followers. */
  readonly byLeader: number;
  readonly byFollowers: number;
  /** Refusals by nodes that could not serve a partition at the wanted age, or at all. */
  readonly redirected: number;
  /** Further requests sent because the first was late, and how many were answered first. */
  readonly hedgesSent: number;
  readonly hedgesWon: number;
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
  /** Counts of reads with `maxStalenessMs` since the client's start. */
  readonly boundedReads: BoundedReadCounts;
  /** Connections established and attempts repeated since the client's start. */
  readonly connections: number;
  readonly retries: number;
}

/** The calls to the registry. All methods reject with `RegistryError`. */
export interface RegistryCalls {
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

  /**
   * Watches changes of records: each one once, in order for each partition, across failures.
   *
   * @throws RegistryError `invalid_argument`, at once; other refusals end the iteration.
   */
  watch(filter?: WatchFilter, options?: WatchOptions): Watch;
  /**
   * Keeps the records of a filter in memory, and resolves when it has all of them.
   *
   * @throws RegistryError `overloaded` if they do not fit, `deadline_exceeded`, as `watch`.
   */
  cachedView<Kind extends RecordKindName = RecordKindName>(
    filter?: RecordFilter & { readonly kind?: Kind },
    options?: CachedViewOptions,
  ): Promise<CachedView<Kind>>;
  /** Returns the status of the node this client is connected to. */
  nodeStatus(options?: CallOptions): Promise<NodeStatus>;
  /** Fetches the current ring map. {@link lastRingMap} has the last one received. */
  ringMap(options?: CallOptions): Promise<RingMap>;

  /** Operations on join tokens, certificates, tokens, bans and the audit log. */
  readonly identities: IdentityClient;

  /** The governed plane: signed descriptors, proposals, proofs. */
  readonly governed: GovernedClient;

  /** Gateways and agents of the Maps protocol. */
  readonly maps: MapsClient;
  /** Relays, and the agents placed at them. */
  readonly relays: RelayClient;
}

/**
 * A reconnecting connection to the registry and the calls over it. Any number of calls may be in
 * flight; answers arrive in any order.
 */
export interface Client extends RegistryCalls {
  /** This client's process id, random at its start; the process owns the records it registers. */
  readonly process: number;
  readonly status: ClientStatus;

  /** Registers an agent and keeps it alive; rejects as {@link registerAgent}. */
  keepAgent(agent: AgentInput, options?: KeepOptions): Promise<Lease>;
  /** Registers a gateway and keeps it alive; rejects as {@link registerGateway}. */
  keepGateway(gateway: GatewayInput, options?: KeepOptions): Promise<Lease>;
  /** Registers many records and keeps the accepted ones alive; outcomes in the items' order. */
  keepMany(items: readonly KeepItem[], options?: KeepOptions): Promise<KeepOutcome[]>;

  /** Watches the ring map: the current one comes first. */
  watchRing(): RingWatch;

  /** The newest ring map received; `undefined` before the first connection. */
  readonly lastRingMap: RingMap | undefined;

  /**
   * Returns a client for one of the callers for whom this client acts, a front: its calls use the
   * connections of this one, with the rights of the caller. The registry checks the evidence at the
   * first call, and again on each connection; a refusal rejects the calls. Close it when the caller
   * is gone. It takes no calls with the option `home`.
   */
  delegate(evidence: CallerEvidence): DelegatedClient;

  /**
   * Returns a client as {@link delegate} does, for a caller that presents a capability. The registry
   * checks its scopes, operations, ids and expiry. Path, method and address it does not see, so the
   * client is given only for a request that is within the caveats on them.
   *
   * @param address address of the caller, for the registry's log.
   * @throws RegistryError `unauthenticated` if the text is no capability.
   */
  delegateCapability(capability: string, address?: string): Guarded<DelegatedClient>;

  /**
   * Closes the client: rejects waiting calls with `shutting_down`, writes that were sent with
   * `connection_lost`, as they may have been applied, and says goodbye to the server.
   * Leases are released (`releaseLeases: true`) or left to expire (default). Idempotent.
   */
  close(options?: { readonly releaseLeases?: boolean; readonly timeoutMs?: number }): Promise<void>;
}

/**
 * The client of one caller of a front. It keeps no leases: one that a front kept alive would outlive
 * its owner.
 */
export interface DelegatedClient extends RegistryCalls {
  /** The kind of evidence that the registry checks with the caller's first call. */
  readonly evidence: DelegatedBy;
  /** Ends the caller's delegations and watches; later calls reject with `shutting_down`. Idempotent. */
  close(): void;
}
