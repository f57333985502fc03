/** Entries and configurations as stored in logs: the numbers never change. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  configurationAfter,
  decodeConfiguration,
  encodeConfiguration,
  entryKindOf,
  FOUNDER_REPLICA,
  isSoleVoter,
  logEntryOf,
  soleConfiguration,
} from "../../../src/replication/log_entry.ts";
import { EMPTY_CONFIGURATION, EMPTY_DATA, LEAVE_JOINT } from "../../../src/raft/mod.ts";

const BYTE = Uint8Array.of(7);

function isCorrupt(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "corrupt";
}

test("logEntryOf: the kinds that stand in logs", () => {
  const entry = { index: 9, term: 4, data: BYTE };
  assert.equal(logEntryOf({ ...entry, kind: "normal" }), { term: 4, kind: 1, data: BYTE });
  const empty = logEntryOf({ ...entry, kind: "normal", data: EMPTY_DATA });
  assert.equal(empty, { term: 4, kind: 0, data: EMPTY_DATA });
  assert.is(logEntryOf({ ...entry, kind: "conf_change_v1" }).kind, 2);
  assert.is(logEntryOf({ ...entry, kind: "conf_change" }).kind, 3);
  assert.is(logEntryOf({ ...entry, kind: "conf_change", data: EMPTY_DATA }).kind, 3);
  assert.is(FOUNDER_REPLICA, 1);
});

test("entryKindOf: reads what was written, and refuses anything else", () => {
  assert.equal([0, 1, 2, 3].map(entryKindOf), [
    "normal",
    "normal",
    "conf_change_v1",
    "conf_change",
  ]);
  for (const kind of [4, 255, -1]) assert.throws(() => entryKindOf(kind), isCorrupt);
});

test("a configuration comes back from an image as it was, joint or not", () => {
  const joint = {
    voters: [1, 2, 2 ** 40],
    votersOutgoing: [1, 3],
    learners: [5],
    learnersNext: [3],
    autoLeave: true,
  };
  assert.equal(decodeConfiguration(encodeConfiguration(joint)), joint);
  const sole = soleConfiguration(1);
  assert.equal(decodeConfiguration(encodeConfiguration(sole)), sole);
});

test("decodeConfiguration: an image older than configurations has none; an impossible one is corrupt", () => {
  assert.is(decodeConfiguration(new Uint8Array(0)), undefined);
  assert.throws(() => decodeConfiguration(Uint8Array.of(1, 2, 3)), isCorrupt);
  const bytes = encodeConfiguration(soleConfiguration(1));
  assert.throws(() => decodeConfiguration(bytes.subarray(0, bytes.length - 8)), isCorrupt);
  const twice = { ...EMPTY_CONFIGURATION, voters: [1], learners: [1] };
  assert.throws(() => decodeConfiguration(encodeConfiguration(twice)), isCorrupt);
});

test("isSoleVoter: this replica only, and none in the outgoing half", () => {
  assert.ok(isSoleVoter({ ...soleConfiguration(4), learners: [5] }, 4));
  assert.not(isSoleVoter(soleConfiguration(4), 5));
  assert.not(isSoleVoter({ ...EMPTY_CONFIGURATION, voters: [4, 5] }, 4));
  assert.not(isSoleVoter({ ...soleConfiguration(4), votersOutgoing: [4, 5] }, 4));
  assert.not(isSoleVoter(EMPTY_CONFIGURATION, 4));
});

test("configurationAfter: where a change leads, or why it cannot be made", () => {
  const from = { ...EMPTY_CONFIGURATION, voters: [1, 2] };
  const add = { kind: "add_voter", replica: 3 } as const;
  const remove = { kind: "remove", replica: 1 } as const;
  const one = { transition: "auto", changes: [add], context: EMPTY_DATA } as const;
  assert.equal(configurationAfter(from, one), { ...from, voters: [1, 2, 3] });
  const joint = configurationAfter(from, { ...one, changes: [add, remove] });
  const expected = { ...from, voters: [2, 3], votersOutgoing: [1, 2], autoLeave: true };
  assert.equal(joint, expected);
  assert.equal(configurationAfter(expected, LEAVE_JOINT), { ...from, voters: [2, 3] });
  assert.type(configurationAfter(from, LEAVE_JOINT), "string");
  assert.type(configurationAfter(soleConfiguration(1), { ...one, changes: [remove] }), "string");
});

test.run();
