/** Waiting for a group during a start: through changes of its leader, for a limited time, until a stop. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { untilReadable } from "../../../../src/replication/assembly/stopped_start.ts";
import type { ReadPoint } from "../../../../src/replication/group_interface.ts";
import { rejectionOf } from "../../../support/refusal.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";

const LED = {} as ReadPoint;
const LEADERLESS = new RegistryError("not_leader", "Group 0 has no leader here yet");

/** A group that answers reads with `answers`, the last one for good. */
function groupOf(...answers: (ReadPoint | RegistryError)[]) {
  let asked = 0;
  return {
    readBarrier: () => Promise.resolve(answers[Math.min(asked++, answers.length - 1)]!),
    get asked() {
      return asked;
    },
  };
}

test("untilReadable waits while a group has no leader, and asks again", async () => {
  const world = new SteppedWorld();
  const group = groupOf(LEADERLESS, LEADERLESS, LED);
  await world.wait(untilReadable(group, { world }));
  assert.is(group.asked, 3);
});

test("untilReadable ends with a refusal that no leader mends, and after a minute", async () => {
  const world = new SteppedWorld();
  const ended = groupOf(new RegistryError("corrupt", "no"));
  assert.is((await rejectionOf(world.wait(untilReadable(ended, { world })))).code, "corrupt");
  assert.is(ended.asked, 1);
  const waiting = rejectionOf(untilReadable(groupOf(LEADERLESS), { world }));
  await world.pass(60_000);
  assert.is(await waiting, LEADERLESS);
});

test("untilReadable ends when the node is stopped", async () => {
  const world = new SteppedWorld();
  const stop = new AbortController();
  const waiting = rejectionOf(untilReadable(groupOf(LEADERLESS), { world, signal: stop.signal }));
  await world.pass(500);
  stop.abort();
  assert.is((await waiting).code, "shutting_down");
});

test.run();
