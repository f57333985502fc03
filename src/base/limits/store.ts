/** Limits of one partition's state machine. */
import { EXPIRE_ITEMS_MAX } from "./leases.ts";

/** Size of a memory allocation: large enough that few are needed, small enough to waste little. */
export const ARENA_CHUNK_BYTES = 4 * 1024 * 1024;
/** Regions with live records at the same time: a region's number takes 12 bits of a slot. */
export const REGIONS_INTERNED_MAX = 4_095;
/** Tombstones dropped per entry: more than one entry can create, so that they cannot accumulate. */
export const FORGET_PER_ENTRY_MAX = 2 * EXPIRE_ITEMS_MAX;
/** Maximum group time, ms: 8,900 years; sums with leases stay exact. */
export const GROUP_TIME_MS_MAX = 2 ** 48;
/** Approximate size of an image's chunk. */
export const IMAGE_CHUNK_BYTES = 64 * 1024;
