/** Chosen leaders in group 0: for partitions and members that exist, kept in images, ended all at once. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  encodeForgetLeaders,
  encodePreferLeader,
  LEADERS_APPLY_VERSION,
} from "../../../../src/system/leaders/leader_codec.ts";
import { encodeRaiseApplyVersion } from "../../../../src/system/versions/version_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

function twoNodes(version = LEADERS_APPLY_VERSION): SystemHarness {
  const harness = new SystemHarness({ partitionCount: 4 });
  for (const node of [1, 2]) harness.admit(node, 0, LEADERS_APPLY_VERSION);
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  return harness;
}

const prefer = (harness: SystemHarness, partition: number, nodeId: number) =>
  harness.apply(encodePreferLeader(HEADER, { partition, nodeId, detail: "an operator" }));

test("a leader is chosen for a partition among the members, and the choice survives an image", () => {
  const harness = twoNodes();
  const before = harness.state.leaders.all;
  assert.is(prefer(harness, 3, 2), "ok");
  assert.is(prefer(harness, 3, 1), "ok");
  assert.is(prefer(harness, 0, 2), "ok");
  assert.is.not(harness.state.leaders.all, before, "who remembers a map sees that it has changed");
  assert.is(prefer(harness, 4, 2), "invalid_argument", "no such partition");
  assert.is(prefer(harness, 1, 9), "not_found", "no such node");
  harness.reload();
  assert.equal([...harness.state.leaders.all], [[0, 2], [3, 1]]);
  assert.is(harness.apply(encodeForgetLeaders(HEADER, { detail: "an operator" })), "ok");
  assert.ok(harness.state.leaders.isEmpty);
  assert.is(prefer(twoNodes(LEADERS_APPLY_VERSION - 1), 0, 2), "invalid_argument");
});

test.run();
