/** The parameters and results of watches, and of views kept by them. */
import type { RecordKindName } from "../record/kinds.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { CallOptions } from "./call_options.ts";
import type { AgentInfo, GatewayInfo } from "./records.ts";

/** The records that a watch is about; every condition that is given must hold. */
export interface RecordFilter {
  /** Default: agents and gateways. */
  readonly kind?: RecordKindName;
  readonly region?: string;
  /** Labels that a record must all have. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** The records that `Client.watch` is about. */
export interface WatchFilter extends RecordFilter {
  /** UUIDs, at most 1,024. */
  readonly ids?: readonly string[];
  /**
   * Follows this domain to its agent: alone, without other conditions. The domain is `put` when it
   * resolves, and again with each change of its agent.
   */
  readonly domain?: string;
}

/** Options of `Client.watch`. */
export interface WatchOptions {
  /** The token of an event, after which the watch continues. Default: it begins now. */
  readonly from?: string;
  /** Whether the records that there are come first, marked `isState`. Not with `from`. */
  readonly state?: boolean;
  /** Whether events have the record as it was `before`. Default: false. */
  readonly before?: boolean;
  /**
   * Whether records of other regions are watched too, by their mirrors, which have a `home`. Default:
   * true; a domain is followed in this region only.
   */
  readonly mirrors?: boolean;
  /**
   * Interval at which the registry tells that nothing is missing, `[100, 60000]` ms. After three
   * without a word another node is asked. Default 1000.
   */
  readonly progressMs?: number;
  /** Moves to another node when one falls behind by more, ms. Default: any age that is proven. */
  readonly maxStalenessMs?: number;
  /**
   * Time in which the watch must begin at every partition, ms. Once it has, it goes on through
   * outages of any length. Default: the client's timeout.
   */
  readonly timeoutMs?: number;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** The source of an event. */
export interface WatchReceipt {
  /** Id of the node that sent it. */
  readonly node: number;
  readonly partition: number;
  /**
   * The position of the change in its partition; of a record of the state that of its last change, 0 of
   * a mirror in the state.
   */
  readonly generation: number;
  readonly index: number;
  /**
   * How far the node was behind when it last proved it, ms; 0 for the leader, undefined if it has
   * not.
   */
  readonly ageBoundMs: number | undefined;
}

/** A change of a record, or a record of the state. */
export type RecordEvent<Kind extends RecordKindName = RecordKindName> = {
  [Name in Kind]: {
    /**
     * `put`: it was created or changed. `superseded`: another process took it over; `record` is the
     * new form. `stale`: its lease is over, and the registry keeps it because many ended at once.
     * `recovered`: it was renewed after that. `deregistered`, `expired`: it is gone; `record` is its last
     * form. `domain_lost`: it no longer holds its domain.
     */
    readonly type:
      | "put"
      | "superseded"
      | "stale"
      | "recovered"
      | "deregistered"
      | "expired"
      | "domain_lost";
    readonly kind: Name;
    readonly record: InfoOf<Name>;
    /**
     * Present on a record of another region: its home. The event is `put` or `deregistered`, whatever
     * happened there, and `remainingMs` is 0. Another event may be about a record with the same id of
     * another home, or of this region.
     */
    readonly home?: string;
    /** The form before, if it was asked for and there was one. */
    readonly before: InfoOf<Name> | undefined;
    /** Whether it is a record of the state rather than a change. */
    readonly isState: boolean;
    /** Whether the record no longer matches the filter, which it did before. */
    readonly hasLeft: boolean;
    /** Remaining lease when it was sent, ms; 0 if the record is gone. */
    readonly remainingMs: number;
    readonly receipt: WatchReceipt;
    /** Continues the watch after this event, at any node and after restarts. */
    readonly token: string;
  };
}[Kind];

/** An event about a watch itself. */
export interface StreamEvent {
  /**
   * `reset`: changes of the partition are lost, so what is known of it no longer counts; its state
   * follows. `complete`: the state of the partition has been sent. `progress`: nothing is missing.
   */
  readonly type: "reset" | "complete" | "progress";
  /** Of `complete`: whether no other partition's state is missing. */
  readonly isWhole?: boolean;
  readonly receipt: WatchReceipt;
  readonly token: string;
}

/** An event of a watch. */
export type WatchEvent = RecordEvent | StreamEvent;

/** The plain value of a record by the name of its kind. */
export type InfoOf<Kind extends RecordKindName> = Kind extends "agent" ? AgentInfo : GatewayInfo;

/**
 * A watch. It is read once, by one reader; a reader that falls behind delays nobody else. Iteration
 * ends after `close`, and throws a `RegistryError` if the watch was refused: `permission_denied`,
 * `history_lost`, `wrong_cluster`, `invalid_argument`, or any other code before it has begun.
 */
export interface Watch extends AsyncIterable<WatchEvent> {
  /** Resolves when every partition has begun. Rejects as the iteration throws. */
  readonly begun: Promise<void>;
  /** The token of the last event that was read; undefined before the first, which comes at once. */
  readonly token: string | undefined;
  /** Ends the watch. */
  close(): void;
}

/** Events of the ring map: newer maps as nodes push them; a slow reader gets the newest. */
export interface RingWatch extends AsyncIterable<RingMap> {
  /** Ends the watch. */
  close(): void;
}

/** Options of `Client.cachedView`. */
export interface CachedViewOptions {
  /** Maximum number of records, and of their stored bytes. Default 100,000 and 64 MiB. */
  readonly recordsMax?: number;
  readonly bytesMax?: number;
  /** As in {@link WatchOptions}: the usual age of what is read. Default 1000. */
  readonly progressMs?: number;
  /** Time in which the view must be complete, ms. Default 30000. */
  readonly timeoutMs?: number;
  /** The age up to which `read` and `readResolved` answer from the view, ms. Default: any. */
  readonly maxStalenessMs?: number;
}

/** The age of what was read from a view. */
export interface ViewAge {
  /** Upper bound on the age of the answer, ms; Infinity if it is not known. */
  readonly ageMs: number;
  /** Whether the registry cannot be reached, or the partition's state is being read again. */
  readonly isStale: boolean;
}

/** A record in a view. */
export interface ViewRecord<Info> extends ViewAge {
  readonly record: Info;
}

/** The holder of a domain in a view: an agent with its gateway, or in a view of gateways a gateway. */
export interface ViewResolved extends ViewAge {
  readonly agent: AgentInfo | undefined;
  readonly gateway: GatewayInfo | undefined;
}

/** Options of a read that falls through to the registry. */
export interface ViewReadOptions extends Omit<CallOptions, "maxStalenessMs"> {
  /** Default: that of the view. */
  readonly maxStalenessMs?: number;
}

/**
 * Records of this region of one kind, or of both, kept in memory by a watch. Reads are synchronous. While the
 * registry cannot be reached they return what was known last, marked `isStale`, with its age. A
 * record does not expire by itself: the view is told.
 */
export interface CachedView<Kind extends RecordKindName = RecordKindName> {
  /** The number of records. */
  readonly size: number;
  /** Upper bound on the age of everything in it, ms; Infinity while it is not known. */
  readonly ageMs: number;
  /** Whether a part of it is out of reach, or being read again. */
  readonly isStale: boolean;
  /** Returns a record; undefined if the view has none. @param kind needed in a view of both. */
  get<K extends Kind>(id: string, kind?: K): ViewRecord<InfoOf<K>> | undefined;
  /** Returns the holder of a domain; undefined if the view has none. */
  resolve(domain: string): ViewResolved | undefined;
  /** Iterates over all records, in no order; it must not be continued in a later turn. */
  list(): IterableIterator<InfoOf<Kind>>;
  /**
   * Returns a record from the view if it is young enough, else reads it from the registry; if that is
   * out of reach, returns what is known, marked.
   *
   * @throws RegistryError `not_found` if the view is young enough and has none; as `getAgent`.
   */
  read<K extends Kind>(
    id: string,
    options?: ViewReadOptions & { readonly kind?: K },
  ): Promise<ViewRecord<InfoOf<K>>>;
  /** Resolves a domain in the same way. @throws as {@link read} and `resolveAgent`. */
  readResolved(domain: string, options?: ViewReadOptions): Promise<ViewResolved>;
  /** Resolves when the view ends, with the error if it was refused. */
  readonly ended: Promise<Error | undefined>;
  /** Ends the view. Reads go on, marked. */
  close(): void;
}
