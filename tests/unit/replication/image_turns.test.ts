/** The turns in which a node works on images: how much in one, and in which order. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toRegistryError } from "../../../src/base/errors.ts";
import { IMAGE_TURN_MS } from "../../../src/base/limits.ts";
import { ImageTurns } from "../../../src/replication/image_turns.ts";
import type { ImageChunks, ImageWork } from "../../../src/replication/state_machine.ts";
import { each } from "../../support/group_cluster.ts";
import { ManualTime } from "../../support/manual_time.ts";

class Harness {
  readonly time = new ManualTime(0);
  readonly turns = new ImageTurns(this.time, this.time, 100);
  readonly done: string[] = [];

  /** Returns work of some steps; each one is noted. */
  *work(name: string, steps: number, bytes = 40): ImageWork {
    for (let step = 1; step <= steps; step++) {
      this.done.push(`${name}${step}`);
      yield bytes;
    }
    this.done.push(`${name} ended`);
  }

  /** Lets a turn pass, and returns what was done in it. */
  turn(): string[] {
    this.done.length = 0;
    this.time.advance(IMAGE_TURN_MS);
    return [...this.done];
  }
}

test("ImageTurns: small work is done at once, as long as the turn has room", () => {
  const harness = new Harness();
  harness.turns.run(harness.work("a", 1));
  harness.turns.run(harness.work("b", 1));
  assert.equal(harness.done, ["a1", "a ended", "b1", "b ended"]);
  assert.is(harness.time.timerCount, 0);
  harness.turns.run(harness.work("c", 2));
  assert.equal(harness.done.slice(4), ["c1"]);
  assert.equal(harness.turn(), ["c2", "c ended"]);
  assert.is(harness.turns.waiting, 0);
});

test("ImageTurns: no turn takes more than its share, and the oldest work goes first", () => {
  const harness = new Harness();
  harness.turns.run(harness.work("a", 5));
  harness.turns.run(harness.work("b", 2));
  assert.equal(harness.done, ["a1", "a2", "a3"]);
  assert.is(harness.turns.waiting, 2);
  assert.equal(harness.turn(), ["a4", "a5", "a ended", "b1"]);
  assert.equal(harness.turn(), ["b2", "b ended"]);
  assert.equal(harness.turn(), []);
});

test("ImageTurns: work that is begun by other work has its place behind it", () => {
  const harness = new Harness();
  const first = function* (): ImageWork {
    yield 10;
    harness.turns.run(harness.work("b", 1));
    harness.done.push("a");
  };
  harness.turns.run(first());
  assert.equal(harness.done, ["a", "b1", "b ended"]);
});

test("ImageTurns: canceled work is ended, wherever it is", () => {
  const harness = new Harness();
  const ended: string[] = [];
  const guarded = function* (name: string): ImageWork {
    try {
      yield* harness.work(name, 9);
    } finally {
      ended.push(name);
    }
  };
  const first = harness.turns.run(guarded("a"));
  const second = harness.turns.run(guarded("b"));
  first.cancel();
  first.cancel();
  second.cancel();
  assert.equal(ended, ["a"], "the second had not begun");
  assert.equal(harness.turn(), []);
});

test("ImageTurns: work may cancel itself, and is not continued then", () => {
  const harness = new Harness();
  const steps: string[] = [];
  const own = function* (): ImageWork {
    yield 200;
    task.cancel();
    steps.push("canceled");
    yield 1;
    steps.push("continued");
  };
  const task = harness.turns.run(own());
  harness.turns.run(harness.work("b", 1));
  assert.equal(harness.turn(), ["b1", "b ended"]);
  assert.equal([steps, harness.turns.waiting], [["canceled"], 0]);
});

test("collect: an image is whole, and one that the end of the node cuts is refused", async () => {
  const harness = new Harness();
  const collected = harness.turns.collect(each([Uint8Array.of(1, 2), Uint8Array.of(3)]));
  assert.equal(await collected, Uint8Array.of(1, 2, 3));
  const ended: string[] = [];
  const collect = (name: string) => {
    const chunks = each([new Uint8Array(200), new Uint8Array(200)]);
    const ending: ImageChunks = {
      [Symbol.iterator]: () => ending,
      next: () => chunks.next(),
      return: () => {
        ended.push(name);
        return chunks.return(undefined);
      },
    };
    return harness.turns.collect(ending).then(() => "ok", (error) => toRegistryError(error).code);
  };
  const cut = [collect("begun"), collect("waiting")];
  harness.turns.close();
  cut.push(collect("late"));
  assert.equal(await Promise.all(cut), ["shutting_down", "shutting_down", "shutting_down"]);
  assert.equal(["begun", "waiting", "late"].filter((name) => !ended.includes(name)), []);
  assert.is(harness.time.timerCount, 0);
});

test.run();
