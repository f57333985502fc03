/** Reads that wait for permission: requested together, permitted by index, answered once. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { GroupId, LogIndex, Term } from "../../../src/base/ids.ts";
import { GROUP_READS_MAX } from "../../../src/base/limits.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import { GroupReads } from "../../../src/replication/group_reads.ts";

const GONE = new RegistryError("not_leader", "gone");

/** Reads whose answers are recorded. */
class Harness {
  readonly reads = new GroupReads(1 as GroupId);
  readonly answers: string[] = [];

  add(name: string, deadlineMs = 1_000): void {
    this.reads.add(deadlineMs).then((answer) => void this.answers.push(`${name}: ${word(answer)}`));
  }

  /** Returns the answers so far. */
  async told(): Promise<string[]> {
    await Promise.resolve();
    return this.answers;
  }
}

function point(appliedIndex: number): ReadPoint {
  return { appliedIndex: appliedIndex as LogIndex, term: 1 as Term, ageBoundMs: 0 };
}

function word(answer: ReadPoint | RegistryError): string {
  return answer instanceof RegistryError ? answer.code : String(answer.appliedIndex);
}

test("those that were wanted together are one request, permitted when its index is applied", async () => {
  const harness = new Harness();
  const { reads } = harness;
  harness.add("a");
  harness.add("b");
  assert.ok(reads.areWanted);
  reads.asked(1, 0);
  assert.not(reads.areWanted);
  reads.permit(point(9));
  assert.equal(await harness.told(), [], "the core has not answered");
  reads.confirmed(1, 7);
  reads.permit(point(6));
  assert.equal(await harness.told(), [], "what they must see is not applied");
  reads.permit(point(7));
  assert.equal(await harness.told(), ["a: 7", "b: 7"]);
  assert.is(reads.count, 0);
  reads.permit(point(8));
  assert.is((await harness.told()).length, 2);
});

test("read: one that is added after a request is not permitted by it", async () => {
  const harness = new Harness();
  const { reads } = harness;
  harness.add("a");
  reads.asked(1, 0);
  harness.add("b");
  reads.confirmed(1, 3);
  reads.permit(point(3));
  assert.equal(await harness.told(), ["a: 3"]);
  assert.ok(reads.areWanted);
  reads.asked(2, 0);
  reads.confirmed(1, 3);
  reads.permit(point(3));
  assert.equal(await harness.told(), ["a: 3"], "an answer to another request answers nothing");
  reads.confirmed(2, 3);
  reads.permit(point(3));
  assert.equal(await harness.told(), ["a: 3", "b: 3"]);
});

test("covered: a lease permits at the commit index, without the core", async () => {
  const harness = new Harness();
  harness.add("a");
  harness.reads.covered(5);
  harness.reads.permit(point(4));
  assert.equal(await harness.told(), []);
  harness.reads.permit(point(5));
  assert.equal(await harness.told(), ["a: 5"]);
});

test("dropped: reads of that request are answered with the reason, and the others keep waiting", async () => {
  const harness = new Harness();
  const { reads } = harness;
  harness.add("a");
  reads.asked(1, 0);
  harness.add("b");
  reads.asked(2, 0);
  reads.dropped(1, GONE);
  reads.dropped(9, GONE);
  assert.equal(await harness.told(), ["a: not_leader"]);
  assert.is(reads.count, 1);
  reads.confirmed(2, 1);
  reads.permit(point(1));
  assert.equal(await harness.told(), ["a: not_leader", "b: 1"]);
});

test("askAnew: only an earlier unanswered request is repeated", async () => {
  const harness = new Harness();
  const { reads } = harness;
  harness.add("lost");
  reads.asked(1, 100);
  harness.add("answered");
  reads.asked(2, 100);
  reads.confirmed(2, 50);
  harness.add("young");
  reads.asked(3, 101);
  reads.askAnew(99);
  assert.not(reads.areWanted);
  reads.askAnew(100);
  assert.ok(reads.areWanted);
  reads.confirmed(1, 1);
  reads.permit(point(49));
  assert.equal(await harness.told(), [], "the former request is not known any more");
  reads.asked(4, 200);
  reads.confirmed(4, 2);
  reads.permit(point(2));
  assert.equal(await harness.told(), ["lost: 2"]);
  assert.is(reads.count, 2);
});

test("expire: reads that waited too long are answered, requested or not", async () => {
  const harness = new Harness();
  const { reads } = harness;
  harness.add("asked", 100);
  harness.add("asked, with time", 200);
  reads.asked(1, 0);
  harness.add("wanted", 100);
  reads.expire(99);
  assert.equal(await harness.told(), []);
  reads.expire(100);
  assert.equal((await harness.told()).sort(), [
    "asked: deadline_exceeded",
    "wanted: deadline_exceeded",
  ]);
  assert.not(reads.areWanted);
  assert.is(reads.count, 1);
  reads.confirmed(1, 1);
  reads.permit(point(1));
  assert.is((await harness.told()).at(-1), "asked, with time: 1");
  assert.is((await harness.told()).length, 3);
});

test("permitAll and refuseAll answer all that wait, once", async () => {
  for (const isPermitted of [true, false]) {
    const harness = new Harness();
    harness.add("asked");
    harness.reads.asked(1, 0);
    harness.add("wanted");
    if (isPermitted) harness.reads.permitAll(point(3));
    else harness.reads.refuseAll(GONE);
    harness.reads.confirmed(1, 1);
    harness.reads.permit(point(9));
    const answer = isPermitted ? "3" : "not_leader";
    assert.equal((await harness.told()).sort(), [`asked: ${answer}`, `wanted: ${answer}`]);
    assert.is(harness.reads.count, 0);
    assert.not(harness.reads.areWanted);
  }
});

test("add: beyond its limit a read is overloaded, until others were answered", async () => {
  const { reads } = new Harness();
  for (let count = 0; count < GROUP_READS_MAX; count++) reads.add(1_000);
  const refused = await reads.add(1_000);
  assert.ok(refused instanceof RegistryError && refused.code === "overloaded");
  assert.ok((refused.fields.retryAfterMs ?? 0) > 0);
  assert.is(reads.count, GROUP_READS_MAX);
  reads.permitAll(point(1));
  const answered = reads.add(1_000);
  reads.permitAll(point(1));
  assert.not.instance(await answered, RegistryError);
});

test("refuseAll: every read is refused, whether it is confirmed, asked for or wanted", async () => {
  const harness = new Harness();
  const { reads } = harness;
  harness.add("confirmed");
  reads.asked(1, 0);
  reads.confirmed(1, 3);
  harness.add("asked");
  reads.asked(2, 0);
  harness.add("wanted");
  reads.refuseAll(GONE);
  reads.dropped(2, GONE);
  reads.permit(point(3));
  const refused = ["wanted: not_leader", "confirmed: not_leader", "asked: not_leader"];
  assert.equal(await harness.told(), refused);
  assert.is(reads.count, 0);
});

test.run();
