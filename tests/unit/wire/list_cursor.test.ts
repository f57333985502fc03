/** The cursor of a list over several nodes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeListCursor,
  encodeListCursor,
  isListCursor,
  newListCursor,
} from "../../../src/wire/list_cursor.ts";
import { encodeCursor } from "../../../src/store/listing.ts";

function sample(partitionCount = 16) {
  const cursor = newListCursor(partitionCount);
  for (const partition of [0, 3, 15]) cursor.finished.add(partition);
  cursor.elsewhere.add(4);
  cursor.begun.set(7, new Uint8Array(16).fill(5));
  cursor.begun.set(8, new Uint8Array(16).fill(6));
  return cursor;
}

test("decodeListCursor is the inverse of encodeListCursor", () => {
  const decoded = decodeListCursor(encodeListCursor(sample()), 16)!;
  assert.equal([...decoded.finished], [0, 3, 15]);
  assert.equal([...decoded.elsewhere], [4]);
  assert.equal(decoded.begun, sample().begun);
  const small = decodeListCursor(encodeListCursor(newListCursor(1)), 1)!;
  assert.is(small.finished.isFull, false);
  small.finished.add(0);
  assert.is(small.finished.isFull, true);
});

test("isListCursor tells the two kinds of cursor apart", () => {
  assert.is(isListCursor(encodeListCursor(sample())), true);
  const single = encodeCursor({ partition: 8_191, afterId: new Uint8Array(16).fill(2) });
  assert.is(isListCursor(single), false);
  assert.is(isListCursor(new Uint8Array(0)), false);
});

test("decodeListCursor refuses every truncation, another size and impossible contents", () => {
  const bytes = encodeListCursor(sample());
  for (let length = 0; length < bytes.length; length++) {
    assert.is(decodeListCursor(bytes.subarray(0, length), 16), undefined, `${length}`);
  }
  assert.is(decodeListCursor(bytes, 8), undefined);
  const changed = (at: number, value: number) => {
    const copy = bytes.slice();
    copy[at] = value;
    return decodeListCursor(copy, 16);
  };
  assert.is(changed(0, 1), undefined);
  assert.is(changed(1, 1), undefined);
  assert.is(changed(2, 3), undefined);
  // A partially listed partition that is finished, repeated, or not in the cluster.
  assert.is(changed(12, 3), undefined);
  assert.is(changed(12, 8), undefined);
  assert.is(changed(12, 16), undefined);
  assert.ok(changed(12, 9));
});

test("PartitionSet ignores bits of a bitmap beyond the partitions", () => {
  const bytes = encodeListCursor(newListCursor(4));
  bytes[8] = 0xff;
  const { finished } = decodeListCursor(bytes, 4)!;
  assert.equal([...finished], [0, 1, 2, 3]);
  assert.is(finished.isFull, true);
});

test.run();
