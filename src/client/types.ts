/**
 * What the SDK's caller passes in and gets back: plain objects and small interfaces, nothing of the
 * wire. Identifiers are UUID text; durations are milliseconds. Every failure is a `RegistryError`
 * (src/base/errors.ts): its class tells *proven empty* (`not_found`) from *unknown* (`unavailable`).
 */
import type { RegistryError } from "../base/errors.ts";
import type { Grants } from "../base/peer.ts";
import type { World } from "../base/world.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { Credentials } from "./credentials.ts";
import type {
  AuditEntries,
  BanOrder,
  BanResult,
  Bans,
  IssuedIdentity,
  LineageInfo,
  MadeJoinToken,
  RenewalOrder,
  TokenIssue,
} from "./identity_types.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import type {
  AgentInfo,
  AgentInput,
  Capacity,
  GatewayInfo,
  GatewayInput,
  Incarnation,
} from "./records.ts";

/** What the connection does; told to {@link ClientOptions.onConnection}. */
export type ConnectionEvent =
  | { readonly kind: "connected"; readonly endpoint: Endpoint; readonly nodeId: number }
  | { readonly kind: "lost"; readonly endpoint: Endpoint; readonly error: RegistryError }
  | {
    readonly kind: "attempt_failed";
    readonly endpoint: Endpoint;
    readonly error: RegistryError;
    /** After this the next endpoint is tried, ms. */
    readonly retryInMs: number;
  };

/** How a client behaves; every field has a default. */
export interface ClientOptions {
  /** Name and version of the program, for the server's log. Default `registry-sdk`. */
  readonly program?: string;
  /** UUID of the cluster that is meant: another one is refused with `wrong_cluster`. */
  readonly clusterId?: string;
  /** The caller's region, told to the server. */
  readonly region?: string;
  /** A call's time when it names none, `[1, 60000]` ms. Default 5000. */
  readonly timeoutMs?: number;
  /** How long {@link connect} tries before it gives up, ms. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** True: {@link connect} returns at once and the first connection is made behind it. */
  readonly lazy?: boolean;
  /** Requests in flight at once, `[1, 4096]`; the server may allow fewer. Default 1024. */
  readonly inFlightMax?: number;
  /** True: keeps last known good answers of `resolveAgent`, and negative ones while they may. */
  readonly cache?: boolean;
  /** Told of what the connection does. It must not throw. */
  readonly onConnection?: (event: ConnectionEvent) => void;
}

/** What {@link connect} needs. */
export interface ConnectParameters {
  /** Where nodes are reached; tried in order, from a random one on. At least one. */
  readonly endpoints: readonly Endpoint[];
  /** Opens sessions; it stays the caller's, who closes it after the client. */
  readonly dialer: Dialer;
  /** By what the server's certificate is believed. */
  readonly trust: Trust;
  /** Clocks, timers and randomness. */
  readonly world: World;
  /** Default: none, which a development node takes. */
  readonly credentials?: Credentials;
  readonly options?: ClientOptions;
}

/** What each call may be told, always last. */
export interface CallOptions {
  /** From now to the answer, retries included, `[1, 60000]` ms. Default: the client's. */
  readonly timeoutMs?: number;
  /** Gives up: the call rejects with `canceled`. */
  readonly signal?: AbortSignal;
  /** Reads: how old an answer may be, ms. 0 (default): linearizable. */
  readonly maxStalenessMs?: number;
}

/** Where an answer, or a part of it, comes from and how fresh it is. */
export interface Receipt {
  /** Node id. */
  readonly node: number;
  readonly partition: number;
  readonly term: number;
  readonly appliedIndex: number;
  /** The answer was true at most this long before it was sent, ms; 0: linearizable. */
  readonly ageBoundMs: number;
}

/** An answer to `getAgent`. */
export interface AgentAnswer {
  readonly agent: AgentInfo;
  /** What is left of its lease, ms, when the answer was sent. */
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
}

/** An answer to `getGateway`. */
export interface GatewayAnswer {
  readonly gateway: GatewayInfo;
  /** What is left of its lease, ms, when the answer was sent. */
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
}

/** An answer to `getAgentStored`, `getGatewayStored`: the record's bytes, not looked at. */
export interface StoredAnswer<T> {
  /** The stored form (schemas/record.capnp), a copy that the caller owns. */
  readonly bytes: Uint8Array;
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
  /** Decodes the bytes, at each call. @throws RegistryError `malformed`. */
  decode(): T;
}

/** An agent and its gateway, found by the agent's domain. */
export interface ResolvedAgent {
  readonly domain: string;
  readonly agent: AgentInfo;
  /** `undefined` where the agent names none, or the one that it names is not registered. */
  readonly gateway: GatewayInfo | undefined;
  /** UUID of the gateway that the agent names; `undefined`: none. */
  readonly gatewayId: string | undefined;
  /** What is left of the agent's lease, ms, when the answer was sent. */
  readonly agentRemainingMs: number;
  /** The same of its gateway; 0 where there is none. */
  readonly gatewayRemainingMs: number;
  /** True for a last known good answer, given because the registry could not be asked. */
  readonly stale: boolean;
  /** How long ago the answer came from the registry, ms; 0 where it was asked now. */
  readonly ageMs: number;
  readonly receipts: readonly Receipt[];
}

/** One of many domains: found, or why not (`not_found` is proven, `unavailable` is unknown). */
export type ResolveOutcome =
  | { readonly domain: string; readonly found: ResolvedAgent; readonly error?: undefined }
  | { readonly domain: string; readonly found?: undefined; readonly error: RegistryError };

/** Some records of a region. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; `undefined`: this was the last. */
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

/** What a list is asked with. */
export interface ListOptions extends CallOptions {
  /** `nextCursor` of the page before. */
  readonly cursor?: Uint8Array;
  /** Records a page, `[1, 1000]`. Default 1000. */
  readonly limit?: number;
}

/** What `resolveGateways` is asked with. */
export interface ResolveGatewaysOptions extends CallOptions {
  /** The most gateways, `[1, 256]`. Default 16. */
  readonly limit?: number;
}

/** What a register is asked with. */
export interface RegisterOptions extends CallOptions {
  /** The incarnation that is taken over from another process; none: create or update one's own. */
  readonly expected?: Incarnation;
  /** True: a record that another process holds is taken over. Default false. */
  readonly takeOver?: boolean;
}

/** What a register is answered with. */
export interface Registered {
  readonly id: string;
  /** The fence that renewals, reports and deregistrations name. */
  readonly incarnation: Incarnation;
  readonly revision: Incarnation;
  /** The lease, ms, when the answer was sent. */
  readonly remainingMs: number;
  /** When the server wants the first renewal, ms from the answer. */
  readonly renewAfterMs: number;
  /** False where a live record of the same process was updated. */
  readonly created: boolean;
  readonly receipts: readonly Receipt[];
}

/** One record of many. */
export type RegisterItem =
  | { readonly kind: "agent"; readonly agent: AgentInput; readonly expected?: Incarnation }
  | { readonly kind: "gateway"; readonly gateway: GatewayInput; readonly expected?: Incarnation };

/** One outcome of many, at the place of its item. */
export type RegisterOutcome =
  | { readonly registered: Registered; readonly error?: undefined }
  | { readonly registered?: undefined; readonly error: RegistryError };

/** A record to renew. */
export interface RenewItem {
  readonly kind: "agent" | "gateway";
  readonly id: string;
  readonly incarnation: Incarnation;
}

/** One that was not renewed: `not_found` (it expired), `superseded`, or what else it was. */
export interface RenewFailure {
  /** Its place among the items. */
  readonly position: number;
  readonly error: RegistryError;
}

/** What a renewal is answered with. */
export interface Renewed {
  readonly renewed: number;
  /** When the server wants the next renewal of all these, ms from the answer; Infinity: of none. */
  readonly renewAfterMs: number;
  readonly failures: readonly RenewFailure[];
}

/** What a deregistration is asked with. */
export interface DeregisterOptions extends CallOptions {
  /** The incarnation that is meant. Default: the one that the record has now, which is read. */
  readonly incarnation?: Incarnation;
  /** A gateway: its agents too. Default false. */
  readonly withAgents?: boolean;
}

/** What a deregistration is answered with. */
export interface Deregistered {
  /** How many records were removed; 0: it was gone already. */
  readonly removed: number;
  readonly receipts: readonly Receipt[];
}

/** What a report is asked with. */
export interface ReportOptions extends CallOptions {
  /** The incarnation that is meant. Default: the one that the record has now, which is read. */
  readonly incarnation?: Incarnation;
  /** A gateway: what of it is in use. */
  readonly used?: Capacity;
  /** Whether it drains: it stays, but nothing new should be sent to it. */
  readonly draining?: boolean;
}

/** What a report is answered with. */
export interface Reported {
  readonly revision: Incarnation;
  readonly receipts: readonly Receipt[];
}

/** What a node tells of itself. */
export interface NodeStatus {
  readonly nodeId: number;
  readonly version: string;
  readonly region: string;
  readonly clusterId: string;
  readonly partitionCount: number;
  readonly ready: boolean;
  /** Why it is not ready; empty where it is. */
  readonly reason: string;
  readonly agents: number;
  readonly gateways: number;
  readonly aliases: number;
  readonly sessions: number;
  readonly uptimeMs: number;
  /** Bytes of records, of the log on disk, and of resident memory. */
  readonly recordBytes: number;
  readonly logBytes: number;
  readonly memoryBytes: number;
}

/** What a lease is going through. `lost` and `released` are final. */
export type LeaseState = "active" | "recovering" | "lost" | "released";

/** Why a lease ended. */
export interface LeaseEnd {
  /**
   * `released`: by its owner, or with its client. `superseded`: another process took it over.
   * `refused`: it had expired and could not be registered again.
   */
  readonly reason: "released" | "superseded" | "refused";
  readonly error: RegistryError | undefined;
}

/** What happens to a lease; told to {@link KeepOptions.onEvent}. */
export type LeaseEvent =
  /** A renewal was answered; the lease runs for `remainingMs` at least. */
  | { readonly kind: "renewed"; readonly remainingMs: number }
  /** The record had expired; it is being registered again. */
  | { readonly kind: "expired" }
  /** It was registered again, under a new incarnation. */
  | { readonly kind: "recovered"; readonly incarnation: Incarnation }
  /** A renewal failed for now and is tried again. */
  | { readonly kind: "renewal_failed"; readonly error: RegistryError }
  | { readonly kind: "ended"; readonly end: LeaseEnd };

/** How a record is kept. */
export interface KeepOptions extends CallOptions {
  /** False: refuses to take the record over from another process. Default true. */
  readonly takeOver?: boolean;
  /** Told of what happens to the lease, after its state changed. It must not throw. */
  readonly onEvent?: (event: LeaseEvent, lease: Lease) => void;
}

/** A record that its client keeps alive until it is released or lost. */
export interface Lease {
  readonly kind: "agent" | "gateway";
  /** UUID of the record. */
  readonly id: string;
  /** Changes only when the record was registered again after it had expired. */
  readonly incarnation: Incarnation;
  readonly state: LeaseState;
  /** At least this long the record lives without another renewal, ms, by this machine's clock. */
  readonly remainingMs: number;
  /** Resolves once, when the lease is over; never rejects. */
  readonly ended: Promise<LeaseEnd>;

  /**
   * Registers the record with these fields changed, under the same lease.
   *
   * @throws RegistryError as a register; `superseded` where the lease is over.
   */
  update(
    fields: Partial<AgentInput> | Partial<GatewayInput>,
    options?: CallOptions,
  ): Promise<Registered>;

  /** Reports use and draining. @throws RegistryError as `report`. */
  report(
    report: { readonly used?: Capacity; readonly draining?: boolean },
    options?: CallOptions,
  ): Promise<Reported>;

  /**
   * Stops renewing and deregisters the record (a gateway: with its agents where asked). Idempotent.
   *
   * @throws RegistryError where the deregistration failed: the record then ends with its lease.
   */
  release(options?: CallOptions & { readonly withAgents?: boolean }): Promise<void>;
}

/** One lease of many, at the place of its item. */
export type KeepOutcome =
  | { readonly lease: Lease; readonly error?: undefined }
  | { readonly lease?: undefined; readonly error: RegistryError };

/** What the client is doing, for people and metrics. */
export interface ClientStatus {
  readonly state: "connecting" | "connected" | "closed";
  /** Where it is connected. */
  readonly endpoint: Endpoint | undefined;
  readonly inFlight: number;
  /** Calls that wait for a place, a connection or their next attempt. */
  readonly waiting: number;
  readonly leases: number;
  /** Connections that were made, and attempts that were repeated, since the start. */
  readonly connections: number;
  readonly retries: number;
}

/** The operations on identities. All reject with `RegistryError`. */
export interface IdentityClient {
  /** A one-time token for a subject's first certificate. Controllers. */
  createJoinToken(subject: string, grants: Grants, options?: CallOptions): Promise<MadeJoinToken>;
  /** The next certificate, for whoever proves to hold the current one. */
  renew(order: RenewalOrder, options?: CallOptions): Promise<IssuedIdentity>;
  /** A token bound to the certificate of this client. @param lifeMs at most 15 minutes. */
  mintToken(audience: string, lifeMs: number, options?: CallOptions): Promise<string>;
  /** The public keys of tokens, a JWK Set. */
  tokenKeys(options?: CallOptions): Promise<string>;
  /** The signed trust bundle; empty where there is none. */
  trustBundle(options?: CallOptions): Promise<string>;
  /** Ends the sessions of whom it names, everywhere, and lets nobody of them in. Controllers. */
  ban(order: BanOrder, options?: CallOptions): Promise<BanResult>;
  /** A page of the bans that were not lifted, from the place `first` (from 0) on. Controllers. */
  bans(first: number, limit: number, options?: CallOptions): Promise<Bans>;
  /** Lifts a ban. Controllers. @throws RegistryError `not_found` where there is none. */
  unban(order: Omit<BanOrder, "untilMs">, options?: CallOptions): Promise<void>;
  /** A page of the audit log, from entry number `first` (from 1) on. Controllers. */
  audit(first: number, limit: number, options?: CallOptions): Promise<AuditEntries>;
  /** What is known of a lineage, such as that of a record's writer. */
  lineage(lineage: number, options?: CallOptions): Promise<LineageInfo>;
  /** Ends another's record, by right of administration; audited. Controllers. */
  removeRecord(kind: "agent" | "gateway", id: string, options?: CallOptions): Promise<number>;
  /** Ends a node's membership for good, and its certificates; audited. Controllers. */
  removeMember(nodeId: number, options?: CallOptions): Promise<void>;
  /**
   * A token for somebody's latest certificate, with grants of its own; audited. Controllers.
   *
   * @throws RegistryError `not_found` where the subject has no certificate.
   */
  issueToken(order: TokenIssue, options?: CallOptions): Promise<string>;
}

/**
 * A connection to the registry that mends itself, and the calls over it. Any number of calls may be
 * in flight; answers come in any order. All methods reject with `RegistryError`.
 */
export interface Client {
  /** This client's process id, random at its start: it owns what it registers. */
  readonly process: number;
  readonly status: ClientStatus;

  /** @param id UUID text or its 16 bytes. @throws RegistryError `not_found` (with `cacheMs`). */
  getAgent(id: string | Uint8Array, options?: CallOptions): Promise<AgentAnswer>;
  /** @param id UUID text or its 16 bytes. @throws RegistryError `not_found` (with `cacheMs`). */
  getGateway(id: string | Uint8Array, options?: CallOptions): Promise<GatewayAnswer>;
  /** As {@link getAgent}, without decoding the record: for proxies that forward or compare it. */
  getAgentStored(id: string | Uint8Array, options?: CallOptions): Promise<StoredAnswer<AgentInfo>>;
  /** As {@link getGateway}, without decoding the record. */
  getGatewayStored(
    id: string | Uint8Array,
    options?: CallOptions,
  ): Promise<StoredAnswer<GatewayInfo>>;

  /** The agent of a domain and its gateway. @throws RegistryError `not_found` (with `cacheMs`). */
  resolveAgent(domain: string, options?: CallOptions): Promise<ResolvedAgent>;
  /** Many domains at once, outcomes in their order; more than 256 take several requests. */
  resolveAgents(domains: readonly string[], options?: CallOptions): Promise<ResolveOutcome[]>;
  /** Live gateways of a region, the one with the highest smallest free fraction first. */
  resolveGateways(region: string, options?: ResolveGatewaysOptions): Promise<Page<ListedGateway>>;

  /** One page of a region's agents, by id. */
  listAgents(region: string, options?: ListOptions): Promise<Page<ListedAgent>>;
  /** One page of a region's gateways, by id. */
  listGateways(region: string, options?: ListOptions): Promise<Page<ListedGateway>>;
  /** All agents of a region, page by page. */
  allAgents(region: string, options?: ListOptions): AsyncIterableIterator<ListedAgent>;
  /** All gateways of a region, page by page. */
  allGateways(region: string, options?: ListOptions): AsyncIterableIterator<ListedGateway>;

  /**
   * Creates an agent, or renews and updates this client's own.
   *
   * @throws RegistryError `invalid_argument`, `incarnation_mismatch` (another process holds it),
   * `domain_taken`, `superseded`, `stale_sequence`, `permission_denied`.
   */
  registerAgent(agent: AgentInput, options?: RegisterOptions): Promise<Registered>;
  /** As {@link registerAgent}, for a gateway. */
  registerGateway(gateway: GatewayInput, options?: RegisterOptions): Promise<Registered>;
  /** Many records, outcomes in their order; more than 512 take several requests. */
  registerMany(
    items: readonly RegisterItem[],
    options?: CallOptions & { readonly takeOver?: boolean },
  ): Promise<RegisterOutcome[]>;
  /** Renews leases; more than 4096 take several requests. Prefer the `keep` methods. */
  renew(items: readonly RenewItem[], options?: CallOptions): Promise<Renewed>;
  /** @throws RegistryError `not_found`, `superseded`, `permission_denied`. */
  deregisterAgent(id: string, options?: DeregisterOptions): Promise<Deregistered>;
  /** @throws RegistryError `not_found`, `superseded`, `permission_denied`. */
  deregisterGateway(id: string, options?: DeregisterOptions): Promise<Deregistered>;
  /** Says whether an agent drains. @throws RegistryError `not_found`, `superseded`. */
  reportAgent(id: string, options: Omit<ReportOptions, "used">): Promise<Reported>;
  /** Says what of a gateway is in use, and whether it drains. @throws as {@link reportAgent}. */
  reportGateway(id: string, options: ReportOptions): Promise<Reported>;

  /** Registers an agent and keeps it alive; rejects as {@link registerAgent}. */
  keepAgent(agent: AgentInput, options?: KeepOptions): Promise<Lease>;
  /** Registers a gateway and keeps it alive; rejects as {@link registerGateway}. */
  keepGateway(gateway: GatewayInput, options?: KeepOptions): Promise<Lease>;
  /** Registers many and keeps those that were accepted alive; outcomes in the items' order. */
  keepMany(items: readonly RegisterItem[], options?: KeepOptions): Promise<KeepOutcome[]>;

  /** What the node that this client is connected to tells of itself. */
  nodeStatus(options?: CallOptions): Promise<NodeStatus>;
  /** The ring map, fetched now. The one last seen is in {@link lastRingMap}. */
  ringMap(options?: CallOptions): Promise<RingMap>;
  /** The newest ring map that the server sent; `undefined` before the first connection. */
  readonly lastRingMap: RingMap | undefined;

  /** Join tokens, certificates, tokens, bans, the audit log. */
  readonly identities: IdentityClient;

  /**
   * Ends the client: calls that wait are refused with `shutting_down`, the server is told goodbye.
   * Leases are released (`releaseLeases: true`) or left to expire (default). Idempotent.
   */
  close(options?: { readonly releaseLeases?: boolean; readonly timeoutMs?: number }): Promise<void>;
}
