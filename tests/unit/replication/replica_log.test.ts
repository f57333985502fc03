/**
 * The log above some index, in memory: entries that are appended, truncated, released and replaced.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ReplicaLog } from "../../../src/replication/replica_log.ts";
import { EMPTY_CONFIGURATION, type Entry, entryBytes } from "../../../src/raft/mod.ts";

const START = {
  hardState: { term: 3, vote: 2, commit: 4 },
  configuration: { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] },
};

function entry(index: number, term = 1, bytes = 10): Entry {
  return { index, term, kind: "normal", data: new Uint8Array(bytes) };
}

function entries(from: number, to: number, term = 1): Entry[] {
  return Array.from({ length: to - from }, (_, at) => entry(from + at, term));
}

/** Returns a log that keeps `[4, 4 + count)` above an entry 3 of term 1. */
function logOf(count: number): ReplicaLog {
  return new ReplicaLog(
    { ...START, index: 3, term: 1, entries: entries(4, 4 + count, 2) },
    () => undefined,
  );
}

function indexes(log: ReplicaLog, lo = log.firstIndex(), hi = log.lastIndex() + 1): number[] {
  return (log.entries(lo, hi, Infinity) ?? []).map(({ index }) => index);
}

function bytesOf(log: ReplicaLog): number {
  const kept = log.entries(log.firstIndex(), log.lastIndex() + 1, Infinity) ?? [];
  return kept.reduce((bytes, one) => bytes + entryBytes(one), 0);
}

test("ReplicaLog: begins as recovered, and knows the term of the entry before its first", () => {
  const log = logOf(2);
  assert.equal(log.initialState(), START);
  assert.equal([log.firstIndex(), log.lastIndex()], [4, 5]);
  assert.equal([2, 3, 4, 5, 6].map((index) => log.term(index)), [undefined, 1, 2, 2, undefined]);
  assert.is(log.entries(3, 5, Infinity), undefined, "what is below is gone");
  assert.equal(indexes(log), [4, 5]);
  assert.is(log.byteCount, bytesOf(log));
});

test("entries: at least one, and no more than the bytes asked for", () => {
  const log = logOf(4);
  const one = entryBytes(entry(4));
  assert.equal(log.entries(4, 8, 0)?.map(({ index }) => index), [4]);
  assert.equal(log.entries(4, 8, 2 * one)?.map(({ index }) => index), [4, 5]);
  assert.equal(log.entries(4, 8, 3 * one - 1)?.map(({ index }) => index), [4, 5]);
  assert.equal(log.entries(5, 5, 100), []);
  assert.throws(() => log.entries(4, 9, Infinity), /beyond the last/);
});

test("append: truncates existing entries, and leaves no gap", () => {
  const log = logOf(4);
  log.append([entry(6, 5), entry(7, 5)]);
  assert.equal([4, 5, 6, 7, 8].map((index) => log.term(index)), [2, 2, 5, 5, undefined]);
  log.append([entry(5, 6, 100)]);
  assert.is(log.lastIndex(), 5);
  assert.is(log.byteCount, bytesOf(log));
  log.append([]);
  assert.is(log.lastIndex(), 5);
  assert.throws(() => log.append([entry(7)]), /must follow/);
  assert.throws(() => log.append([entry(3)]), /must follow/);
});

test("compactTo: applied entries are released, and their last term stays", () => {
  const log = logOf(4);
  log.compactTo(5);
  assert.equal([log.firstIndex(), log.lastIndex()], [6, 7]);
  assert.equal([4, 5, 6].map((index) => log.term(index)), [undefined, 2, 2]);
  assert.is(log.byteCount, bytesOf(log));
  log.compactTo(4);
  assert.is(log.firstIndex(), 6, "it does not go back");
  log.compactTo(7);
  assert.equal([log.firstIndex(), log.lastIndex(), log.byteCount], [8, 7, 0]);
  assert.is(log.term(7), 2);
  log.append([entry(8, 3)]);
  assert.equal(indexes(log), [8]);
  assert.throws(() => log.compactTo(9), /ends before/);
});

test("compactTo: many in small steps, with appends in between, keep every index at its place", () => {
  const log = new ReplicaLog({ ...START, index: 0, term: 0, entries: [] }, () => undefined);
  let compacted = 0;
  for (let next = 1; next <= 2_000; next++) {
    log.append([entry(next, next, next % 7)]);
    if (next % 3 === 0) log.compactTo(compacted += 2);
    if (next % 500 === 0) log.append([entry(next, next + 5_000, 3)]);
  }
  assert.is(log.firstIndex(), compacted + 1);
  assert.is(log.lastIndex(), 2_000);
  for (let index = compacted; index <= 2_000; index++) {
    assert.is(log.term(index), index % 500 === 0 ? index + 5_000 : index);
  }
  assert.equal(indexes(log), entries(compacted + 1, 2_001).map(({ index }) => index));
  assert.is(log.byteCount, bytesOf(log));
});

test("excessIndex: up to where entries must go for the rest to fit", () => {
  const log = logOf(4);
  const one = entryBytes(entry(4));
  assert.is(log.excessIndex(4 * one), 3);
  assert.is(log.excessIndex(4 * one - 1), 4);
  assert.is(log.excessIndex(one), 6);
  assert.is(log.excessIndex(0), 7);
  log.compactTo(4);
  assert.is(log.excessIndex(2 * one), 5);
});

test("restore: a snapshot replaces everything", () => {
  const log = logOf(4);
  log.compactTo(5);
  log.restore(20, 9);
  assert.equal([log.firstIndex(), log.lastIndex(), log.byteCount], [21, 20, 0]);
  assert.equal([7, 20, 21].map((index) => log.term(index)), [undefined, 9, undefined]);
  log.append([entry(21, 9)]);
  assert.equal(indexes(log), [21]);
});

test("snapshot: whatever the owner makes of its state", () => {
  const made = { index: 4, term: 2, configuration: START.configuration, data: new Uint8Array(1) };
  const log = new ReplicaLog({ ...START, index: 0, term: 0, entries: [] }, () => made);
  assert.is(log.snapshot(), made);
});

test.run();
