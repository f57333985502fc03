/** The log, its unstable end, the window of appends and the storage in memory. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { Inflights } from "../../../src/raft/inflights.ts";
import { RaftLog } from "../../../src/raft/log.ts";
import {
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  type Entry,
  entryBytes,
  MemoryStorage,
} from "../../../src/raft/mod.ts";
import { Unstable } from "../../../src/raft/unstable.ts";

const isInvariantError = (error: unknown) => error instanceof InvariantError;

function entry(index: number, term: number, bytes = 0): Entry {
  return { index, term, kind: "normal", data: new Uint8Array(bytes) };
}

function entries(...terms: readonly number[]): Entry[] {
  return terms.map((term, at) => entry(at + 1, term));
}

function terms(list: readonly Entry[] | undefined): number[] | undefined {
  return list?.map(({ term }) => term);
}

test("RaftLog.term: known from the entry before the first to the last", () => {
  const storage = new MemoryStorage();
  storage.append(entries(1, 1, 2, 2));
  storage.compact(2);
  const log = new RaftLog(storage, 1_000);
  log.append([entry(5, 3)]);
  assert.equal([0, 1, 2, 3, 4, 5, 6].map((index) => log.term(index)), [
    undefined,
    undefined,
    1,
    2,
    2,
    3,
    undefined,
  ]);
  assert.equal([log.firstIndex, log.lastIndex, log.lastTerm], [3, 5, 3]);
});

test("RaftLog.slice: crosses from storage into the unstable end, within the limit of bytes", () => {
  const storage = new MemoryStorage();
  storage.append([entry(1, 1, 10), entry(2, 1, 10)]);
  const log = new RaftLog(storage, 1_000);
  log.append([entry(3, 2, 10), entry(4, 2, 10)]);
  const one = entryBytes(entry(1, 1, 10));
  const counts = [0, 1, 1.5, 2, 2.5, 3, 3.9, 4, 9].map((many) =>
    log.slice(1, 5, one * many)!.length
  );
  assert.equal(counts, [1, 1, 1, 2, 2, 3, 3, 4, 4]);
  storage.compact(1);
  assert.is(log.slice(1, 5, 1_000), undefined);
});

test("RaftLog.findConflictByTerm: the highest index whose term is not above", () => {
  const storage = new MemoryStorage();
  storage.append(entries(1, 1, 3, 3, 5));
  const log = new RaftLog(storage, 1_000);
  assert.equal(log.findConflictByTerm(5, 4), { index: 4, term: 3 });
  assert.equal(log.findConflictByTerm(5, 9), { index: 5, term: 5 });
  assert.equal(log.findConflictByTerm(4, 2), { index: 2, term: 1 });
  assert.equal(log.findConflictByTerm(5, 0), { index: 0, term: 0 });
  assert.equal(log.findConflictByTerm(9, 1), { index: 9, term: 0 });
});

test("RaftLog: commit and applied never go back, and applied never passes commit", () => {
  const storage = new MemoryStorage();
  storage.append(entries(1, 1, 1));
  const log = new RaftLog(storage, 1_000);
  log.commitTo(2);
  log.commitTo(1);
  assert.is(log.committed, 2);
  assert.throws(() => log.commitTo(4), isInvariantError);
  assert.throws(() => log.appliedTo(3, 0), isInvariantError);
  log.appliedTo(2, 0);
  assert.throws(() => log.appliedTo(1, 0), isInvariantError);
  log.recoverCommit(1);
  assert.is(log.committed, 2);
  assert.throws(() => log.recoverCommit(9), isInvariantError);
  assert.throws(() => log.append([entry(2, 2)]), isInvariantError, "2 is committed");
  assert.throws(() => {
    log.restore({ index: 2, term: 1, configuration: EMPTY_CONFIGURATION, data: EMPTY_DATA });
  }, isInvariantError);
});

test("RaftLog.maybeAppend: commits no further than the last entry that is known to match (Figure 3.1)", () => {
  const storage = new MemoryStorage();
  storage.append(entries(1, 1, 1, 1));
  const log = new RaftLog(storage, 1_000);
  // Entries beyond it may come from a former leader.
  assert.is(log.maybeAppend({ index: 1, term: 1 }, [], 3), 1);
  assert.is(log.committed, 1);
  assert.is(log.maybeAppend({ index: 1, term: 1 }, [entry(2, 1)], 4), 2);
  assert.is(log.committed, 2);
  assert.is(log.maybeAppend({ index: 2, term: 1 }, [entry(3, 2)], 4), 3);
  assert.equal([log.committed, log.lastIndex], [3, 3]);
  assert.is(log.maybeAppend({ index: 3, term: 1 }, [entry(4, 2)], 4), undefined);
  assert.is(log.committed, 3);
});

test("RaftLog.maybeCommit: only an entry of the given term", () => {
  const storage = new MemoryStorage();
  storage.append(entries(1, 1, 2));
  const log = new RaftLog(storage, 1_000);
  assert.is(log.maybeCommit(2, 2), false);
  assert.is(log.maybeCommit(3, 2), true);
  assert.is(log.committed, 3);
  assert.is(log.maybeCommit(3, 2), false);
});

test("Unstable: entries are handed out once, and stay until they are durable", () => {
  const unstable = new Unstable(5);
  unstable.truncateAndAppend([entry(5, 1), entry(6, 1)]);
  assert.equal(terms(unstable.nextEntries()), [1, 1]);
  unstable.acceptInProgress();
  assert.equal(unstable.nextEntries(), []);
  unstable.truncateAndAppend([entry(7, 1)]);
  assert.is(unstable.nextEntries().length, 1);
  unstable.stableTo(6, 1);
  assert.equal([unstable.offset, unstable.entryCount, unstable.term(6)], [7, 1, undefined]);
  assert.throws(() => unstable.stableTo(7, 1), isInvariantError, "It was not handed out");
});

test("Unstable: what was replaced is not durable when its old write ends", () => {
  const unstable = new Unstable(5);
  unstable.truncateAndAppend([entry(5, 1), entry(6, 1)]);
  unstable.acceptInProgress();
  unstable.truncateAndAppend([entry(6, 2)]);
  assert.equal(terms(unstable.nextEntries()), [2]);
  unstable.stableTo(6, 1);
  assert.is(unstable.entryCount, 2);
  unstable.acceptInProgress();
  unstable.truncateAndAppend([entry(4, 3)]);
  assert.equal([unstable.offset, unstable.entryCount], [4, 1]);
});

test("Unstable: arrays that were handed out are not changed by a truncation", () => {
  const unstable = new Unstable(1);
  unstable.truncateAndAppend(entries(1, 1, 1));
  const handedOut = unstable.nextEntries();
  unstable.acceptInProgress();
  unstable.truncateAndAppend([entry(2, 2)]);
  assert.equal(terms(handedOut), [1, 1, 1]);
});

test("Inflights: full by count or by bytes, and freed up to an index", () => {
  const window = new Inflights({ inflightMessagesMax: 3, inflightBytesMax: 100 });
  window.add(1, 10);
  window.add(2, 10);
  assert.is(window.isFull, false);
  window.add(3, 0);
  assert.ok(window.isFull);
  assert.throws(() => window.add(4, 1), isInvariantError);
  window.freeTo(2);
  assert.is(window.count, 1);
  window.add(9, 500);
  assert.ok(window.isFull, "One message may pass the limit of bytes, and none after it");
  window.freeTo(9);
  assert.equal([window.count, window.isFull], [0, false]);
});

test("Inflights: a long stream keeps its order and its memory bounded", () => {
  const window = new Inflights({ inflightMessagesMax: 1_000, inflightBytesMax: 1e9 });
  for (let index = 1; index <= 10_000; index++) {
    window.add(index, 1);
    if (index > 500) window.freeTo(index - 500);
    assert.is(window.count, Math.min(index, 500));
  }
  window.freeTo(10_000);
  assert.is(window.count, 0);
});

test("MemoryStorage.append: cuts off, skips what is compacted, refuses a gap", () => {
  const storage = new MemoryStorage();
  storage.append(entries(1, 1, 1));
  storage.append([entry(2, 2)]);
  assert.is(storage.lastIndex(), 2);
  storage.compact(1);
  storage.append([entry(1, 9), entry(2, 3), entry(3, 3)]);
  assert.equal(terms(storage.entries(2, 4, 1_000)), [3, 3]);
  assert.throws(() => storage.append([entry(9, 3)]), isInvariantError);
  assert.is(storage.compact(1), false);
  assert.is(storage.entries(1, 2, 1_000), undefined);
});

test.run();
