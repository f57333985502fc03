/** The options of a registry. */
import type { StatusReply } from "../../schemas/gen/wire.ts";
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import type { AccessPolicy } from "../record/access.ts";
import type { SharedLogLimits } from "../storage/shared_log.ts";
import type { Storage } from "../storage/storage.ts";
import type { EventFeed } from "../store/event_feed.ts";
import type { ExpirySettings } from "../serving/expiry/expiry_settings.ts";
import type { RenewalGrace } from "../../identity/enrolment/enrolment.ts";
import type { NodeCalls } from "../serving/node_calls.ts";
import type { BanList } from "../../identity/trust/ban_list.ts";
import type { IdentityLinks } from "../serving/identities/identity_links.ts";
import type { NodeConfig } from "./config.ts";
import type { WallWatch } from "./wall_watch.ts";
import type { RegionLink } from "../region/region_link.ts";
import type { PeerRegion } from "../system/regions/region_state.ts";
import type { Ceilings } from "../serving/request_admission.ts";
import type { RegionFreshness } from "../serving/regions/mirror_homes.ts";
import type { PlacementWorkOptions } from "../replication/placement/placement_work.ts";
import type { JoinedCluster } from "../replication/assembly/cluster_groups.ts";
import type { PeerInput } from "../replication/group_host.ts";
import type { PeerLinks } from "../replication/group_host.ts";
import type { ReplicaDirectory } from "../replication/replica_directory.ts";
import type { PeerStatus } from "../replication/peers/peer_network.ts";
import type { LogEvents } from "../replication/recovery.ts";

/** Returns the relaxations of the access rules that the settings name. */
export function accessPolicy(
  { unpinnedSessions, anonymous }: Pick<NodeConfig, "unpinnedSessions" | "anonymous">,
): AccessPolicy {
  return { trustUnpinned: unpinnedSessions === "trusted", anonymous };
}

/** Returns the settings of the expiry guard. */
export function expirySettings(
  { expiryShare, expiryFloor, expiryConfirmMs }: Pick<
    NodeConfig,
    "expiryShare" | "expiryFloor" | "expiryConfirmMs"
  >,
): ExpirySettings {
  return { sharePermille: expiryShare, floor: expiryFloor, confirmMs: expiryConfirmMs };
}

/** The dependencies and settings of a registry. */
export interface RegistryOptions {
  /** The log's own folder; the registry closes it. */
  readonly storage: Storage;
  /** A folder beside the log's, for the log's mark; the registry closes it. */
  readonly markStorage?: Storage;
  /** Whether to start although acknowledged data is lost, under a higher generation. */
  readonly acceptDataLoss?: boolean;
  readonly world: World;
  readonly logger: Logger;
  readonly nodeId: number;
  readonly region: string;
  /** The number of partitions: fixed when the cluster is created; another one is refused. */
  readonly partitionCount: number;
  readonly ceilings: Ceilings;
  readonly memoryBytes: () => number;
  readonly logLimits?: SharedLogLimits;
  readonly requestTimeoutMs: number;
  readonly logEvents: LogEvents;
  /** Links to the other nodes; default: there are none. */
  readonly peers?: PeerLinks;
  /** Called once, before the groups start, with the input for what other nodes send. */
  readonly connect?: (input: PeerInput) => void;
  /** If false, no lease of a group of several voters serves reads; default true. */
  readonly leases?: boolean;
  /** Set on a node that joined a cluster: it never founds one. */
  readonly joined?: JoinedCluster;
  /** Replicas of group 0 of which other nodes told; default: none. */
  readonly told?: ReplicaDirectory;
  /** The means by which placement reaches other nodes; default: there are none. */
  readonly placement?: Pick<PlacementWorkOptions, "report" | "mayLead" | "isConnected">;
  /** Returns the state of the links to other nodes; default: there are none. */
  readonly peerStatus?: () => readonly PeerStatus[];
  /** Requests to other nodes; default: there are none. */
  readonly nodeCalls?: NodeCalls;
  /** The way of the work with identities to other nodes; default: there are none. */
  readonly links?: IdentityLinks;
  /** Reports whether a node with this UUID was a member when this node last knew; default: no. */
  readonly isMember?: (subjectId: Uint8Array) => boolean;
  /** The list that bans are put into; default: a new one. */
  readonly bans?: BanList;
  /** The watch of the wall clock; default: a new one. */
  readonly wallWatch?: WallWatch;
  /** The relaxations of the access rules by the operator; default: none. */
  readonly policy?: AccessPolicy;
  /** The time after expiry in which certificates may be renewed; default: `DEFAULT_RENEWAL_GRACE`. */
  readonly renewalGrace?: RenewalGrace;
  /** Settings of the expiry guard; each has a default. */
  readonly expiry?: ExpirySettings;
  /** Time in which every alias is checked once, ms; default: `ALIAS_SWEEP_MS`. */
  readonly aliasSweepMs?: number;
  /** Freshness of other regions' mirrors; default: as the pullers report it. */
  readonly regionFreshness?: RegionFreshness;
  /** Makes the link to a peer region; default: this node follows none. */
  readonly linkTo?: (region: PeerRegion) => RegionLink;
  /** Aborts a start that waits for the log. */
  readonly signal?: AbortSignal;
  /** Adds followers of what the stores apply, before any entry is recovered. */
  readonly follow?: (feed: EventFeed) => void;
  /** Returns the parts of the status that the registry does not know. */
  readonly facts: () => Pick<
    StatusReply,
    "sessions" | "uptimeMs" | "memoryBytes" | "version" | "ready" | "reason"
  >;
}
