import { test } from "uvu";
import * as assert from "uvu/assert";
import { type LedGroup, nextChange } from "../../../../src/replication/placement/reconfigurer.ts";
import type { PartitionPlacement } from "../../../../src/system/placement/placement_state.ts";

/** Replicas 2 and 3 join the founder's. */
const GROWTH: PartitionPlacement = {
  partition: 0,
  revision: 1,
  configurationIndex: 0,
  replicas: [
    { replica: 1, role: "voter" },
    { replica: 2, role: "joining" },
    { replica: 3, role: "joining" },
  ],
};

/** Returns a short log, led by replica 1, of which each replica has as much as `matches` states. */
function led(group: Partial<LedGroup>): LedGroup {
  return {
    self: 1,
    committed: 3,
    voters: [1],
    votersOutgoing: [],
    learners: [],
    matches: new Map(),
    active: new Set([1, 2, 3]),
    ...group,
  };
}

test("nextChange makes no voter of a learner that has nothing of a short log", () => {
  const learners = [2, 3];
  const matches = new Map([[1, 3], [2, 3], [3, 0]]);
  assert.equal(nextChange(GROWTH, led({ learners, matches })), { kind: "none" });
  const { kind } = nextChange(GROWTH, led({ learners, matches: matches.set(3, 3) }));
  assert.is(kind, "propose");
});

test("nextChange makes no voter of a learner that is silent now", () => {
  const learners = [2, 3];
  const matches = new Map([[1, 3], [2, 3], [3, 3]]);
  const active = new Set([1, 2]);
  assert.equal(nextChange(GROWTH, led({ learners, matches, active })), { kind: "none" });
});

test("nextChange reports a change as made only once every replica has something of the log", () => {
  const voters = [1, 2, 3];
  const matches = new Map([[1, 3], [2, 3], [3, 0]]);
  assert.equal(nextChange(GROWTH, led({ voters, matches })), { kind: "none" });
  assert.equal(nextChange(GROWTH, led({ voters, matches: matches.set(3, 2) })), { kind: "made" });
});

/** Replica 2 has joined in place of replica 1, which leads. */
const REPLACED: PartitionPlacement = {
  ...GROWTH,
  replicas: [{ replica: 1, role: "leaving" }, { replica: 2, role: "joining" }],
};

test("nextChange adds a voter that was to leave again, if it was removed before it was told to stay", () => {
  const placement: PartitionPlacement = {
    ...GROWTH,
    replicas: [
      { replica: 1, role: "voter" },
      { replica: 2, role: "voter" },
      { replica: 3, role: "withdrawn" },
    ],
  };
  const matches = new Map([[1, 3], [2, 3], [3, 3]]);
  const removed = { voters: [1, 3], matches };
  assert.equal(nextChange(placement, led(removed)), {
    kind: "propose",
    changes: [{ kind: "add_learner", replica: 2 }],
  });
  assert.equal(nextChange(placement, led({ ...removed, learners: [2] })), {
    kind: "propose",
    changes: [{ kind: "add_voter", replica: 2 }, { kind: "remove", replica: 3 }],
  });
  assert.equal(nextChange(placement, led({ voters: [1, 2], matches })), { kind: "made" });
});

test("nextChange adds joining replicas as learners first", () => {
  const changes = [2, 3].map((replica) => ({ kind: "add_learner", replica }));
  assert.equal(nextChange(GROWTH, led({})), { kind: "propose", changes });
});

test("nextChange waits while a joint configuration is in force", () => {
  const voters = [1, 2, 3];
  assert.equal(nextChange(GROWTH, led({ voters, votersOutgoing: [1] })), { kind: "none" });
});

test("nextChange never removes the leader, which hands its leadership over first", () => {
  const matches = new Map([[1, 3], [2, 3]]);
  const first = nextChange(REPLACED, led({ learners: [2], matches }));
  assert.equal(first, { kind: "propose", changes: [{ kind: "add_voter", replica: 2 }] });
  const second = nextChange(REPLACED, led({ voters: [1, 2], matches }));
  assert.equal(second, { kind: "transfer", replica: 2 });
  const third = nextChange(REPLACED, led({ self: 2, voters: [1, 2], matches }));
  assert.equal(third, { kind: "propose", changes: [{ kind: "remove", replica: 1 }] });
  const last = nextChange(REPLACED, led({ self: 2, voters: [2], matches }));
  assert.equal(last, { kind: "made" });
});

test.run();
