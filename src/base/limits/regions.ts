/** Limits of the peer regions of a cluster. */

/** Regions that a cluster follows: 16 with its own, as each follows every other one. */
export const PEER_REGIONS_MAX = 15;
/** Removed regions that group 0 remembers until their mirrors are gone. */
export const REMOVED_REGIONS_MAX = 64;
/** Servers of a region that are dialed. */
export const REGION_SERVERS_MAX = 16;
/** Size of `host:port`: a host name, brackets, and a port. */
export const REGION_SERVER_BYTES_MAX = 261;
/** Size of a region's trust bundle: its roots and intermediates, and the pins of its servers. */
export const REGION_BUNDLE_BYTES_MAX = 64 * 1024;
/** Size of the detail of a change of a region, for the audit log. */
export const REGION_DETAIL_BYTES_MAX = 512;
/** The age from which on the mirrors of a region are served as suspended, ms. */
export const MIRROR_FRESH_MS_MAX = 30_000;
/** The interval at which a node looks for mirrors of removed regions, ms. */
export const MIRROR_DROP_LOOK_MS = 30_000;
/** Preference of a region that is given none. */
export const REGION_PREFERENCE_DEFAULT = 100;
/** Default bound of the bytes received from a region, bytes a second. */
export const REGION_BYTES_PER_SECOND_DEFAULT = 16 * 1024 * 1024;
/** Default share of the log's bytes that the mirrors of a region may take, percent. */
export const REGION_LOG_PERCENT_DEFAULT = 25;
/**
 * Shards of the partitions of a region, each followed by a puller of its own. One: a puller's work is a
 * fraction of what the partitions' leaders do with it, and every shard has a fence in each partition,
 * batches and progress of its own. The pullers of several regions are spread over the nodes.
 */
export const REGION_SHARDS = 1;
/** Changes, and bytes, of one batch: an entry that is applied in about a millisecond. */
export const MIRROR_BATCH_ITEMS_MAX = 256;
export const MIRROR_BATCH_BYTES_MAX = 128 * 1024;
/** Batches of one puller on their way at a time, each for another partition. */
export const MIRROR_BATCHES_IN_FLIGHT_MAX = 32;
/**
 * Changes in them, unless a single batch has more, while nobody else writes and while others do: what is
 * committed together is applied in one turn, about a millisecond for each hundred, and requests wait.
 */
export const MIRROR_CHANGES_IN_FLIGHT_MAX = 512;
export const MIRROR_CHANGES_IN_FLIGHT_BESIDE_MAX = 64;
/** Time after which a batch under way does not count there, ms: its partition has no leader, or is slow. */
export const MIRROR_SLOW_MS = 100;
/** Events, and bytes, that a puller has received and not applied: a full batch for many partitions. */
export const PULLER_EVENTS_MAX = 32_768;
export const PULLER_BYTES_MAX = 16 * 1024 * 1024;
/** Events that a puller takes in one turn, about a millisecond, and its rest after each turn, ms. */
export const PULLER_TURN_EVENTS = 128;
export const PULLER_REST_MS = 1;
/** Number of waiting changes from which on batches are filled before they are sent. */
export const MIRROR_BULK_CHANGES_MIN = 512;
/**
 * While many wait: the changes with which a batch is sent, the time after which fewer are, and the time
 * without a further change after which they are too, ms.
 */
export const MIRROR_BULK_FULL = 32;
export const MIRROR_BULK_MS_MAX = 1_000;
export const MIRROR_BULK_REST_MS = 50;
/** Back-off of a batch that a partition could not take, ms. */
export const MIRROR_RETRY_MS_BASE = 20;
export const MIRROR_RETRY_MS_CAP = 1_000;
/** Time for one attempt to log a batch, ms; it is repeated. */
export const MIRROR_LOG_MS_MAX = 5_000;
/**
 * Cursors are saved after this many changes, but at most once in the shorter time; after the longer time
 * they are saved if any moved at all. That is three entries for each hundred changes.
 */
export const MIRROR_SAVE_CHANGES = 32;
export const MIRROR_SAVE_MS_MIN = 1_000;
export const MIRROR_SAVE_MS_MAX = 60_000;
/** Partitions that are fenced or scanned at the same time before a sweep. */
export const MIRROR_SWEEP_PARTITIONS_AT_ONCE = 16;
/**
 * Rate at which the mirrors of one region may be logged however small their share is, bytes a second: a
 * hundred thousand records in about twelve seconds.
 */
export const REGION_LOG_BYTES_PER_SECOND_MIN = 2 * 1024 * 1024;
/** Rate of other writes from which on mirrors are held to their share, bytes a second. */
export const REGION_LOG_OTHERS_PER_SECOND_MIN = 16 * 1024;
/** Back-off of a puller whose region cannot be followed, ms. */
export const REGION_RETRY_MS_BASE = 500;
export const REGION_RETRY_MS_CAP = 30_000;
/** The interval at which a region proves how fresh its feed is, ms: an idle pair sends little else. */
export const REGION_PROGRESS_MS = 3_000;
/** Time for a region to say which cluster it is, ms. */
export const REGION_STATUS_MS = 5_000;
/** The interval at which a node compares its pullers with group 0 and asks others for theirs, ms. */
export const REGION_LOOK_MS = 1_000;
/** The time without an answer after which the pullers of a node are given to another one, ms. */
export const PULLER_LEASE_MS = 5_000;
/** Mirrors and aliases of one reply to the puller: some 70 bytes each, up to 330 with a domain. */
export const MIRRORS_PER_PAGE = 2_048;
/** Length of the error of a puller that its state shows. */
export const PULLER_ERROR_LENGTH_MAX = 256;
/** Readings of a region's freshness that are kept for reads of older state: about one a second. */
export const REGION_READINGS_MAX = 32;
/**
 * Silence of a node of another region after which it is probed, and after the same again given up, ms:
 * five times the longest round trip between continents.
 */
export const REGION_SILENCE_MS = 2_000;
/**
 * Events of a feed, and bytes of their records, that wait for the puller. Above that the feed is ended
 * until they are read, and then continued: what is under way is lost, and a round trip is waited for.
 */
export const FEED_WAITING_EVENTS_MAX = 8_192;
export const FEED_WAITING_BYTES_MAX = 2 * 1024 * 1024;
/** Burst of a feed above its rate, as the time in which its bytes are allowed at that rate, ms. */
export const FEED_BURST_MS = 500;
/**
 * Bans of a region's nodes that other regions are told, the latest: certificates of nodes that were banned
 * long before have ended, and are not renewed.
 */
export const REGION_BANS_MAX = 1_024;
/** Size of the digest of a list of bans. */
export const REGION_BANS_DIGEST_BYTES = 32;
/** The interval at which a region that is followed is asked for its bans and its trust bundle, ms. */
export const REGION_KEEP_MS = 5_000;
