/** The token bucket: its burst, its rate, and the time until a caller may retry. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RETRY_SPREAD_MS_MAX } from "../../../src/base/limits.ts";
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

test("TokenBucket spreads those that it refuses over the time that they need", () => {
  const bucket = new TokenBucket({ ratePerSecond: 100, burst: 10, nowMs: 0 });
  while (bucket.take(1));
  assert.equal([1, 2, 3].map(() => bucket.retryAfterMs(2)), [10, 30, 50]);
  // They come back when they were told to, and are all admitted; nobody has come in between.
  for (const atMs of [10, 30, 50]) {
    bucket.refill(atMs);
    assert.is(bucket.take(2), true, `${atMs}`);
  }
  assert.is(bucket.take(1), false);
});

test("TokenBucket promises no time that is too far off", () => {
  const bucket = new TokenBucket({ ratePerSecond: 100, burst: 1, nowMs: 0 });
  while (bucket.take(1));
  const times = Array.from({ length: 10_000 }, () => bucket.retryAfterMs());
  assert.ok(Math.max(...times) <= RETRY_SPREAD_MS_MAX + 20, `${Math.max(...times)}`);
  assert.ok(times.filter((ms) => ms <= 20).length > 10, "they begin anew");
  bucket.refill(100_000);
  while (bucket.take(1));
  assert.is(bucket.retryAfterMs(), 10, "what was promised before is over");
});

test("TokenBucket.retryAfterMs is at least 1", () => {
  const bucket = new TokenBucket({ ratePerSecond: 1e6, burst: 1, nowMs: 0 });
  bucket.take(1);
  assert.is(bucket.retryAfterMs(), 1);
});

test.run();
