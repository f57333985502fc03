/**
 * The log under a Raft replica: conflicting entries are replaced while earlier ones are pending, a
 * leader's images replace a log that contradicts them, hard states are written with entries. A
 * crash at any turn leaves a state between two submissions, and never a replaced entry.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { groupId, logIndex, term } from "../../../src/base/ids.ts";
import type { SharedLog } from "../../../src/storage/shared_log.ts";
import { Batch } from "../../../src/wal/batch.ts";
import { LogHarness, textEntry } from "../../support/log_harness.ts";

const GROUP = groupId(1);
const encoder = new TextEncoder();

function point(index: number, ofTerm = 1) {
  return { index: logIndex(index), term: term(ofTerm), configuration: new Uint8Array(0) };
}

/** Appends texts from an index on, all of one term. */
function append(h: LogHarness, first: number, texts: readonly string[], ofTerm = 1): void {
  const entries = texts.map((text) => textEntry(text, ofTerm));
  const refusal = h.log!.append(GROUP, logIndex(first), entries, (error) => {
    h.answers.push({ name: texts.join(), error });
  });
  assert.is(refusal, undefined);
}

/** Returns the recovered state of the group in one line. */
function told(h: LogHarness): string {
  const { image, imageIndex, hardState, entries } = h.group(GROUP);
  const commit = hardState === undefined ? "" : ` commit ${hardState.commit}`;
  const texts = entries.map(({ text }) => text).join(" ");
  return `${imageIndex === 0 ? "" : `[${image} @${imageIndex}] `}${texts}${commit}`;
}

type Step = (h: LogHarness, log: SharedLog) => void;

/**
 * Prepares a log, takes a step every second turn, or, with every other seed, every fourth, so that
 * steps share a batch or not, and crashes after every number of turns, several times with another
 * part of the unsynced data surviving. The recovered state must be one of `states`, which are in
 * the order of submission, and at the end the last. Each of them must occur, otherwise the test
 * would cover less than it claims.
 */
function crashEverywhere(
  prepare: (h: LogHarness) => void,
  steps: readonly Step[],
  states: readonly string[],
): void {
  const met = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    let last = 0;
    for (let turnsMax = 0;; turnsMax++) {
      const h = new LogHarness({ segmentBytes: 64 * 1024 });
      const log = h.open();
      prepare(h);
      h.world.settle();
      let turns = 0;
      let next = 0;
      for (; turns < turnsMax; turns++) {
        if (turns % (seed % 2 === 0 ? 2 : 4) === 0) steps[next++]?.(h, log);
        if (!h.world.turn() && next >= steps.length) break;
      }
      h.crash(seed === 0 ? undefined : seed * 1_000 + turnsMax);
      h.open();
      const found = told(h);
      assert.ok(states.includes(found), `seed ${seed}, ${turnsMax} turns: ${found}`);
      met.add(found);
      // The durable part alone, without unsynced data that happens to survive, only grows.
      if (seed === 0) {
        assert.ok(states.indexOf(found) >= last, `${turnsMax} turns: ${found}`);
        last = states.indexOf(found);
      }
      if (turns === turnsMax) continue;
      assert.is(found, states.at(-1));
      break;
    }
  }
  assert.equal(states.filter((state) => !met.has(state)), []);
}

test("append below the last index while earlier appends are under way ends the log there", () => {
  crashEverywhere(
    (h) => append(h, 1, ["a1", "a2"]),
    [
      (h) => append(h, 3, ["a3", "a4"]),
      (h) => append(h, 5, ["a5"]),
      (h) => append(h, 2, ["b2"], 2),
      (h) => append(h, 3, ["b3"], 2),
    ],
    ["a1 a2", "a1 a2 a3 a4", "a1 a2 a3 a4 a5", "a1 b2", "a1 b2 b3"],
  );
});

test("append below the last index is answered after what it replaces", () => {
  const h = new LogHarness();
  h.open();
  append(h, 1, ["a1", "a2"]);
  h.world.turn();
  append(h, 3, ["a3"]);
  append(h, 2, ["b2"]);
  append(h, 3, ["b3"]);
  h.world.settle();
  assert.equal(h.acknowledged, ["a1,a2", "a3", "b2", "b3"]);
  assert.is(h.log!.lastIndex(GROUP), 3);
});

test("append below the last index that cannot be written leaves what it would have replaced", () => {
  const h = new LogHarness();
  h.open();
  append(h, 1, ["a1", "a2", "a3"]);
  h.world.settle();
  let full = true;
  h.disk.intercept = ({ kind }) => full && kind === "write" ? "no_space" : undefined;
  append(h, 2, ["b2"], 2);
  h.world.settle();
  assert.is(h.log!.lastIndex(GROUP), 3);
  full = false;
  h.world.pass(600);
  append(h, 4, ["a4"]);
  h.world.settle();
  h.crash();
  h.open();
  assert.is(told(h), "a1 a2 a3 a4");
});

test("installImage while appends are under way replaces them, acknowledged or not", () => {
  crashEverywhere(
    (h) => append(h, 1, ["a1", "a2", "a3", "a4"]),
    [
      (h) => append(h, 5, ["a5"]),
      (h, log) => {
        append(h, 6, ["a6"]);
        log.installImage(GROUP, point(3, 2), [encoder.encode("leader's")], () => {});
      },
    ],
    ["a1 a2 a3 a4", "a1 a2 a3 a4 a5", "a1 a2 a3 a4 a5 a6", "[leader's @3] "],
  );
});

test("installImage between the durable and the submitted end replaces the log, too", () => {
  crashEverywhere(
    (h) => append(h, 1, ["a1"]),
    [
      (h, log) => {
        append(h, 2, ["a2", "a3"]);
        log.installImage(GROUP, point(2, 2), [encoder.encode("leader's")], () => {});
      },
    ],
    ["a1", "a1 a2 a3", "[leader's @2] "],
  );
});

test("installImage above the log's end, then appends above it when it is done", () => {
  crashEverywhere(
    (h) => append(h, 1, ["a1"]),
    [
      (h, log) => {
        append(h, 2, ["a2"]);
        log.installImage(GROUP, point(10, 2), [encoder.encode("leader's")], (error) => {
          assert.is(error, undefined);
          append(h, 11, ["b11"], 2);
        });
      },
    ],
    ["a1", "a1 a2", "[leader's @10] ", "[leader's @10] b11"],
  );
});

test("installImage over a log that goes on above it, then appends where that contradicts", () => {
  crashEverywhere(
    (h) => append(h, 1, ["a1", "a2", "a3", "a4"]),
    [
      (h, log) => {
        log.installImage(GROUP, point(2, 2), [encoder.encode("leader's")], () => {
          assert.is(log.lastIndex(GROUP), 2);
          append(h, 3, ["b3"], 2);
        });
      },
    ],
    ["a1 a2 a3 a4", "[leader's @2] ", "[leader's @2] b3"],
  );
});

test("installImage keeps appends out until it is done", () => {
  const h = new LogHarness();
  const log = h.open();
  append(h, 1, ["a1"]);
  h.world.settle();
  let done = false;
  log.installImage(GROUP, point(5), [], () => done = true);
  for (;;) {
    const isBug = (error: unknown) => error instanceof InvariantError;
    assert.throws(() => append(h, 2, ["a2"]), isBug);
    assert.throws(() => append(h, 6, ["a6"]), isBug);
    h.world.turn();
    if (done) break;
  }
  append(h, 6, ["a6"]);
  h.world.settle();
  assert.equal(h.acknowledged, ["a1", "a6"]);
});

test("installImage ends an image of the replica's own that is under way", () => {
  for (let steps = 0;; steps++) {
    const h = new LogHarness();
    const log = h.open();
    append(h, 1, ["a1", "a2", "a3"]);
    h.world.settle();
    let own: string | undefined = "waiting";
    log.writeImage(GROUP, point(2), [encoder.encode("own")], (error) => own = error?.code);
    let turns = 0;
    while (turns < steps && h.world.turn()) turns++;
    if (own === undefined) break;
    let installed: unknown = "waiting";
    log.installImage(GROUP, point(7), [encoder.encode("leader's")], (error) => installed = error);
    h.world.settle();
    assert.ok(own === "canceled" || own === undefined, own);
    assert.is(installed, undefined);
    append(h, 8, ["b8"]);
    h.world.settle();
    assert.is(h.disk.list().filter(({ name }) => name.includes("image")).length, 1);
    h.crash();
    h.open();
    assert.is(told(h), "[leader's @7] b8");
  }
});

test("installImage is not undone by an image of the replica's own that was slower", () => {
  const h = new LogHarness();
  const log = h.open();
  append(h, 1, ["a1", "a2", "a3"]);
  h.world.settle();
  h.disk.intercept = ({ kind }) => kind === "rename" ? "hold" : undefined;
  let own: string | undefined = "waiting";
  log.writeImage(GROUP, point(2), [encoder.encode("own")], (error) => own = error?.code);
  h.world.settle();
  h.disk.intercept = () => undefined;
  log.installImage(GROUP, point(7), [encoder.encode("leader's")], () => append(h, 8, ["b8"]));
  h.world.settle();
  assert.is(own, "waiting");
  assert.is(log.lastIndex(GROUP), 8);
  h.disk.releaseHeld();
  h.world.settle();
  assert.is(own, "canceled");
  assert.is(log.imageIndex(GROUP), 7);
  h.crash();
  h.open();
  assert.is(told(h), "[leader's @7] b8");
});

test("installImage that cannot be written leaves the log, and it goes on from there", () => {
  const h = new LogHarness();
  const log = h.open();
  append(h, 1, ["a1", "a2", "a3"]);
  h.world.settle();
  h.disk.intercept = (operation) =>
    operation.kind === "write" && operation.file.includes("image") ? "no_space" : undefined;
  let code: string | undefined;
  log.installImage(GROUP, point(2, 2), [encoder.encode("x")], (error) => code = error?.code);
  h.world.settle();
  assert.is(code, "storage_unavailable");
  assert.is(log.lastIndex(GROUP), 3);
  append(h, 4, ["a4"]);
  h.world.settle();
  h.crash();
  h.open();
  assert.is(told(h), "a1 a2 a3 a4");
});

test("installImage keeps a relocation under way from bringing entries back above it", () => {
  for (let steps = 0; steps < 16; steps++) {
    const h = new LogHarness({ segmentBytes: 64 * 1024 });
    const log = h.open();
    append(h, 1, ["a1", "a2", "a3", "a4"]);
    for (let index = 1; index <= 3; index++) {
      h.put(3, index, "x".repeat(30_000));
      h.world.settle();
    }
    log.installImage(GROUP, point(2, 2), [encoder.encode("leader's")], () => {});
    for (let turns = 0; turns < steps; turns++) h.world.turn();
    log.relocateOldest(new Set([GROUP]), () => {});
    h.world.settle();
    assert.is(log.live(GROUP).entries, 0, `after ${steps} turns`);
    h.crash();
    h.open();
    assert.is(told(h), "[leader's @2] ");
  }
});

test("writeImage at an applied index while newer entries are under way keeps those", () => {
  crashEverywhere(
    (h) => append(h, 1, ["a1", "a2"]),
    [
      (h, log) => {
        append(h, 3, ["a3"]);
        log.writeImage(GROUP, point(2), [encoder.encode("own")], () => {});
      },
      (h) => append(h, 4, ["a4"]),
      (h) => append(h, 3, ["b3"], 2),
    ],
    ["a1 a2", "a1 a2 a3", "[own @2] a3 a4", "a1 a2 b3", "[own @2] b3"],
  );
});

test("writeImage keeps appends at and below it out while it is under way", () => {
  const h = new LogHarness();
  const log = h.open();
  append(h, 1, ["a1", "a2", "a3"]);
  h.world.settle();
  log.writeImage(GROUP, point(2), [], () => {});
  assert.throws(() => append(h, 2, ["b2"]), (error: unknown) => error instanceof InvariantError);
  append(h, 3, ["b3"]);
  h.world.settle();
  h.crash();
  h.open();
  assert.is(told(h), "[ @2] b3");
});

test("writeImage of a group is alone, and stands at an acknowledged index", () => {
  const h = new LogHarness();
  const log = h.open();
  const isBug = (error: unknown) => error instanceof InvariantError;
  append(h, 1, ["a1", "a2"]);
  assert.throws(() => log.writeImage(GROUP, point(1), [], () => {}), isBug);
  h.world.settle();
  assert.throws(() => log.writeImage(GROUP, point(3), [], () => {}), isBug);
  log.writeImage(GROUP, point(1), [], () => {});
  assert.throws(() => log.writeImage(GROUP, point(2), [], () => {}), isBug);
  h.world.settle();
  log.writeImage(GROUP, point(2), [], () => {});
  h.world.settle();
  assert.is(log.imageIndex(GROUP), 2);
  assert.throws(() => log.installImage(GROUP, point(1), [], () => {}), isBug);
});

/**
 * Returns a text whose append ends so near the end of a page that the next record crosses into
 * another.
 */
function textUpToPage(): string {
  const page = 4096;
  for (let length = page;; length++) {
    const text = "b2".padEnd(length, ".");
    const size = new Batch().append(GROUP, 2, [textEntry(text)]);
    if (size % page > page - 50) return text;
  }
}

test("saveHardState after an append of the same turn is never there without the entries", () => {
  const text = textUpToPage();
  crashEverywhere(
    (h) => {
      append(h, 1, ["a1", "a2", "a3"]);
      h.log!.saveHardState(GROUP, { term: term(1), vote: 0, commit: logIndex(1) });
    },
    [
      (h, log) => {
        append(h, 2, [text], 2);
        log.saveHardState(GROUP, { term: term(2), vote: 0, commit: logIndex(2) });
      },
    ],
    ["a1 a2 a3 commit 1", `a1 ${text} commit 1`, `a1 ${text} commit 2`],
  );
});

test("saveHardState of one turn shares the write and the sync of the entries", () => {
  const h = new LogHarness();
  const log = h.open();
  const before = log.stats();
  const answers: string[] = [];
  append(h, 1, ["a1"]);
  log.saveHardState(GROUP, { term: term(1), vote: 0, commit: logIndex(1) }, () => {
    answers.push(`hard state after ${h.acknowledged.join()}`);
  });
  h.put(2, 1, "other");
  h.world.settle();
  assert.equal(answers, ["hard state after a1"]);
  assert.equal(h.acknowledged, ["a1", "other"]);
  assert.is(log.stats().syncs - before.syncs, 1);
});

test.run();
