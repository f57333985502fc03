import { test } from "uvu";
import * as assert from "uvu/assert";
import { Readiness } from "../../../src/node/readiness.ts";

test("Readiness: partitions without a leader make a node unready", () => {
  let leaderless = 0;
  const readiness = new Readiness(() => leaderless);
  readiness.set("starting", false);
  assert.equal(readiness.reasons(), []);
  assert.is(readiness.ready, true);
  leaderless = 12;
  const [reason, ...others] = readiness.reasons();
  assert.equal(others, []);
  assert.is(reason?.reason, "no_quorum");
  assert.match(reason!.message, "no quorum for 12 partitions");
  assert.is(readiness.ready, false, "crs_ready and crs status say the same as /readyz");
  leaderless = 1;
  assert.match(readiness.reasons()[0]!.message, "no quorum for 1 partition:");
});

test("Readiness: another condition stands alone, as it may be the cause", () => {
  const readiness = new Readiness(() => 12);
  readiness.set("starting", false);
  readiness.set("storage_poisoned", true);
  assert.equal(readiness.reasons().map(({ reason }) => reason), ["storage_poisoned"]);
});

test.run();
