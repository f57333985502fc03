/** Refused identities: each is counted, few are logged. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { REFUSAL_REASONS_MAX, REFUSAL_SAMPLE_MS } from "../../../src/base/limits.ts";
import { type LogFacts, SILENT_LOGGER } from "../../../src/base/logger.ts";
import { Refusals } from "../../../src/serving/refusals.ts";
import { ManualTime } from "../../support/manual_time.ts";

function tally() {
  const time = new ManualTime(0);
  const logged: LogFacts[] = [];
  const logger = {
    ...SILENT_LOGGER,
    warn: (_: string, facts: LogFacts = {}) => void logged.push(facts),
  };
  return { time, logged, refusals: new Refusals({ monotonic: time, logger }) };
}

test("Refusals counts each by its reason and logs one in a second", () => {
  const { time, logged, refusals } = tally();
  for (let count = 0; count < 1_000; count++) {
    refusals.note("Refused", count % 4 === 0 ? "banned" : "expired", { from: "a" });
  }
  assert.equal([...refusals.counts], [["banned", 250], ["expired", 750]]);
  assert.equal(logged, [{ from: "a", reason: "banned", count: 1 }]);
  time.advance(REFUSAL_SAMPLE_MS);
  refusals.note("Refused", "expired", {});
  refusals.note("Refused", "expired", {});
  assert.equal(logged.slice(1), [{ reason: "expired", count: 751 }]);
});

test("Refusals keeps a bounded number of reasons", () => {
  const { refusals } = tally();
  for (let count = 0; count < 1_000; count++) refusals.note("Refused", `reason ${count}`, {});
  assert.is(refusals.counts.size, REFUSAL_REASONS_MAX + 1);
  assert.is(refusals.counts.get("other"), 1_000 - REFUSAL_REASONS_MAX);
  refusals.note("Refused", "reason 0", {});
  assert.is(refusals.counts.get("reason 0"), 2);
});

test("Refusals counts refused handshakes on their own and with all others", () => {
  const { logged, refusals } = tally();
  refusals.noteHandshake("anonymous", { from: "a" });
  refusals.noteHandshake("anonymous", { from: "a" });
  refusals.note("Refused", "banned", {});
  assert.equal([...refusals.handshakes], [["anonymous", 2]]);
  assert.equal([...refusals.counts], [["anonymous", 2], ["banned", 1]]);
  assert.equal(logged, [{ from: "a", reason: "anonymous", count: 1 }]);
});

test.run();
