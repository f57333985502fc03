/** A leader's view of a member: probe, replicate, snapshot. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { Progress } from "../../../src/raft/progress.ts";

const LIMITS = { inflightMessagesMax: 2, inflightBytesMax: 100 };

function progress({ match = 0, next = 5 } = {}): Progress {
  const member = new Progress(7, { next, isLearner: false, recentActive: true }, LIMITS);
  member.match = match;
  return member;
}

test("probe: one append with entries, then nothing until something is heard", () => {
  const member = progress();
  member.sentEntries(0, 0);
  assert.is(member.isPaused, false);
  member.sentEntries(3, 30);
  assert.equal([member.isPaused, member.next], [true, 5]);
  assert.is(member.maybeUpdate(4), true);
  assert.equal([member.isPaused, member.match, member.next], [false, 4, 5]);
  assert.is(member.maybeUpdate(4), false);
});

test("probe: only the refusal of the probe on its way moves it back", () => {
  const member = progress({ match: 1, next: 9 });
  member.sentEntries(1, 1);
  assert.is(member.maybeDecrease(5, 3), false);
  assert.equal([member.next, member.isPaused], [9, true]);
  assert.is(member.maybeDecrease(8, 3), true);
  assert.equal([member.next, member.isPaused], [4, false]);
  assert.is(member.maybeDecrease(3, 0), true);
  assert.is(member.next, 2, "Never to what is known to match");
});

test("a refusal takes back the commit index that was sent, for it had no effect", () => {
  const probe = progress({ match: 1, next: 9 });
  probe.sentCommit = 8;
  probe.maybeDecrease(8, 3);
  assert.equal([probe.sentCommit, probe.canBumpCommit(8)], [3, false]);
  const stream = progress({ match: 1, next: 9 });
  stream.state = "replicate";
  stream.sentCommit = 8;
  stream.maybeDecrease(8, 3);
  assert.is(stream.sentCommit, 1);
});

test("replicate: entries are counted as sent; a refusal falls back behind what matches", () => {
  const member = progress({ match: 4 });
  member.becomeReplicate();
  member.sentEntries(2, 10);
  assert.equal([member.next, member.isPaused], [7, false]);
  member.sentEntries(1, 10);
  assert.equal([member.next, member.isPaused], [8, true]);
  assert.is(member.maybeDecrease(4, 4), false, "An old refusal");
  assert.is(member.maybeDecrease(7, 2), true);
  assert.is(member.next, 5);
});

test("snapshot: paused until it arrived, then probed behind it", () => {
  const member = progress({ match: 2 });
  member.becomeSnapshot(10);
  assert.equal([member.isPaused, member.next, member.sentCommit], [true, 11, 10]);
  assert.throws(
    () => member.sentEntries(1, 1),
    (error: unknown) => error instanceof InvariantError,
  );
  member.becomeProbe();
  assert.equal([member.next, member.pendingSnapshot], [11, 0]);
});

test("snapshot: one that is known to be lost is as if never sent", () => {
  const member = progress({ match: 2 });
  member.becomeSnapshot(10);
  member.pendingSnapshot = 0;
  member.becomeProbe();
  assert.equal([member.next, member.sentCommit], [3, 2]);
});

test("canBumpCommit: only what is new, and what the member's log can reach", () => {
  const member = progress({ match: 4 });
  assert.is(member.canBumpCommit(3), true);
  member.sentCommit = 3;
  assert.is(member.canBumpCommit(3), false);
  assert.is(member.canBumpCommit(9), true);
  member.sentCommit = 4;
  assert.is(member.canBumpCommit(9), false, "All that was sent is committed there already");
});

test("copy: another member of the same state that shares the window", () => {
  const member = progress({ match: 4 });
  member.becomeReplicate();
  member.sentEntries(1, 1);
  const copy = member.copy();
  copy.isLearner = true;
  assert.equal([copy.match, copy.next, copy.state], [4, 6, "replicate"]);
  assert.is(member.isLearner, false);
  assert.is(copy.inflights, member.inflights);
});

test.run();
