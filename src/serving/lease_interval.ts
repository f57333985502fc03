/** When an owner is to renew: the server says so in every reply, so that it can spread the load. */
import { RENEW_AFTER_MS_MAX, TTL_MS_DEFAULT } from "../base/limits.ts";
import type { Entropy } from "../base/world.ts";

/** A third of the lease, so that two renewals may be lost. */
const INTERVALS_PER_TTL = 3;
/** Up to this share earlier, so that owners that began together drift apart. */
const JITTER_SHARE = 0.2;

/** When to renew leases of which the shortest is `ttlMs` (Infinity where none was renewed), ms. */
export function renewAfterMs(ttlMs: number, entropy: Entropy): number {
  const interval = (Number.isFinite(ttlMs) ? ttlMs : TTL_MS_DEFAULT) / INTERVALS_PER_TTL;
  return Math.floor(Math.min(RENEW_AFTER_MS_MAX, interval * (1 - JITTER_SHARE * entropy.unit())));
}
