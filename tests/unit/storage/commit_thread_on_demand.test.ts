/** Start and end of a commit thread, with a clock moved by hand. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type CommitRunner,
  CommitThreadOnDemand,
} from "../../../src/storage/commit_thread_on_demand.ts";
import { ManualWorld } from "../../support/manual_world.ts";

const PATHS = { log: "log", mark: "tail" };
const NOTHING = new Uint8Array(0);
const COMMIT = { position: 0, bytes: NOTHING, mark: { file: "tail", position: 0, bytes: NOTHING } };
const MINUTE_MS = 60_000;

/** A thread that accepts every commit and completes none. */
class FakeThread implements CommitRunner {
  isBusy = false;
  isClosed = false;
  reopened = 0;

  run(): boolean {
    return true;
  }

  reopen(): void {
    this.reopened++;
  }

  close(): void {
    this.isClosed = true;
  }
}

function bench() {
  const world = new ManualWorld();
  const threads: FakeThread[] = [];
  const onDemand = new CommitThreadOnDemand(world, () => {
    threads.push(new FakeThread());
    return threads.at(-1);
  });
  /** Runs that many commits at once; returns whether the thread took the last one. */
  const commit = (count = 1): boolean => {
    let isTaken = false;
    while (count-- > 0) isTaken = onDemand.run(PATHS, COMMIT, () => {});
    return isTaken;
  };
  return { world, threads, onDemand, commit };
}

test("CommitThreadOnDemand starts a thread after a second with 20 commits", () => {
  const { world, threads, commit } = bench();
  assert.is(commit(20), false);
  world.pass(1_000);
  assert.is(threads.length, 1);
  assert.is(commit(), true);
});

test("CommitThreadOnDemand starts none for fewer commits a second, however long they last", () => {
  const { world, threads, commit } = bench();
  for (let second = 0; second < 100; second++) {
    assert.is(commit(19), false);
    world.pass(1_000);
  }
  assert.is(threads.length, 0);
});

test("CommitThreadOnDemand ends its thread after a quiet minute, and then has no timer", () => {
  const { world, threads, commit } = bench();
  commit(20);
  world.pass(1_000);
  commit(20);
  world.pass(MINUTE_MS);
  assert.is(threads[0]!.isClosed, false);
  commit(19);
  world.pass(MINUTE_MS);
  assert.is(threads[0]!.isClosed, true);
  assert.is(world.timerCount, 0);
  assert.is(commit(), false);
});

test("CommitThreadOnDemand starts another thread when the load returns", () => {
  const { world, threads, commit } = bench();
  for (const round of [1, 2]) {
    commit(20);
    world.pass(1_000);
    assert.is(threads.length, round);
    world.pass(MINUTE_MS);
  }
  assert.is(threads.every(({ isClosed }) => isClosed), true);
});

test("CommitThreadOnDemand does not end a thread whose commit is in progress", () => {
  const { world, threads, commit } = bench();
  commit(20);
  world.pass(1_000);
  threads[0]!.isBusy = true;
  world.pass(5 * MINUTE_MS);
  assert.is(threads[0]!.isClosed, false);
  threads[0]!.isBusy = false;
  world.pass(MINUTE_MS);
  assert.is(threads[0]!.isClosed, true);
});

test("CommitThreadOnDemand.reopen reaches the thread", () => {
  const { world, threads, onDemand, commit } = bench();
  onDemand.reopen();
  commit(20);
  world.pass(1_000);
  onDemand.reopen();
  assert.is(threads[0]!.reopened, 1);
});

test("CommitThreadOnDemand.close ends the thread and leaves no timer", () => {
  const { world, threads, onDemand, commit } = bench();
  commit(20);
  world.pass(1_000);
  onDemand.close();
  assert.is(threads[0]!.isClosed, true);
  assert.is(world.timerCount, 0);
  assert.is(commit(300), false);
  world.pass(MINUTE_MS);
  assert.is(threads.length, 1);
});

test.run();
