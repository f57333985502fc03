/** The share of the log that mirrors take: all of it while they are alone, and a rate beside others. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { REGION_LOG_BYTES_PER_SECOND_MIN } from "../../../src/base/limits.ts";
import { LogShare } from "../../../src/region/log_share.ts";

const WINDOW_MS = 250;
const BATCH_BYTES = 4_096;

/** Writes batches for some time as fast as the share lets them, beside others; returns their bytes. */
function written(
  { share, others, log, fromMs, forMs }: {
    share: LogShare;
    others: number;
    log: { bytes: number };
    fromMs: number;
    forMs: number;
  },
): number {
  let bytes = 0;
  let nowMs = fromMs;
  while (nowMs < fromMs + forMs) {
    const pauseMs = share.take(BATCH_BYTES, nowMs);
    bytes += BATCH_BYTES;
    const stepMs = Math.max(1, pauseMs);
    log.bytes += BATCH_BYTES + others * stepMs / 1_000;
    nowMs += stepMs;
  }
  return bytes;
}

test("a log share is everything while nobody else writes, and a rate beside others", () => {
  const log = { bytes: 0 };
  const share = new LogShare(() => log.bytes, () => 25, 0);
  assert.ok(share.isAlone);
  const alone = written({ share, others: 0, log, fromMs: 0, forMs: 2_000 });
  assert.ok(share.isAlone);
  assert.is(alone, 2_000 * BATCH_BYTES, "A batch each millisecond, without a pause");
  const others = 1024 * 1024;
  written({ share, others, log, fromMs: 2_000, forMs: 2 * WINDOW_MS });
  assert.not(share.isAlone);
  const beside = written({ share, others, log, fromMs: 3_000, forMs: 4_000 }) / 4;
  assert.ok(beside > 0.9 * REGION_LOG_BYTES_PER_SECOND_MIN, `${beside} bytes a second`);
  assert.ok(beside < 1.1 * REGION_LOG_BYTES_PER_SECOND_MIN, `${beside} bytes a second`);
  written({ share, others: 0, log, fromMs: 8_000, forMs: 2 * WINDOW_MS });
  assert.ok(share.isAlone);
});

test.run();
