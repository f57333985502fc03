/** The token bucket: its burst, its rate, and the time until a caller may retry. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenBucket } from "../../../src/base/token_bucket.ts";

test("TokenBucket starts with its burst and refuses after it", () => {
  const bucket = new TokenBucket({ ratePerSecond: 10, burst: 3, nowMs: 0 });
  assert.equal([1, 2, 3, 4].map(() => bucket.take(1)), [true, true, true, false]);
});

test("TokenBucket refills at its rate and never above its burst", () => {
  const bucket = new TokenBucket({ ratePerSecond: 10, burst: 3, nowMs: 1_000 });
  while (bucket.take(1));
  bucket.refill(1_100);
  assert.equal([bucket.take(1), bucket.take(1)], [true, false]);
  bucket.refill(1_000_000);
  assert.equal([1, 2, 3, 4].map(() => bucket.take(1)), [true, true, true, false]);
});

test("TokenBucket may be overdrawn once, and the next ones wait for it", () => {
  const bucket = new TokenBucket({ ratePerSecond: 1_000, burst: 10, nowMs: 0 });
  assert.is(bucket.take(1_000), true);
  assert.is(bucket.take(1), false);
  const afterMs = bucket.retryAfterMs();
  assert.is(afterMs, 991);
  bucket.refill(afterMs - 2);
  assert.is(bucket.take(1), false);
  bucket.refill(afterMs);
  assert.is(bucket.take(1), true);
});

test("TokenBucket.retryAfterMs is at least 1", () => {
  const bucket = new TokenBucket({ ratePerSecond: 1e6, burst: 1, nowMs: 0 });
  bucket.take(1);
  assert.is(bucket.retryAfterMs(), 1);
});

test.run();
