/**
 * Limits the rate at which each remote address may connect: a token bucket for each address that
 * connected recently, IPv6 by /64, except loopback as in `ConnectionAdmission`. The number of addresses is
 * bounded: at the limit, the address known for longest is forgotten and starts with a full bucket
 * when it returns.
 */
import {
  CONNECTION_RATE_ADDRESSES_MAX,
  CONNECTION_RATE_SHARE,
  SESSIONS_PER_ADDRESS_MAX,
} from "../src/base/limits.ts";
import { TokenBucket } from "../src/base/token_bucket.ts";
import { addressKey, isLoopback } from "./admission.ts";
import type { ListenerLimits } from "./transport.ts";

/** The rate limit of one address. */
export interface AddressRate {
  readonly perSecond: number;
  /** Number of connections allowed at once after a time without any. */
  readonly burst: number;
  /** Whether the limit holds for loopback too. Default false. */
  readonly limitsLoopback?: boolean;
}

/** The token buckets of one listener. Time is passed in, monotonic ms. */
export class AddressRates {
  readonly #rate: AddressRate;
  /** Buckets in the order in which the addresses became known. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: AddressRate) {
    this.#rate = rate;
  }

  /** Returns the rates of a listener with these limits. */
  static of(
    { sessionsPerAddressMax = SESSIONS_PER_ADDRESS_MAX, limitsLoopback = false }: ListenerLimits,
  ): AddressRates {
    const perSecond = sessionsPerAddressMax * CONNECTION_RATE_SHARE;
    return new AddressRates({ perSecond, burst: sessionsPerAddressMax, limitsLoopback });
  }

  /** Counts a connection from `host`; returns false if the address connects too fast. */
  take(host: string, nowMs: number): boolean {
    if (this.#rate.limitsLoopback !== true && isLoopback(host)) return true;
    const key = addressKey(host);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      this.#makeRoom();
      const { perSecond, burst } = this.#rate;
      bucket = new TokenBucket({ ratePerSecond: perSecond, burst, nowMs });
      this.#buckets.set(key, bucket);
    }
    bucket.refill(nowMs);
    return bucket.take(1);
  }

  /** The number of addresses known now; for tests. */
  get addressCount(): number {
    return this.#buckets.size;
  }

  #makeRoom(): void {
    if (this.#buckets.size < CONNECTION_RATE_ADDRESSES_MAX) return;
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      return;
    }
  }
}
