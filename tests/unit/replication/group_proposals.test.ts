/** Pending proposals: each is answered once, by the fate of its entry, or when its time is up. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { GroupId } from "../../../src/base/ids.ts";
import { GROUP_FORMER_PROPOSAL_MS } from "../../../src/base/limits.ts";
import type { Proposed } from "../../../src/replication/group_interface.ts";
import { GroupProposals } from "../../../src/replication/group_proposals.ts";

const LOST = new RegistryError("storage_unavailable", "lost");

/** Proposals whose answers are recorded. */
class Harness {
  readonly proposals = new GroupProposals(1 as GroupId);
  readonly answers: string[] = [];

  add(index: number, { term = 1, deadlineMs = 1_000 } = {}): void {
    this.proposals.add<string>({ index, term, deadlineMs }).then((proposed) => {
      this.answers.push(`${index}: ${word(proposed)}`);
    });
  }

  /** Returns the answers so far. */
  async told(): Promise<string[]> {
    await Promise.resolve();
    return this.answers;
  }
}

function word(proposed: Proposed<string>): string {
  return proposed.ok
    ? `${proposed.outcome} at ${proposed.term}:${proposed.index}`
    : proposed.error.code;
}

test("applied: the outcome goes to the proposal at that index, and to no other", async () => {
  const harness = new Harness();
  for (const index of [4, 5, 7]) harness.add(index);
  harness.proposals.applied(3, 1, "of nobody");
  harness.proposals.applied(4, 1, "a");
  harness.proposals.applied(5, 1, "b");
  harness.proposals.applied(6, 1, "of nobody here");
  assert.equal(await harness.told(), ["4: a at 1:4", "5: b at 1:5"]);
  assert.is(harness.proposals.count, 1);
  harness.proposals.applied(7, 1, "c");
  assert.equal(await harness.told(), ["4: a at 1:4", "5: b at 1:5", "7: c at 1:7"]);
  assert.is(harness.proposals.count, 0);
});

test("applied: an entry of another term is another's, and the proposal never will be applied", async () => {
  const harness = new Harness();
  harness.add(4);
  harness.proposals.leadershipLost(0);
  assert.equal(
    await harness.told(),
    [],
    "what is open stays open until something is committed there",
  );
  harness.proposals.applied(4, 2, "of another leader");
  assert.equal(await harness.told(), ["4: not_leader"]);
});

test("applied: one proposal at an index in two terms, the later one's entry is applied", async () => {
  const harness = new Harness();
  harness.add(4, { term: 1 });
  harness.proposals.leadershipLost(0);
  harness.add(4, { term: 3 });
  harness.proposals.applied(4, 3, "c");
  assert.equal((await harness.told()).sort(), ["4: c at 3:4", "4: not_leader"]);
  assert.is(harness.proposals.count, 0);
});

test("applied: the entry of a former term may be committed by a later leader", async () => {
  const harness = new Harness();
  harness.add(4);
  harness.proposals.leadershipLost(0);
  harness.proposals.applied(4, 1, "kept");
  assert.equal(await harness.told(), ["4: kept at 1:4"]);
});

test("expire: those whose time is up are answered once, and still counted while their term is led", async () => {
  const harness = new Harness();
  harness.add(4, { deadlineMs: 100 });
  harness.add(5, { deadlineMs: 101 });
  harness.proposals.expire(99);
  assert.equal(await harness.told(), []);
  harness.proposals.expire(100);
  assert.equal(await harness.told(), ["4: deadline_exceeded"]);
  assert.is(harness.proposals.count, 2, "its entry is in the log all the same");
  harness.proposals.applied(4, 1, "late");
  harness.proposals.applied(5, 1, "b");
  assert.equal(await harness.told(), ["4: deadline_exceeded", "5: b at 1:5"]);
  assert.is(harness.proposals.count, 0);
});

test("expire: one of a former term is forgotten with its answer, for its entry may never be seen", async () => {
  const harness = new Harness();
  harness.add(4, { deadlineMs: 100 });
  harness.proposals.leadershipLost(0);
  harness.proposals.expire(100);
  assert.equal(await harness.told(), ["4: deadline_exceeded"]);
  assert.is(harness.proposals.count, 0);
});

test("expire: one of a former term is answered soon, so that it can be repeated at another leader", async () => {
  const harness = new Harness();
  harness.add(4, { deadlineMs: 5_000 });
  harness.add(5, { deadlineMs: 300 });
  harness.proposals.leadershipLost(100);
  harness.add(6, { term: 3, deadlineMs: 5_000 });
  harness.proposals.expire(99 + GROUP_FORMER_PROPOSAL_MS);
  assert.equal(await harness.told(), ["5: deadline_exceeded"]);
  harness.proposals.expire(100 + GROUP_FORMER_PROPOSAL_MS);
  assert.equal(await harness.told(), ["5: deadline_exceeded", "4: connection_lost"]);
  assert.is(harness.proposals.count, 1, "the one of the present term stays open");
});

test("overtaken: entries replaced by an image have an unknown outcome; those above it keep waiting", async () => {
  const harness = new Harness();
  for (const index of [4, 5, 6]) harness.add(index);
  harness.proposals.overtaken(5);
  assert.equal(await harness.told(), ["4: connection_lost", "5: connection_lost"]);
  harness.proposals.applied(6, 2, "of another");
  assert.is((await harness.told()).at(-1), "6: not_leader");
});

test("answerAll: every proposal is answered once, of the current and of earlier terms", async () => {
  const harness = new Harness();
  harness.add(4);
  harness.proposals.leadershipLost(0);
  harness.add(5, { term: 3 });
  harness.proposals.answerAll(LOST);
  harness.proposals.answerAll(new RegistryError("internal", "again"));
  assert.equal((await harness.told()).sort(), [
    "4: storage_unavailable",
    "5: storage_unavailable",
  ]);
  assert.is(harness.proposals.count, 1, "the entry of the term that is led may be applied yet");
  harness.proposals.applied(5, 3, "late");
  assert.is(harness.proposals.count, 0);
  assert.is((await harness.told()).length, 2);
});

test("leadershipLost: those that were answered are gone, and a new term begins with none", async () => {
  const harness = new Harness();
  for (let index = 1; index <= 9; index++) harness.add(index);
  for (let index = 1; index <= 3; index++) harness.proposals.applied(index, 1, "a");
  harness.proposals.leadershipLost(0);
  assert.is(harness.proposals.count, 6);
  for (let index = 4; index <= 9; index++) harness.proposals.applied(index, 2, "of another");
  assert.is(harness.proposals.count, 0);
  harness.add(10, { term: 3 });
  assert.is(harness.proposals.count, 1);
  harness.proposals.applied(10, 3, "b");
  assert.is((await harness.told()).at(-1), "10: b at 3:10");
});

test("count is exact over many, whatever was cut off in between", () => {
  const harness = new Harness();
  for (let index = 1; index <= 1_000; index++) harness.add(index);
  for (let index = 1; index <= 700; index++) harness.proposals.applied(index, 1, "x");
  assert.is(harness.proposals.count, 300);
  for (let index = 1_001; index <= 1_100; index++) harness.add(index);
  for (let index = 701; index <= 1_100; index++) harness.proposals.applied(index, 1, "x");
  assert.is(harness.proposals.count, 0);
});

test.run();
