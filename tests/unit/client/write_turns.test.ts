/** When the requests of a client's streams leave. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CLIENT_GATHER_IN_FLIGHT_MIN, CLIENT_GATHER_TURNS_MAX } from "../../../src/base/limits.ts";
import type { Scheduler } from "../../../src/base/world.ts";
import { WriteTurns } from "../../../src/client/write_turns.ts";

class Turns implements Scheduler {
  #due: (() => void)[] = [];

  after(): never {
    throw new Error("No timer is needed");
  }

  nextTurn(run: () => void): void {
    this.#due.push(run);
  }

  /** Runs what is due in the next turn. */
  pass(): void {
    for (const run of this.#due.splice(0)) run();
  }
}

class Streams {
  readonly turns = new Turns();
  readonly writes = new WriteTurns(this.turns);
  readonly left: string[] = [];

  add(name: string, inFlight: number) {
    const stream = { inFlight, flush: () => void this.left.push(name) };
    this.writes.add(stream);
    return stream;
  }
}

const MANY = CLIENT_GATHER_IN_FLIGHT_MIN;

test("WriteTurns: the only stream in use sends at once, after the calls made together", async () => {
  const streams = new Streams();
  const stream = streams.add("a", MANY);
  streams.add("idle", 0);
  streams.writes.want(stream);
  assert.equal(streams.left, []);
  await Promise.resolve();
  assert.equal(streams.left, ["a"]);
});

test("WriteTurns: with few requests in flight, several streams send at once too", async () => {
  const streams = new Streams();
  const first = streams.add("a", MANY - 2);
  const second = streams.add("b", 1);
  streams.writes.want(first);
  streams.writes.want(second);
  await Promise.resolve();
  assert.equal(streams.left, ["a", "b"]);
});

test("WriteTurns: requests to several nodes wait while replies arrive, and leave together", async () => {
  const streams = new Streams();
  const first = streams.add("a", MANY - 1);
  const second = streams.add("b", 1);
  streams.writes.want(first);
  await Promise.resolve();
  assert.equal(streams.left, []);
  streams.writes.heard();
  streams.turns.pass();
  assert.equal(streams.left, [], "replies have arrived meanwhile");
  streams.writes.want(second);
  streams.turns.pass();
  assert.equal(streams.left, ["a", "b"], "none has");
  streams.turns.pass();
  assert.is(streams.left.length, 2, "once");
});

test("WriteTurns: requests wait a few turns at most", () => {
  const streams = new Streams();
  const stream = streams.add("a", MANY);
  streams.add("b", 1);
  streams.writes.want(stream);
  for (let turn = 1; turn <= CLIENT_GATHER_TURNS_MAX; turn++) {
    assert.equal(streams.left, []);
    streams.writes.heard();
    streams.turns.pass();
  }
  assert.equal(streams.left, ["a"]);
});

test("WriteTurns: a stream that ended counts no more", async () => {
  const streams = new Streams();
  const stream = streams.add("a", MANY);
  const ended = streams.add("b", 1);
  assert.is(streams.writes.inFlight, MANY + 1);
  streams.writes.remove(ended);
  assert.is(streams.writes.inFlight, MANY);
  streams.writes.want(stream);
  await Promise.resolve();
  assert.equal(streams.left, ["a"]);
});

test.run();
