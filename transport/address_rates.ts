/**
 * How fast each remote address may connect: a token bucket for each address that connected lately,
 * IPv6 by /64, loopback excepted as in `Admission`. Their number is limited: where it is reached the
 * address that is known for longest is forgotten, and starts with a full bucket when it returns.
 */
import { CONNECTION_RATE_ADDRESSES_MAX } from "../src/base/limits.ts";
import { TokenBucket } from "../src/base/token_bucket.ts";
import { addressKey, isLoopback } from "./admission.ts";

/** The rate of one address. */
export interface AddressRate {
  readonly perSecond: number;
  /** Connections at once after a time without any. */
  readonly burst: number;
}

/** The buckets of one listener. Time is passed in, monotonic ms. */
export class AddressRates {
  readonly #rate: AddressRate;
  /** In the order in which the addresses became known. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: AddressRate) {
    this.#rate = rate;
  }

  /** Counts a connection from `host`; false where the address connects too fast. */
  take(host: string, nowMs: number): boolean {
    if (isLoopback(host)) return true;
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

  /** Addresses that are known now; for tests. */
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
