/** Members: a number belongs to one data folder, and is assigned once. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeRemoveMember } from "../../../../src/record/command.ts";
import { SystemHarness } from "../../../support/system_harness.ts";
import { MEMBER_PROGRAMS_APPLY_VERSION } from "../../../../src/system/versions/features.ts";
import { encodeRaiseApplyVersion } from "../../../../src/system/versions/version_state.ts";
import { HEADER } from "../../../support/system_harness.ts";

test("MemberState assigns the next number to a folder, and the same to the same folder", () => {
  const harness = new SystemHarness();
  assert.is(harness.admit(1), 1);
  assert.is(harness.admit(2), 2);
  assert.is(harness.admit(1), 1);
  assert.is(harness.admit(9, 7), 7);
  assert.is(harness.admit(3), 8);
  assert.is(harness.state.members.admission(7)?.zone, "zone 9");
});

test("MemberState never lets two folders have one number, nor one folder two", () => {
  const harness = new SystemHarness();
  harness.admit(1);
  assert.is(harness.admit(2, 1), "locked", "a number of a living node");
  assert.is(harness.admit(1, 5), "invalid_argument", "a folder that has a number");
  harness.reload();
  assert.is(harness.admit(2, 1), "locked", "after an image too");
  assert.equal(harness.store.members.map(({ nodeId }) => nodeId), [1]);
});

test("MemberState gives the ring map the zones with which nodes were admitted", () => {
  const harness = new SystemHarness();
  harness.put(1);
  harness.admit(2);
  const zones = () => harness.store.ringMap(0)!.nodes.map(({ nodeId, zone }) => [nodeId, zone]);
  assert.equal(zones(), [[1, ""], [2, "zone 2"]]);
  harness.reload();
  assert.equal(zones(), [[1, ""], [2, "zone 2"]]);
});

test("MemberState binds a node that was only put to the first folder of its number", () => {
  const harness = new SystemHarness();
  harness.put(1);
  assert.is(harness.state.members.applyVersionMax, 1);
  assert.is(harness.admit(4, 1), 1);
  assert.is(harness.admit(5, 1), "locked");
  assert.is(harness.state.members.applyVersionMax, 2);
});

test("MemberState believes a node that is not admitted, and an admission more than that", () => {
  const harness = new SystemHarness();
  harness.put(1, 3);
  assert.is(harness.state.members.applyVersionMax, 3);
  harness.reload();
  assert.is(harness.state.members.applyVersionMax, 3);
  harness.admit(4, 1);
  assert.is(harness.state.members.applyVersionMax, 2);
});

test("MemberState gives the number of a removed node to nobody", () => {
  const harness = new SystemHarness();
  harness.admit(1);
  harness.admit(2);
  assert.is(harness.apply(encodeRemoveMember(HEADER, { nodeId: 2, detail: "" })), "ok");
  for (let round = 0; round < 2; round++) {
    assert.is(harness.admit(2, 2), "not_replica");
    assert.is(harness.admit(3, 2), "not_replica");
    assert.is(harness.put(2), "not_replica");
    harness.reload();
  }
  // The folder comes back as a new node.
  assert.is(harness.admit(2), 3);
});

test("MemberState knows the founder by its number, which is the lowest for good", () => {
  const harness = new SystemHarness();
  assert.is(harness.state.members.founder, undefined);
  harness.put(4);
  assert.is(harness.state.members.founder, 4);
  assert.is(harness.admit(1, 3), "invalid_argument", "below the founder's");
  assert.is(harness.admit(1), 5);
  assert.is(harness.apply(encodeRemoveMember(HEADER, { nodeId: 4, detail: "" })), "ok");
  harness.reload();
  assert.is(harness.state.members.founder, undefined, "nobody else becomes it");
});

test("MemberState keeps programs from the apply version on that knows them, and refuses other text", () => {
  const harness = new SystemHarness();
  const version = MEMBER_PROGRAMS_APPLY_VERSION;
  const program = () => harness.state.members.admission(1)!.program;
  harness.admit(1, 0, version, "0.2.0");
  assert.is(program(), "", "earlier programs would not keep it");
  assert.is(harness.apply(encodeRaiseApplyVersion(HEADER, version)), "ok");
  assert.is(harness.admit(1, 1, version, "0.2.0"), 1);
  assert.is(harness.admit(1, 1, version, "0.2.0\u001b[2J"), "invalid_argument");
  assert.is(harness.admit(1, 1, version, "1".repeat(65)), "invalid_argument");
  harness.reload();
  assert.is(program(), "0.2.0");
});

test("MemberState refuses what it cannot keep, and no more nodes than a group has members", () => {
  const harness = new SystemHarness();
  assert.is(harness.admit(0), "invalid_argument", "a nil folder");
  assert.is(harness.admit(1, 0, 0), "invalid_argument", "no apply version");
  for (let node = 1; node <= 64; node++) assert.is(harness.admit(node), node);
  assert.is(harness.admit(65), "too_large");
  assert.is(harness.admit(64), 64);
  const { epoch } = harness.store.ringMap(0)!;
  harness.reload();
  assert.equal(harness.store.ringMap(0)!.epoch, epoch);
});

test.run();
