/** Limits of one partition's state machine. */
import { EXPIRE_ITEMS_MAX } from "./leases.ts";

/** Size of a memory allocation: large enough that few are needed, small enough to waste little. */
export const ARENA_CHUNK_BYTES = 4 * 1024 * 1024;
/** Regions with live records at the same time: a region's number takes 12 bits of a slot. */
export const REGIONS_INTERNED_MAX = 4_095;
/**
 * Regions with live records, above which a record whose owner may name any region adds none: the others are
 * for regions that certificates vouch for.
 */
export const FREE_REGIONS_MAX = 1_024;
/** Tombstones dropped per entry: more than one entry can create, so that they cannot accumulate. */
export const FORGET_PER_ENTRY_MAX = 2 * EXPIRE_ITEMS_MAX;
/** Changes of one batch of mirrors: an entry that is applied in some milliseconds. */
export const MIRROR_ITEMS_MAX = 1_024;
/** Mirrors of a removed region that one entry removes. */
export const MIRRORS_DROPPED_MAX = 1_024;
/** Regions that a partition has mirrors of: the peers of a cluster, and some that were removed. */
export const MIRROR_HOMES_MAX = 32;
/** Shards of a region's partitions, each followed by a puller of its own. */
export const MIRROR_SHARDS_MAX = 64;
/**
 * Removed mirrors that a partition remembers for each shard of a region. A puller that finds no room
 * saves its cursors, and says so with its next batch.
 */
export const MIRROR_TOMBSTONES_MAX = 16_384;
/** Largest record that is mirrored: with the rest of a mirror it takes the longest block. */
export const MIRRORED_BYTES_MAX = 8_184 - 128;
/** Maximum group time, ms: 8,900 years; sums with leases stay exact. */
export const GROUP_TIME_MS_MAX = 2 ** 48;
/** Approximate size of an image's chunk. */
export const IMAGE_CHUNK_BYTES = 64 * 1024;
