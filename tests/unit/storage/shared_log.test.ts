/** The open log: order of answers, group commit, refusals, failing disks, segments, images. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { groupId, logIndex, term } from "../../../src/base/ids.ts";
import { NODE_STATE_GROUP } from "../../../src/replication/log_ids.ts";
import type { InjectedFault } from "../../../src/storage/memory_storage.ts";
import type { StorageOperation } from "../../../src/storage/storage.ts";
import { LogHarness, textEntry } from "../../support/log_harness.ts";

const encoder = new TextEncoder();
const NONE = new Uint8Array(0);

function point(index: number, ofTerm = 1, configuration = NONE) {
  return { index: logIndex(index), term: term(ofTerm), configuration };
}

function isLogFile(operation: StorageOperation): boolean {
  return "file" in operation && operation.file.endsWith(".wal");
}

/** Holds back operations of one kind on the log's files. */
function hold(
  kind: StorageOperation["kind"],
  at = 0,
): (operation: StorageOperation) => InjectedFault {
  let seen = 0;
  return (operation) =>
    isLogFile(operation) && operation.kind === kind && seen++ >= at ? "hold" : undefined;
}

test("SharedLog.append of one turn shares one write and one sync, across groups", () => {
  const h = new LogHarness();
  const log = h.open();
  const before = log.stats();
  for (let at = 1; at <= 50; at++) h.put(at % 7, Math.ceil(at / 7), `e${at}`);
  assert.equal(h.acknowledged, []);
  h.world.settle();
  assert.is(h.acknowledged.length, 50);
  assert.is(log.stats().batches - before.batches, 1);
  assert.is(log.stats().syncs - before.syncs, 1);
});

test("SharedLog answers in the order of submission, and nothing before its sync", () => {
  const h = new LogHarness();
  h.open();
  h.disk.intercept = hold("sync");
  h.put(1, 1, "a");
  h.world.settle();
  h.put(2, 1, "b");
  h.world.settle();
  h.put(1, 2, "c");
  h.world.settle();
  assert.equal(h.acknowledged, []);
  h.disk.intercept = () => undefined;
  h.disk.releaseHeld();
  h.world.settle();
  assert.equal(h.acknowledged, ["a", "b", "c"]);
});

test("SharedLog gathers the next batch while one is committed", () => {
  const h = new LogHarness();
  h.open();
  const written: number[] = [];
  h.disk.intercept = (operation) => {
    if (operation.kind === "sync") return "hold";
    if (operation.kind === "write" && operation.bytes[0] === 0xca) written.push(operation.position);
    return undefined;
  };
  for (const [at, name] of ["a", "b", "c", "d"].entries()) {
    h.put(1, at + 1, name);
    h.world.settle();
  }
  // The header takes the first page.
  assert.equal(written, [4096]);
  const recorded = h.disk.intercept;
  h.disk.intercept = (operation) => operation.kind === "sync" ? undefined : recorded(operation);
  h.disk.releaseHeld();
  h.world.settle();
  assert.equal(written, [4096, 8192]);
  assert.equal(h.acknowledged, ["a", "b", "c", "d"]);
});

test("SharedLog.append copies what it is given before it returns", () => {
  const h = new LogHarness();
  const log = h.open();
  const data = encoder.encode("before");
  log.append(groupId(1), logIndex(1), [{ term: term(1), kind: 3, data }], () => {});
  data.fill(0);
  h.world.settle();
  h.crash();
  h.open();
  assert.equal(h.group(1).entries, [{ index: 1, term: 1, kind: 3, text: "before" }]);
});

test("SharedLog.append from an earlier index ends the group's log there", () => {
  const h = new LogHarness();
  const log = h.open();
  for (let index = 1; index <= 4; index++) h.put(1, index, `old${index}`);
  h.put(2, 1, "other");
  h.world.settle();
  h.put(1, 3, "new3", 2);
  h.world.settle();
  assert.is(log.lastIndex(groupId(1)), 3);
  h.crash();
  h.open();
  assert.equal(h.texts(1), ["old1", "old2", "new3"]);
  assert.equal(h.texts(2), ["other"]);
});

test("SharedLog.append of a great many entries is one answer and survives whole", () => {
  const h = new LogHarness();
  const log = h.open();
  const data = new Uint8Array(30_000).fill(65);
  const entries = Array.from({ length: 200 }, () => ({ term: term(1), kind: 0, data }));
  let answers = 0;
  assert.is(log.append(groupId(1), logIndex(1), entries, () => answers++), undefined);
  h.world.settle();
  assert.is(answers, 1);
  h.crash();
  h.open();
  assert.is(h.texts(1).length, 200);
  assert.ok(h.texts(1).every((text) => text.length === data.length));
});

test("SharedLog takes entries of the largest size, beyond a segment and across reads", () => {
  const h = new LogHarness({ segmentBytes: 1024 * 1024 });
  const log = h.open();
  h.put(2, 1, "cold");
  h.world.settle();
  for (let index = 1; index <= 4; index++) {
    const data = new Uint8Array(6 * 1024 * 1024).fill(64 + index);
    const entry = { term: term(1), kind: 0, data };
    assert.is(log.appendOne(groupId(1), logIndex(index), entry, () => {}), undefined);
    h.world.settle();
  }
  let moved: unknown = "waiting";
  log.relocateOldest(new Set([groupId(1), groupId(2)]), (error) => moved = error);
  h.world.settle();
  assert.is(moved, undefined);
  assert.ok(log.stats().segments > 3);
  h.crash();
  h.open();
  assert.equal(h.texts(2), ["cold"]);
  assert.equal(h.texts(1).map((text) => `${text.length}${text[0]}${text.at(-1)}`), [
    "6291456AA",
    "6291456BB",
    "6291456CC",
    "6291456DD",
  ]);
});

test("SharedLog whose segments begin with headers as large as themselves goes on", () => {
  const h = new LogHarness({ segmentBytes: 64 * 1024 });
  const log = h.open();
  const state = { term: term(1), vote: 1, commit: logIndex(0) };
  for (let group = 1; group <= 2_000; group++) log.saveHardState(groupId(group), state);
  h.world.settle();
  for (let index = 1; index <= 6; index++) {
    h.put(1, index, "x".repeat(40_000));
    h.world.settle();
  }
  assert.is(h.acknowledged.length, 6);
  assert.ok(log.stats().segments <= 8);
  h.crash();
  h.open();
  assert.is(h.texts(1).length, 6);
  assert.equal(h.group(2_000).hardState, state);
});

test("SharedLog.append with a gap, or below the image, is a bug", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  assert.throws(() => h.put(1, 3, "gap"), (error: unknown) => error instanceof InvariantError);
  h.put(1, 2, "b");
  h.world.settle();
  log.writeImage(groupId(1), point(2), [], () => {});
  h.world.settle();
  assert.throws(() => h.put(1, 2, "old"), (error: unknown) => error instanceof InvariantError);
});

test("SharedLog refuses an entry beyond its limit, and the next index stays the same", () => {
  const h = new LogHarness();
  const log = h.open();
  const data = new Uint8Array(6 * 1024 * 1024 + 1);
  const refusal = log.appendOne(groupId(1), logIndex(1), { term: term(1), kind: 0, data }, () => {
    throw new Error("must not be answered");
  });
  assert.is(refusal?.code, "too_large");
  h.put(1, 1, "a");
  h.world.settle();
  assert.equal(h.acknowledged, ["a"]);
});

test("SharedLog refuses what exceeds its pending bytes with overloaded and a hint", () => {
  const h = new LogHarness();
  const log = h.open();
  h.disk.intercept = hold("write");
  const data = new Uint8Array(5 * 1024 * 1024);
  let refused: { code: string; retryAfterMs: number | undefined } | undefined;
  let accepted = 0;
  for (let index = 1; index <= 20 && refused === undefined; index++) {
    const entry = { term: term(1), kind: 0, data };
    const refusal = log.appendOne(groupId(1), logIndex(index), entry, () => {});
    if (refusal === undefined) accepted++;
    else refused = { code: refusal.code, retryAfterMs: refusal.fields.retryAfterMs };
  }
  assert.is(accepted, 12);
  assert.equal(refused, { code: "overloaded", retryAfterMs: 200 });
});

test("SharedLog near its hard limit refuses appends with overloaded, not images", () => {
  const limits = { segmentBytes: 1024 * 1024, hardBytes: 3 * 1024 * 1024 };
  const h = new LogHarness(limits);
  const log = h.open();
  const text = "x".repeat(100_000);
  let index = 0;
  for (;;) {
    const refusal = h.put(1, index + 1, text);
    if (refusal !== undefined) {
      assert.is(refusal.code, "overloaded");
      break;
    }
    index++;
    h.world.pass(100);
  }
  assert.ok(log.stats().segmentBytes <= limits.hardBytes);
  assert.ok(index > 20);
  let done: unknown = "waiting";
  log.writeImage(groupId(1), point(index), [encoder.encode("all")], (error) => done = error);
  h.world.pass(1_000);
  assert.is(done, undefined);
  assert.is(log.stats().segments, 1);
  h.put(1, index + 1, "again");
  h.world.pass(1_000);
  assert.is(h.acknowledged.at(-1), "again");
});

test("SharedLog with a full disk fails the batch and all after it, cuts back, resumes with room", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a1");
  h.world.settle();
  let full = true;
  h.disk.intercept = ({ kind }) => full && kind === "write" ? "no_space" : undefined;
  h.put(1, 2, "a2");
  h.put(2, 1, "b1");
  h.world.turn();
  h.put(1, 3, "a3");
  h.world.settle();
  const failed = h.answers.slice(1);
  assert.equal(failed.map(({ name }) => name), ["a2", "b1", "a3"]);
  assert.ok(failed.every(({ error }) => error?.code === "storage_unavailable"));
  assert.equal(h.writable, [false]);
  assert.is(log.lastIndex(groupId(1)), 1);
  assert.is(h.put(1, 2, "refused")?.code, "storage_unavailable");
  h.world.pass(2_000);
  assert.equal(h.writable, [false]);
  full = false;
  h.world.pass(600);
  assert.equal(h.writable, [false, true]);
  h.put(1, 2, "a2 again");
  h.put(2, 1, "b1 again");
  h.world.settle();
  h.crash();
  h.open();
  assert.equal(h.texts(1), ["a1", "a2 again"]);
  assert.equal(h.texts(2), ["b1 again"]);
  assert.equal(h.cuts, []);
});

test("SharedLog with a full disk still answers what was written before", () => {
  const h = new LogHarness();
  h.open();
  h.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  h.put(1, 1, "first");
  h.world.settle();
  h.put(1, 2, "second");
  h.world.settle();
  h.disk.intercept = (operation) =>
    operation.kind === "write" && operation.bytes[0] === 0xca ? "no_space" : undefined;
  h.disk.releaseHeld();
  h.world.settle();
  assert.equal(h.answers.map(({ name, error }) => [name, error?.code]), [
    ["first", undefined],
    ["second", "storage_unavailable"],
  ]);
});

test("SharedLog whose truncate after a full disk fails is poisoned", () => {
  const h = new LogHarness();
  h.open();
  h.disk.intercept = ({ kind }) =>
    kind === "write" ? "no_space" : kind === "truncate" ? "io" : undefined;
  h.put(1, 1, "a");
  h.world.settle();
  assert.is(h.poison?.code, "storage_unavailable");
  assert.is(h.answers[0]?.error?.code, "storage_unavailable");
});

test("SharedLog with a failed sync acknowledges nothing any more", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.world.settle();
  h.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  h.put(1, 2, "b");
  h.world.turn();
  h.put(2, 1, "c");
  h.world.settle();
  h.disk.intercept = () => undefined;
  assert.is(h.poison?.code, "storage_unavailable");
  assert.equal(h.acknowledged, ["a"]);
  assert.equal(h.answers.map(({ name }) => name), ["a", "b", "c"]);
  const refusal = h.put(1, 2, "d");
  assert.is(refusal?.code, "storage_unavailable");
  assert.is(refusal?.fields.retryAfterMs, undefined);
  assert.ok(log.stats().poisoned);
  h.world.pass(10_000);
  assert.equal(h.acknowledged, ["a"]);
  h.close();
  h.crash();
  h.open();
  assert.is(h.texts(1)[0], "a");
});

test("SharedLog.saveHardState keeps the newest of each group through segments and restarts", () => {
  const h = new LogHarness({ segmentBytes: 1024 * 1024 });
  const log = h.open();
  const state = (ofTerm: number, vote: number) => ({
    term: term(ofTerm),
    vote,
    commit: logIndex(0),
  });
  let saved = 0;
  log.saveHardState(groupId(1), state(1, 4), (error) => saved += error === undefined ? 1 : 0);
  log.saveHardState(groupId(2), state(7, 5));
  log.saveHardState(groupId(1), state(2, 0), (error) => saved += error === undefined ? 1 : 0);
  h.world.settle();
  assert.is(saved, 2);
  const text = "x".repeat(300_000);
  for (let index = 1; index <= 8; index++) {
    h.put(3, index, text);
    h.world.settle();
  }
  log.writeImage(groupId(3), point(8), [encoder.encode("three")], () => {});
  h.world.settle();
  h.world.pass(500);
  assert.is(log.stats().segments, 1);
  h.crash();
  h.open();
  assert.equal(h.group(1).hardState, state(2, 0));
  assert.equal(h.group(2).hardState, state(7, 5));
  assert.is(h.group(3).image, "three");
});

test("SharedLog.saveHardState under the node's own id holds as that of any group", () => {
  const h = new LogHarness({ segmentBytes: 64 * 1024 });
  const log = h.open();
  const state = { term: term(2 ** 53 - 1), vote: 1, commit: logIndex(0) };
  log.saveHardState(NODE_STATE_GROUP, state);
  h.world.settle();
  for (let index = 1; index <= 8; index++) {
    h.put(8192, index, "x".repeat(30_000));
    h.world.settle();
  }
  log.writeImage(groupId(8192), point(8), [encoder.encode("the last")], () => {});
  h.world.settle();
  h.world.pass(500);
  assert.is(log.stats().segments, 1);
  for (let round = 0; round < 2; round++) {
    h.crash();
    h.open();
    assert.equal(h.group(NODE_STATE_GROUP).hardState, state);
    assert.equal([h.group(8192).imageIndex, h.group(8192).image], [8, "the last"]);
  }
});

test("SharedLog.stats tells the age of the oldest record that is not durable", () => {
  const h = new LogHarness();
  const log = h.open();
  const age = () => log.stats().oldestPendingMs;
  h.world.pass(1_000);
  assert.is(age(), 0);
  h.disk.intercept = hold("sync");
  h.put(1, 1, "first");
  h.world.pass(300);
  h.put(1, 2, "second");
  h.world.pass(400);
  h.put(1, 3, "third");
  h.world.pass(50);
  assert.is(age(), 750);
  // The first is durable; the sync of the second is the one that waits now.
  h.disk.intercept = hold("sync", 1);
  h.disk.releaseHeld();
  h.world.settle();
  assert.equal(h.acknowledged, ["first"]);
  assert.is(age(), 450);
  h.disk.intercept = () => undefined;
  h.disk.releaseHeld();
  h.world.settle();
  assert.is(age(), 0);
});

test("SharedLog.stats tells of a disk that hangs while the log is idle, by its watermark", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.world.settle();
  h.disk.intercept = hold("write");
  h.world.pass(5_000);
  assert.is(log.stats().oldestPendingMs, 4_800);
});

test("SharedLog.writeImage replaces the entries up to its index, chunks joined", () => {
  const h = new LogHarness();
  const log = h.open();
  for (let index = 1; index <= 5; index++) h.put(1, index, `e${index}`);
  h.world.settle();
  let answer: unknown = "waiting";
  const chunks = [encoder.encode("one "), NONE, encoder.encode("two")];
  assert.is(
    log.writeImage(groupId(1), point(3), chunks, (error) => answer = error),
    undefined,
  );
  chunks[0]!.fill(0);
  h.world.settle();
  assert.is(answer, undefined);
  assert.is(log.imageIndex(groupId(1)), 3);
  assert.is(log.live(groupId(1)).entries, 2);
  h.crash();
  h.open();
  assert.is(h.group(1).image, "one two");
  assert.is(h.group(1).imageIndex, 3);
  assert.equal(h.texts(1), ["e4", "e5"]);
});

test("SharedLog.installImage above the log's end empties it; the log goes on above", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.world.settle();
  log.installImage(groupId(1), point(10, 4), [encoder.encode("far")], () => {});
  h.world.settle();
  assert.is(log.lastIndex(groupId(1)), 10);
  h.put(1, 11, "next", 4);
  h.world.settle();
  h.crash();
  h.open();
  assert.is(h.group(1).image, "far");
  assert.equal(h.texts(1), ["next"]);
});

test("SharedLog.writeImage with a full disk fails alone and leaves the former image", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.put(1, 2, "b");
  h.world.settle();
  log.writeImage(groupId(1), point(1), [encoder.encode("former")], () => {});
  h.world.settle();
  h.disk.intercept = (operation) =>
    operation.kind === "write" && !isLogFile(operation) ? "no_space" : undefined;
  let code: string | undefined;
  log.writeImage(groupId(1), point(2), [encoder.encode("later")], (error) => code = error?.code);
  h.world.settle();
  assert.is(code, "storage_unavailable");
  assert.is(log.imageIndex(groupId(1)), 1);
  assert.equal(h.writable, []);
  assert.is(h.disk.list().filter(({ name }) => name.includes("image")).length, 1);
  h.crash();
  h.open();
  assert.is(h.group(1).image, "former");
  assert.equal(h.texts(1), ["b"]);
});

test("SharedLog.writeImage whose mark cannot be synced leaves its file: the mark may be there", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.world.settle();
  // Like a kernel, the disk continues; the log must not.
  h.disk.poisons = false;
  h.disk.intercept = (operation) =>
    isLogFile(operation) && operation.kind === "sync" ? "io" : undefined;
  let code: string | undefined;
  log.writeImage(groupId(1), point(1), [encoder.encode("image")], (error) => code = error?.code);
  h.world.settle();
  assert.is(code, "storage_unavailable");
  assert.ok(log.stats().poisoned);
  h.disk.intercept = () => undefined;
  h.kill();
  h.open();
  assert.equal([h.group(1).imageIndex, h.group(1).image], [1, "image"]);
});

test("SharedLog image crash points: after each step the former or the new image is there, whole", () => {
  for (let seed = 0; seed < 4; seed++) {
    for (let steps = 0;; steps++) {
      const h = new LogHarness();
      const log = h.open();
      for (let index = 1; index <= 4; index++) h.put(1, index, `e${index}`);
      h.world.settle();
      log.writeImage(groupId(1), point(2), [encoder.encode("former")], () => {});
      h.world.settle();
      let answered = false;
      log.writeImage(groupId(1), point(3), [encoder.encode("new")], () => answered = true);
      let turns = 0;
      while (turns < steps && h.world.turn()) turns++;
      const done = answered;
      h.crash(seed === 0 ? undefined : seed * 1_000 + steps);
      h.open();
      if (done || h.group(1).imageIndex === 3) {
        assert.is(h.group(1).image, "new");
        assert.equal(h.texts(1), ["e4"]);
      } else {
        assert.is(h.group(1).image, "former");
        assert.equal(h.texts(1), ["e3", "e4"]);
      }
      assert.is(h.disk.list().filter(({ name }) => name.includes("image")).length, 1);
      if (turns < steps) {
        assert.ok(done);
        break;
      }
    }
  }
});

test("SharedLog.relocateOldest moves live entries so that the segment goes, and they survive", () => {
  const h = new LogHarness({ segmentBytes: 1024 * 1024 });
  const log = h.open();
  for (let index = 1; index <= 3; index++) h.put(1, index, `cold${index}`);
  h.put(9, 1, "also cold");
  const text = "x".repeat(300_000);
  for (let index = 1; index <= 5; index++) {
    h.put(2, index, text);
    h.world.settle();
  }
  log.writeImage(groupId(2), point(5), [], () => {});
  h.put(1, 4, "cold4");
  h.world.settle();
  assert.equal(log.oldestHolders().map(({ group }) => group), [1, 9]);
  let answer: unknown = "waiting";
  log.relocateOldest(new Set([groupId(1), groupId(9)]), (error) => answer = error);
  h.world.settle();
  assert.is(answer, undefined);
  h.world.pass(1_000);
  assert.is(log.stats().segments, 1);
  h.put(1, 5, "cold5");
  h.world.settle();
  h.crash();
  h.open();
  assert.equal(h.texts(1), ["cold1", "cold2", "cold3", "cold4", "cold5"]);
  assert.equal(h.texts(9), ["also cold"]);
});

test("SharedLog.relocateOldest answers when the copies are durable, not before", () => {
  const h = new LogHarness({ segmentBytes: 1024 * 1024 });
  const log = h.open();
  h.put(1, 1, "cold");
  for (let index = 1; index <= 5; index++) {
    h.put(2, index, "x".repeat(300_000));
    h.world.settle();
  }
  h.disk.intercept = hold("sync");
  let answer: unknown = "waiting";
  log.relocateOldest(new Set([groupId(1)]), (error) => answer = error);
  h.world.settle();
  assert.is(answer, "waiting");
  assert.is(log.live(groupId(1)).entries, 1);
  h.disk.intercept = () => undefined;
  h.disk.releaseHeld();
  h.world.settle();
  assert.is(answer, undefined);
});

test("SharedLog.close answers what is pending, leaves a watermark, refuses what comes later", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.close();
  assert.equal(h.acknowledged, ["a"]);
  const refusal = log.appendOne(groupId(1), logIndex(2), textEntry("b"), () => {});
  assert.is(refusal?.code, "shutting_down");
  const bytes = h.disk.peek("log-0000000000000000.wal")!;
  // Header, the batch, the watermark.
  assert.is(bytes[2 * 4096], 0xca);
  assert.is(bytes[2 * 4096 + 3], 6);
});

test("SharedLog writes a watermark when it has been idle, and only one", () => {
  const h = new LogHarness();
  const log = h.open();
  h.put(1, 1, "a");
  h.world.settle();
  const { batches } = log.stats();
  h.world.pass(199);
  assert.is(log.stats().batches, batches);
  h.world.pass(1);
  h.world.settle();
  assert.is(log.stats().batches, batches + 1);
  h.world.pass(10_000);
  assert.is(log.stats().batches, batches + 1);
});

test("SharedLog folder is locked against a second log", () => {
  const h = new LogHarness();
  h.open();
  assert.throws(() => h.start(), /another storage uses it/);
});

test.run();
