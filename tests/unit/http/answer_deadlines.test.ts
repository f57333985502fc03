/** Deadlines of answers with one timer for all. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HTTP_DEADLINE_TICK_MS } from "../../../src/base/limits.ts";
import { AnswerDeadlines } from "../../../src/http/answer_deadlines.ts";
import { ManualWorld } from "../../support/manual_world.ts";

test("AnswerDeadlines calls each one that passes, and none that ended", () => {
  const world = new ManualWorld();
  const deadlines = new AnswerDeadlines(world, world, 1_000);
  const late: string[] = [];
  const begin = (name: string) => deadlines.begin(() => late.push(`${name} at ${world.nowMs()}`));
  const first = begin("first");
  world.pass(300);
  const ended = begin("ended");
  world.pass(300);
  const last = begin("last");
  assert.is(world.timerCount, 1);
  ended.end();
  world.pass(399);
  assert.equal(late, []);
  world.pass(1);
  assert.equal([late, first.isLate, last.isLate], [["first at 1000"], true, false]);
  world.pass(600);
  assert.equal(late, ["first at 1000", "last at 1600"]);
  assert.equal([last.isLate, ended.isLate, world.timerCount], [true, false, 0]);
});

test("AnswerDeadlines looks at most once in each tick, however close they are", () => {
  const world = new ManualWorld();
  const deadlines = new AnswerDeadlines(world, world, 1_000);
  const late: number[] = [];
  deadlines.begin(() => late.push(1));
  world.pass(1);
  deadlines.begin(() => late.push(2));
  world.pass(1_000);
  assert.equal(late, [1]);
  world.pass(HTTP_DEADLINE_TICK_MS);
  assert.equal(late, [1, 2]);
});

test.run();
