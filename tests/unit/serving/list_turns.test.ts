/** Turns of lists: a limited share of each turn of the event loop, sessions in rotation. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LIST_TURN_MS } from "../../../src/base/limits.ts";
import { ListTurns, type ListWork } from "../../../src/serving/list_turns.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** A clock that only work advances. */
class Scene {
  readonly world = new SteppedWorld();
  nowMs = 0;
  readonly done: string[] = [];
  readonly turns = new ListTurns({
    scheduler: this.world,
    clock: { nowMs: () => this.nowMs },
  });

  /** Returns a list with `steps` steps that take `stepMs` each. */
  list(name: string, { steps, stepMs }: { steps: number; stepMs: number }): ListWork {
    const work = (untilMs: number): boolean => {
      do {
        this.nowMs += stepMs;
        steps--;
      } while (steps > 0 && this.nowMs < untilMs);
      if (steps <= 0) this.done.push(name);
      return steps <= 0;
    };
    return { hasRoom: true, room: () => Promise.resolve(), work };
  }
}

test("lists take at most their time of a turn, however many are asked for", async () => {
  const all = new Scene();
  for (let count = 0; count < 40; count++) {
    all.turns.add({}, all.list(String(count), { steps: 10, stepMs: 0.25 }));
  }
  assert.is(all.nowMs, 0, "Nothing is done in the turn of the request");
  let longestMs = 0;
  for (let beforeMs = 0; await all.world.turn(); beforeMs = all.nowMs) {
    longestMs = Math.max(longestMs, all.nowMs - beforeMs);
  }
  assert.is(longestMs, LIST_TURN_MS);
  assert.is(all.done.length, 40);
});

test("sessions take turns, and the lists of one keep their order", async () => {
  const scene = new Scene();
  const [greedy, modest] = [{}, {}];
  for (const name of ["a", "b", "c"]) {
    scene.turns.add(greedy, scene.list(name, { steps: 2, stepMs: LIST_TURN_MS }));
  }
  scene.turns.add(modest, scene.list("x", { steps: 2, stepMs: LIST_TURN_MS }));
  await scene.world.settle();
  assert.equal(scene.done, ["a", "x", "b", "c"]);
});

test("a list without room for its answer is not worked, and others are", async () => {
  const scene = new Scene();
  const { promise, resolve } = Promise.withResolvers<void>();
  let hasRoom = false;
  let looks = 0;
  const work = scene.list("waits", { steps: 1, stepMs: 0.1 });
  scene.turns.add({}, {
    get hasRoom() {
      looks++;
      return hasRoom;
    },
    room: () => promise,
    work: (untilMs) => work.work(untilMs),
  });
  scene.turns.add({}, scene.list("goes on", { steps: 30, stepMs: 0.1 }));
  await scene.world.settle();
  assert.equal([scene.done, looks], [["goes on"], 1]);
  hasRoom = true;
  resolve();
  await scene.world.settle();
  assert.equal(scene.done, ["goes on", "waits"]);
});

test("a list that waits for permission gives its turn to others", async () => {
  const scene = new Scene();
  const { promise, resolve } = Promise.withResolvers<void>();
  let works = 0;
  scene.turns.add({}, {
    hasRoom: true,
    room: () => Promise.resolve(),
    work: () => {
      if (++works === 1) return promise;
      scene.done.push("permitted");
      return true;
    },
  });
  scene.turns.add({}, scene.list("other", { steps: 1, stepMs: 0.1 }));
  await scene.world.settle();
  assert.equal(scene.done, ["other"]);
  resolve();
  await scene.world.settle();
  assert.equal(scene.done, ["other", "permitted"]);
});

test.run();
