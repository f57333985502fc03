/** IdentityGroup: what group 0 takes from other nodes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GROUP_TIME_MS_MAX } from "../../../../src/base/limits.ts";
import { BAN_KINDS } from "../../../../src/record/ban_kind.ts";
import { encodeRemoveMember } from "../../../../src/record/command.ts";
import { AUDIT_ACTIONS } from "../../../../src/system/audit_log.ts";
import { encodeAuditNote, encodeBan } from "../../../../src/system/identity_codec.ts";
import { RegistryHarness } from "../../../support/registry_harness.ts";

test("IdentityGroup.proposeHere does not take another node's time for that of group 0", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { group, store } = harness.registry.groups.system;
  const note = { action: AUDIT_ACTIONS.removeRecord, subject: "agent 1", detail: "" };
  const command = encodeAuditNote({ timeMs: GROUP_TIME_MS_MAX, unixS: 0, writer: 0 }, note);
  await peer.must("proposeSystem", { command });
  assert.is(store.identities.audit.count, 1, "the note is logged");
  assert.ok(store.timeMs <= group.timeMs());
  assert.ok(group.timeMs() <= harness.world.nowMs(), `group time is ${group.timeMs()}`);
});

test("proposeSystem takes neither bans nor removals of members from other nodes", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const header = { timeMs: 0, unixS: 0, writer: 0 };
  const ban = { kind: BAN_KINDS.lineage, name: "7", reason: "", untilMs: 0, lifted: false };
  const commands = [
    encodeBan(header, { ...ban, detail: "" }),
    encodeRemoveMember(header, { nodeId: 1, detail: "" }),
  ];
  for (const command of commands) {
    const { code } = await peer.ask("proposeSystem", { command });
    assert.is(code, "invalid_argument");
  }
});

test.run();
