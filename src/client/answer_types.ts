/** The parameters and results of the SDK's calls on records. */
import type { RegistryError } from "../base/errors.ts";
import type { InputOf, RecordKindName } from "../record/kinds.ts";
import type { CallOptions } from "./call_options.ts";
import type { AgentInfo, Capacity, GatewayInfo, Incarnation } from "./records.ts";

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

/** The origin of a record of another region, of which the registry answered with its mirror. */
export interface RecordSource {
  /** The region that the record belongs to, and that alone writes it. */
  readonly home: string;
  /** Position of its last change, in its home. */
  readonly revision: Incarnation;
  /** All that changed there up to this long ago is mirrored, ms; undefined if that is not known. */
  readonly ageMs: number | undefined;
  /** Whether the home has been out of reach for so long that the record may have ended. */
  readonly suspended: boolean;
}

/** The mark of a last known answer, returned because the registry could not be asked. */
export interface LastKnown {
  /** True for such an answer; absent otherwise. */
  readonly stale?: boolean;
  /** Time since the registry gave it, ms. */
  readonly ageMs?: number;
}

/** The result of `getAgent`. */
export interface AgentAnswer extends LastKnown {
  readonly agent: AgentInfo;
  /**
   * Remaining lease when the answer was sent, ms; of a follower's answer (with an age) at most; 0 of a
   * record of another region.
   */
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
  readonly receipts: readonly Receipt[];
}

/** The result of `getGateway`. */
export interface GatewayAnswer extends LastKnown {
  readonly gateway: GatewayInfo;
  /**
   * Remaining lease when the answer was sent, ms; of a follower's answer (with an age) at most; 0 of a
   * record of another region.
   */
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
  readonly receipts: readonly Receipt[];
}

/** The result of `getAgentStored` and `getGatewayStored`: the record's undecoded bytes. */
export interface StoredAnswer<T> {
  /** The stored form (schemas/record.capnp), a copy that the caller owns. */
  readonly bytes: Uint8Array;
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
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
  /** Present if the agent is of another region; its remaining lease is 0. */
  readonly agentSource?: RecordSource;
  /** Present if the gateway is of another region; its remaining lease is 0. */
  readonly gatewaySource?: RecordSource;
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
export interface Page<T> extends LastKnown {
  readonly items: readonly T[];
  /** Start of the next page; `undefined` if this was the last. */
  readonly nextCursor: Uint8Array | undefined;
  readonly receipts: readonly Receipt[];
}

/** An agent in a list. */
export interface ListedAgent {
  readonly agent: AgentInfo;
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
}

/** A gateway in a list. */
export interface ListedGateway {
  readonly gateway: GatewayInfo;
  readonly remainingMs: number;
  /** Present on a record of another region. */
  readonly source?: RecordSource;
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
  /**
   * Whether the record gets a process of its own instead of this client's, which keeps no lease of it: for
   * programs that register for others, whose next request may come through another program. Default
   * false.
   */
  readonly asNewProcess?: boolean;
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
export type RegisterItem<Name extends RecordKindName = RecordKindName> = {
  [Kind in Name]:
    & { readonly kind: Kind; readonly expected?: Incarnation }
    & { readonly [Record in Kind]: InputOf<Kind> };
}[Name];

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
