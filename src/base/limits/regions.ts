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
/** What may be received from a region, bytes a second, unless it is set otherwise. */
export const REGION_BYTES_PER_SECOND_DEFAULT = 16 * 1024 * 1024;
/** Share of the log's bytes that the mirrors of a region may take, unless it is set otherwise. */
export const REGION_LOG_PERCENT_DEFAULT = 25;
