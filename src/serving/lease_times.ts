/**
 * Times of leases in replies: the remaining time of a record, and the renewal interval of its owner,
 * which the server sends in every reply so that it can spread the load.
 */
import { RENEW_AFTER_MS_MAX, TTL_MS_DEFAULT } from "../base/limits.ts";
import type { Entropy } from "../base/world.ts";
import type { Partition } from "./partitions.ts";

/** Renewals per lease: two of them may be lost. */
const INTERVALS_PER_TTL = 3;
/**
 * Largest share by which an interval is shortened, so that owners that started together drift
 * apart.
 */
const JITTER_SHARE = 0.2;

/**
 * Returns the time after which to renew leases, ms.
 *
 * @param ttlMs the shortest of the leases; Infinity if none was renewed.
 */
export function renewAfterMs(ttlMs: number, entropy: Entropy): number {
  const interval = (Number.isFinite(ttlMs) ? ttlMs : TTL_MS_DEFAULT) / INTERVALS_PER_TTL;
  return Math.floor(Math.min(RENEW_AFTER_MS_MAX, interval * (1 - JITTER_SHARE * entropy.unit())));
}

/** Returns the remaining time of a lease, whole ms, as replies carry it. */
export function leaseRemainingMs(partition: Partition, slot: number): number {
  const remaining = partition.store.remainingMs(slot, partition.group.timeMs());
  return Math.min(0xffff_ffff, Math.max(0, Math.floor(remaining)));
}
