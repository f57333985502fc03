/** Steps of the wall clock, and the listeners that are notified of them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WALL_LOOK_MS, WALL_STEP_MS } from "../../../src/base/limits.ts";
import { WallWatch } from "../../../src/node/wall_watch.ts";
import { ManualTime } from "../../support/manual_time.ts";

function watched() {
  const time = new ManualTime(0);
  const watch = new WallWatch({ wall: time, monotonic: time, scheduler: time });
  const steps: string[] = [];
  const deaf = watch.onStep(() => steps.push("first"));
  watch.onStep(() => steps.push("second"));
  watch.start();
  return { time, watch, steps, deaf };
}

test("WallWatch tells every listener of a step, forwards and back, once and in time", () => {
  const { time, steps, deaf } = watched();
  time.advance(60_000);
  assert.equal(steps, []);
  time.jumpWall(WALL_STEP_MS);
  time.advance(WALL_LOOK_MS);
  assert.equal(steps, ["first", "second"]);
  time.advance(60_000);
  assert.is(steps.length, 2);
  time.jumpWall(-3_600_000);
  deaf();
  time.advance(WALL_LOOK_MS);
  assert.equal(steps, ["first", "second", "second"]);
});

test("WallWatch adds small steps up", () => {
  const { time, steps } = watched();
  for (let count = 0; count < 3; count++) {
    time.jumpWall(WALL_STEP_MS / 3 + 1);
    time.advance(WALL_LOOK_MS);
  }
  assert.equal(steps, ["first", "second"]);
});

test("WallWatch stops", () => {
  const { time, watch, steps } = watched();
  watch.stop();
  time.jumpWall(3_600_000);
  time.advance(60_000);
  assert.equal(steps, []);
});

test.run();
