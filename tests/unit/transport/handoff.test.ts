/** The bounded queue behind every accept. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Handoff } from "../../../transport/handoff.ts";

test("Handoff gives items in order, to a take that waits or to a later one", async () => {
  const handoff = new Handoff<number>(2);
  const waiting = handoff.take();
  assert.ok(handoff.push(1));
  assert.is(await waiting, 1);
  assert.ok(handoff.push(2));
  assert.ok(handoff.push(3));
  assert.is(await handoff.take(), 2);
  assert.is(await handoff.take(), 3);
});

test("Handoff refuses beyond its capacity", async () => {
  const handoff = new Handoff<number>(1);
  assert.ok(handoff.push(1));
  assert.not(handoff.push(2));
  assert.is(await handoff.take(), 1);
  assert.ok(handoff.push(3));
});

test("Handoff.close ends a take, refuses what comes and gives back what is left", async () => {
  const handoff = new Handoff<number>(4);
  const waiting = handoff.take();
  assert.equal(handoff.close(), []);
  assert.is(await waiting, undefined);
  assert.not(handoff.push(1));
  assert.is(await handoff.take(), undefined);
  const full = new Handoff<number>(4);
  full.push(1);
  full.push(2);
  assert.equal(full.close(), [1, 2]);
  assert.equal(full.close(), []);
});

test("Handoff takes a second waiting take for a bug", () => {
  const handoff = new Handoff<number>(1);
  void handoff.take();
  assert.throws(() => handoff.take(), /One accept may wait/);
});

test.run();
