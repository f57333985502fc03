import { test } from "uvu";
import * as assert from "uvu/assert";
import { Readiness } from "../../../src/node/readiness.ts";

test("Readiness.reasonsWith: partitions without a leader make a node unready", () => {
  const readiness = new Readiness();
  readiness.set("starting", false);
  assert.equal(readiness.reasonsWith(() => 0), []);
  const [reason, ...others] = readiness.reasonsWith(() => 12);
  assert.equal(others, []);
  assert.is(reason?.reason, "no_quorum");
  assert.match(reason!.message, "no quorum for 12 partitions");
  assert.match(readiness.reasonsWith(() => 1)[0]!.message, "no quorum for 1 partition:");
});

test("Readiness.reasonsWith: another condition stands alone, as it may be the cause", () => {
  const readiness = new Readiness();
  readiness.set("starting", false);
  readiness.set("storage_poisoned", true);
  const reasons = readiness.reasonsWith(() => 12).map(({ reason }) => reason);
  assert.equal(reasons, ["storage_poisoned"]);
});

test.run();
