/** Turns of lists: a limited share of each turn of the event loop, sessions in rotation. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LIST_BYTES_PER_MS, LIST_TURN_MS } from "../../../src/base/limits.ts";
import { ListTurns, type ListWork } from "../../../src/serving/list_turns.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** Lists whose work takes time. */
class Scene {
  readonly world = new SteppedWorld();
  readonly done: string[] = [];
  /** Time spent on lists, ms. */
  workMs = 0;
  readonly turns = new ListTurns({ scheduler: this.world, clock: this.world });

  /** Returns a list with `steps` steps that take `stepMs` each. */
  list(
    name: string,
    { steps, stepMs, bytes = 0 }: { steps: number; stepMs: number; bytes?: number },
  ): ListWork {
    const work = (untilMs: number): boolean => {
      do {
        this.world.stop(stepMs);
        this.workMs += stepMs;
        steps--;
      } while (steps > 0 && this.world.nowMs() < untilMs);
      if (steps <= 0) this.done.push(name);
      return steps <= 0;
    };
    return {
      hasRoom: true,
      get answerBytes() {
        return steps <= 0 ? bytes : 0;
      },
      room: () => Promise.resolve(),
      work,
    };
  }

  /** Adds `count` lists of as many sessions, each with 10 steps of 0.25 ms. */
  addMany(count: number): void {
    for (let number = 0; number < count; number++) {
      this.turns.add({}, this.list(String(number), { steps: 10, stepMs: 0.25 }));
    }
  }
}

test("lists take at most their time of a turn, however many are asked for", async () => {
  const scene = new Scene();
  scene.addMany(40);
  assert.is(scene.workMs, 0, "Nothing is done in the turn of the request");
  for (let beforeMs = 0; scene.done.length < 40; beforeMs = scene.workMs) {
    await scene.world.pass(LIST_TURN_MS);
    assert.ok(scene.workMs - beforeMs <= LIST_TURN_MS);
  }
  assert.is(scene.workMs, 100);
});

test("lists rest for as long as they worked", async () => {
  const scene = new Scene();
  scene.addMany(40);
  await scene.world.pass(190);
  assert.ok(scene.done.length < 40);
  await scene.world.pass(10);
  assert.equal([scene.done.length, scene.workMs], [40, 100]);
});

test("short lists that are asked for one after another do not wait for a rest", async () => {
  const scene = new Scene();
  for (let number = 1; number <= 100; number++) {
    scene.turns.add({}, scene.list(String(number), { steps: 1, stepMs: 0.1 }));
    await scene.world.settle();
    assert.is(scene.done.length, number);
    await scene.world.pass(0.1);
  }
  assert.is(scene.world.timersRun, 0);
});

test("lists rest for as long as sending their pages takes", async () => {
  const scene = new Scene();
  const page = { steps: 1, stepMs: 0.5, bytes: 10 * LIST_BYTES_PER_MS };
  for (const name of ["a", "b", "c"]) scene.turns.add({}, scene.list(name, page));
  await scene.world.settle();
  assert.equal(scene.done, ["a", "b"], "One turn");
  await scene.world.pass(18);
  assert.equal(scene.done, ["a", "b"], "They rest");
  await scene.world.pass(2);
  assert.equal(scene.done, ["a", "b", "c"]);
});

test("sessions take turns, and the lists of one keep their order", async () => {
  const scene = new Scene();
  const [greedy, modest] = [{}, {}];
  for (const name of ["a", "b", "c"]) {
    scene.turns.add(greedy, scene.list(name, { steps: 2, stepMs: LIST_TURN_MS }));
  }
  scene.turns.add(modest, scene.list("x", { steps: 2, stepMs: LIST_TURN_MS }));
  await scene.world.pass(100);
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
    answerBytes: 0,
    room: () => promise,
    work: (untilMs) => work.work(untilMs),
  });
  scene.turns.add({}, scene.list("goes on", { steps: 30, stepMs: 0.1 }));
  await scene.world.pass(10);
  assert.equal([scene.done, looks], [["goes on"], 1]);
  hasRoom = true;
  resolve();
  await scene.world.pass(10);
  assert.equal(scene.done, ["goes on", "waits"]);
});

test("a list that waits for permission gives its turn to others", async () => {
  const scene = new Scene();
  const { promise, resolve } = Promise.withResolvers<void>();
  let works = 0;
  scene.turns.add({}, {
    hasRoom: true,
    answerBytes: 0,
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
