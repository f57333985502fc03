/** The buffer of a reader: it grows with its traffic, and replies are processed in portions. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  CLIENT_READ_BYTES_MAX,
  CLIENT_READ_BYTES_MIN,
  CLIENT_READ_SHARES,
} from "../../../src/base/limits.ts";
import { nextReadBuffer, nextReplyBuffer } from "../../../src/client/read_buffer.ts";

function chunkOf(length: number, capacity: number) {
  return new Uint8Array(new ArrayBuffer(capacity), 0, length);
}

test("nextReadBuffer grows where a read filled it, up to the limit, and else keeps it", () => {
  assert.is(nextReadBuffer(chunkOf(1_024, 1_024)).length, 4_096);
  const partly = chunkOf(1_000, 1_024);
  assert.is(nextReadBuffer(partly).buffer, partly.buffer);
  const most = chunkOf(CLIENT_READ_BYTES_MAX, CLIENT_READ_BYTES_MAX);
  assert.is(nextReadBuffer(most).buffer, most.buffer);
});

test("nextReplyBuffer has room for a share of the replies that are due", () => {
  const wanted = Math.ceil(320 * 256 / CLIENT_READ_SHARES);
  assert.is(nextReplyBuffer(chunkOf(960, 1_024), 3, 256).length, wanted);
  const fitting = chunkOf(960, wanted);
  assert.is(nextReplyBuffer(fitting, 3, 256).buffer, fitting.buffer);
  assert.is(nextReplyBuffer(chunkOf(320, 16_384), 1, 1).length, CLIENT_READ_BYTES_MIN);
  assert.is(nextReplyBuffer(chunkOf(65_536, 65_536), 1, 4_096).length, CLIENT_READ_BYTES_MAX);
});

test("nextReplyBuffer grows for a reply that no read has ended yet", () => {
  assert.is(nextReplyBuffer(chunkOf(1_024, 1_024), 0, 1).length, 4_096);
});

test.run();
