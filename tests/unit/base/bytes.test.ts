/** Bytes: runs of zeros, compared with a check of each byte. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isZero } from "../../../src/base/bytes.ts";

test("isZero finds every byte that is not 0, at every alignment and length", () => {
  const room = new Uint8Array(256);
  for (let offset = 0; offset < 8; offset++) {
    const bytes = room.subarray(offset, offset + 150);
    for (const [start, end] of [[0, 0], [0, 150], [1, 149], [3, 70], [5, 72], [7, 9], [150, 150]]) {
      assert.ok(isZero(bytes, start!, end!));
      for (let at = 0; at < bytes.length; at++) {
        bytes[at] = 1 << at % 8;
        assert.is(
          isZero(bytes, start!, end!),
          at < start! || at >= end!,
          `${offset} ${start} ${at}`,
        );
        bytes[at] = 0;
      }
    }
  }
});

test.run();
