/** PartitionQueue: batches without a gap, repeated as they are, and what they settle. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MIRROR_BATCH_BYTES_MAX, MIRROR_BATCH_ITEMS_MAX } from "../../../src/base/limits.ts";
import { PartitionQueue, type QueuedChange } from "../../../src/region/partition_queue.ts";
import { agentPut, agentRemoval } from "../../support/mirrors.ts";

const SOURCE = { home: "us", shard: 0, fence: 7, feed: 3 };

const put = (seq: number, bytes = 100): QueuedChange => ({
  ...{ change: { list: "puts", item: agentPut(seq) }, bytes },
  ...{ received: { seq }, coveredSeq: seq },
});
const removal = (seq: number): QueuedChange => ({
  ...{ change: { list: "removals", item: agentRemoval(1, seq) }, bytes: 50 },
  ...{ received: { seq }, coveredSeq: seq },
});
const cursor = { cursor: { partition: 1, generation: 1, index: 9, ordinal: 0 }, seq: 9 };

/** Sends and applies the next batch; returns its body. */
function sent(queue: PartitionQueue, savedThrough: number) {
  const body = queue.body(queue.next(), SOURCE, savedThrough);
  queue.applied();
  return body;
}

test("batches are bounded in changes and bytes, and numbered without a gap", () => {
  const queue = new PartitionQueue(0);
  for (let seq = 1; seq <= MIRROR_BATCH_ITEMS_MAX + 1; seq++) queue.add(put(seq, 1));
  assert.equal([sent(queue, 0).number, sent(queue, 0).puts.length], [1, 1]);
  assert.ok(queue.isEmpty);
  for (let seq = 1; seq <= 3; seq++) queue.add(put(seq, MIRROR_BATCH_BYTES_MAX * 0.6));
  assert.equal([sent(queue, 0), sent(queue, 0)].map(({ number, puts }) => [number, puts.length]), [
    [3, 1],
    [4, 1],
  ]);
});

test("a batch that may have been applied is sent again as it is", () => {
  const queue = new PartitionQueue(0);
  queue.add(put(1));
  const first = queue.next();
  queue.add(put(2));
  queue.failed(false);
  assert.is(queue.next(), first);
  // A refusal of the repetition says nothing about the first attempt.
  queue.failed(true);
  assert.is(queue.next(), first);
  queue.applied();
  assert.equal(queue.next().changes.map(({ received }) => received.seq), [2]);
});

test("a batch that was refused is composed again, after cursors that are to be saved", () => {
  const queue = new PartitionQueue(0);
  queue.add(removal(1));
  queue.next();
  queue.failed(true);
  queue.save([cursor]);
  const saving = queue.next();
  assert.equal([saving.number, saving.changes.length, saving.cursors], [1, 0, [cursor]]);
  queue.applied();
  assert.equal(sent(queue, 0).removals.length, 1);
});

test("batches settle removals that a saved cursor covers, and no others", () => {
  const queue = new PartitionQueue(0);
  for (const change of [removal(10), put(11), removal(12), put(20)]) {
    queue.add(change);
    sent(queue, 0);
  }
  const settled = (savedThrough: number) => {
    queue.add(put(30));
    const { number, settled } = sent(queue, savedThrough);
    return [number, settled];
  };
  assert.equal(settled(9), [5, 0]);
  assert.equal(settled(10), [6, 2]);
  assert.equal(settled(11), [7, 2]);
  assert.equal(settled(12), [8, 7]);
});

test("removals of earlier pullers are settled behind what the source had at the fence", () => {
  const queue = new PartitionQueue(0);
  const isSettled = (savedThrough: number) => {
    queue.add(put(1));
    return sent(queue, savedThrough).settledEarlier;
  };
  assert.not(isSettled(100));
  queue.freshAfterFence = 50;
  assert.not(isSettled(49));
  assert.ok(isSettled(50));
});

test.run();
