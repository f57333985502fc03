/** The turns of handshakes: what they leave to others, and whom they refuse. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HANDSHAKE_TURN_MS } from "../../../src/base/limits.ts";
import { newListenerStats } from "../../../transport/admission.ts";
import { HandshakeTurns } from "../../../transport/handshake_turns.ts";

/** A node whose processor is busy for 1 ms with the beginning of each handshake, and for `laterMs` in turns. */
function make(options: { waitingMax?: number; waitMsMax?: number; laterMs?: number } = {}) {
  let nowMs = 0;
  const turns: (() => void)[] = [];
  const timers: { atMs: number; run: () => void }[] = [];
  const stats = newListenerStats();
  const begun: { name: string; atMs: number }[] = [];
  const refused: string[] = [];
  const handshakes = new HandshakeTurns({
    ...options,
    stats,
    clock: { nowMs: () => nowMs },
    scheduler: {
      after: (delayMs, run) => {
        timers.push({ atMs: nowMs + delayMs, run });
        return { cancel: () => assert.unreachable() };
      },
      nextTurn: (run) => void turns.push(run),
    },
  });
  return {
    ...{ handshakes, stats, begun, refused },
    names: () => begun.map(({ name }) => name).join(" "),
    add: (address: string, name: string) =>
      handshakes.add(address, {
        begin: () => {
          begun.push({ name, atMs: nowMs });
          nowMs++;
        },
        refuse: () => void refused.push(name),
      }),
    /** Lets the event loop come around, and time pass until the next timer. */
    step: () => {
      nowMs += options.laterMs ?? 0;
      for (const run of turns.splice(0)) run();
      const timer = timers.shift();
      if (timer === undefined) return false;
      nowMs = Math.max(nowMs, timer.atMs);
      timer.run();
      return true;
    },
    wait: (ms: number) => nowMs += ms,
    now: () => nowMs,
  };
}

test("HandshakeTurns begins a single handshake at once, and the next one after as long as it took", () => {
  const { add, begun, step, stats } = make({ laterMs: 3 });
  add("a", "1");
  assert.equal(begun, [{ name: "1", atMs: 0 }]);
  add("a", "2");
  assert.is(stats.waiting, 1);
  step();
  // The first took 1 ms and what followed it 3 ms, so others have 4 ms.
  assert.equal(begun[1], { name: "2", atMs: 8 });
  assert.is(stats.waitedMs, 7);
  while (step());
  add("a", "3");
  assert.is(begun.length, 3, "after a rest the next one begins at once again");
});

test("HandshakeTurns leaves half of the time to others while many wait", () => {
  const { add, step, begun, now } = make();
  for (let number = 0; number < 100; number++) add("a", String(number));
  while (step());
  assert.is(begun.length, 100);
  assert.ok(now() >= 200, `100 ms of work took ${now()} ms`);
  for (const { atMs } of begun) {
    const together = begun.filter((other) => Math.abs(other.atMs - atMs) < HANDSHAKE_TURN_MS);
    assert.ok(together.length <= HANDSHAKE_TURN_MS + 1);
  }
});

test("HandshakeTurns serves addresses in turn, whatever number waits of each", () => {
  const { add, step, names } = make();
  for (let number = 0; number < 50; number++) add("flood", "f");
  add("other", "o");
  add("third", "t");
  while (step());
  const order = names().split(" ");
  assert.ok(order.indexOf("o") <= 3, names());
  assert.ok(order.indexOf("t") <= 4, names());
});

test("HandshakeTurns refuses what has waited for too long", () => {
  const { add, wait, step, refused, names, stats } = make({ waitMsMax: 100 });
  add("a", "1");
  add("a", "2");
  wait(60);
  add("a", "3");
  wait(50);
  while (step());
  assert.is(names(), "1 3");
  assert.equal(refused, ["2"]);
  assert.equal([stats.waiting, stats.begun, stats.overdue, stats.refused], [0, 2, 1, 1]);
});

test("HandshakeTurns takes room for a newcomer from the address with the most waiting ones", () => {
  const { add, step, refused, names, stats } = make({ waitingMax: 4 });
  add("flood", "f1");
  for (const name of ["f2", "f3", "f4", "f5", "f6"]) add("flood", name);
  assert.equal(refused, ["f6"], "the flood itself is refused");
  add("other", "o1");
  assert.equal(refused, ["f6", "f5"]);
  assert.is(stats.waiting, 4);
  add("other", "o2");
  assert.equal(refused, ["f6", "f5", "f4"]);
  add("other", "o3");
  assert.equal(refused, ["f6", "f5", "f4", "o3"], "no lane is longer than its own");
  while (step());
  assert.is(names(), "f1 f2 o1 f3 o2");
});

test("HandshakeTurns refuses a newcomer if each address has one waiting connection only", () => {
  const { add, step, refused, names } = make({ waitingMax: 2 });
  for (const address of ["a", "b", "c", "d"]) add(address, address);
  assert.equal(refused, ["d"], "those that have waited keep their places");
  while (step());
  assert.is(names(), "a b c");
});

test("HandshakeTurns refuses all that wait when it is closed, and later ones", () => {
  const { add, handshakes, step, refused, names, stats } = make();
  for (const name of ["1", "2", "3"]) add("a", name);
  handshakes.close();
  add("a", "4");
  while (step());
  assert.is(names(), "1");
  assert.equal(refused, ["2", "3", "4"]);
  assert.is(stats.waiting, 0);
});

test.run();
