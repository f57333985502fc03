/** The link to a peer region, as the pullers on a node use it. */
import type { MirrorCursor } from "../../schemas/gen/record.ts";
import type { GovernedLogReply, GovernedLogRequest, RegionBan } from "../../schemas/gen/wire.ts";
import type { ClockReading } from "../base/clock_reading.ts";
import type { Position } from "../base/position.ts";
import type { HistoryPosition } from "../wire/watch_message.ts";

/** Identity of the cluster that answers for a region. */
export interface SourceStatus {
  readonly region: string;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  /** Generation of the cluster. */
  readonly generation: number;
  readonly partitionCount: number;
  /** The key by which the region maps records to its partitions, 16 bytes. */
  readonly hashKey: Uint8Array;
  readonly trust?: SourceTrust;
}

/** Trust in the nodes of a region, as the region itself reports it. */
export interface SourceTrust {
  /** Its trust bundle, if it is newer than the link's; else empty. */
  readonly bundle: string;
  /** The name of its list of bans, and the list, unless it is the known one. */
  readonly bansDigest: Uint8Array;
  readonly bans: readonly RegionBan[];
}

/** Parameters of a feed. */
export interface FollowRequest {
  /** The accepted source: a feed of another one ends with `wrong_cluster` before any event. */
  readonly clusterId: Uint8Array;
  readonly generation: number;
  /** Partitions of the source, ascending. */
  readonly partitions: readonly number[];
  /** Where to continue, by partition; one without a cursor begins with its state. */
  readonly cursors: ReadonlyMap<number, HistoryPosition>;
  /** Interval of progress, ms; 0: the default. */
  readonly progressMs: number;
  /** Bound of the bytes received, bytes a second. */
  readonly bytesPerSecondMax: number;
}

/** A claim of an agent on a domain. */
export interface LostClaim {
  readonly domain: string;
  readonly claim: Position;
}

/** An event of a feed. The reader owns its bytes. */
export type FeedEvent =
  /** The partition cannot be continued: its state follows. Also the first event of one without a cursor. */
  | { readonly type: "reset"; readonly partition: number }
  /** The record was changed, or is part of a state (`isState`). */
  | {
    readonly type: "put";
    readonly partition: number;
    readonly isState: boolean;
    readonly kind: number;
    readonly id: Uint8Array;
    readonly revision: Position;
    readonly record: Uint8Array;
    /** The claim that the record held before the change, and does not hold after it. */
    readonly lost?: LostClaim;
    /** Whether the record held the same claim before the change. */
    readonly keptClaim?: boolean;
  }
  /** The record was removed, has expired, or left global scope. */
  | {
    readonly type: "remove";
    readonly partition: number;
    readonly kind: number;
    readonly id: Uint8Array;
    readonly revision: Position;
    readonly lost?: LostClaim;
  }
  /** The state of the partition is complete as of `position`; changes follow. */
  | { readonly type: "complete"; readonly partition: number; readonly position: HistoryPosition }
  /** Everything up to these positions was handed out before. */
  | { readonly type: "cursors"; readonly cursors: readonly MirrorCursor[] }
  /** Everything that the region had at `asOf`, by the own clocks, was handed out before. */
  | { readonly type: "fresh"; readonly asOf: ClockReading };

/** Events that waited when the reader asked. */
export interface FeedBatch {
  readonly events: readonly FeedEvent[];
  readonly bytes: number;
}

/** The events of some partitions, in order. The iteration throws a `RegistryError` that no retry mends. */
export interface RegionFeed extends AsyncIterable<FeedBatch> {
  close(): void;
}

/** Reachability of a region, and counts of what it sent. */
export interface LinkContact {
  readonly lastContact: ClockReading | undefined;
  readonly isConnected: boolean;
  readonly lastError: { readonly code: string; readonly message: string } | undefined;
  readonly bytesReceived: number;
  readonly eventsReceived: number;
  readonly resets: number;
}

/** The link of a node to a peer region. */
export interface RegionLink {
  /**
   * Asks the region which cluster it is.
   *
   * @param bansDigest the name of the list of bans that is known.
   * @throws RegistryError
   */
  status(timeoutMs: number, bansDigest?: Uint8Array): Promise<SourceStatus>;
  /**
   * Returns entries of the governed log of the accepted cluster.
   *
   * @throws RegistryError
   */
  governedLog(
    clusterId: Uint8Array,
    request: GovernedLogRequest,
    timeoutMs: number,
  ): Promise<GovernedLogReply>;
  /** Follows partitions of the region. */
  feed(request: FollowRequest): RegionFeed;
  readonly contact: LinkContact;
  /** Ends all feeds. */
  close(): Promise<void>;
}
