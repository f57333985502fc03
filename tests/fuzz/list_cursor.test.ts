/** Cursors of lists over several nodes: any bytes give a cursor or none, and never an error. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as fc from "fast-check";
import {
  decodeListCursor,
  encodeListCursor,
  listCursorOfSingle,
  newListCursor,
} from "../../src/wire/list_cursor.ts";

const counts = fc.constantFrom(1, 2, 8, 64, 1_024, 8_192);

test("decodeListCursor takes arbitrary bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2_100 }), counts, (bytes, count) => {
    for (const version of [bytes[0] ?? 0, 2]) {
      if (bytes.length > 0) bytes[0] = version;
      const cursor = decodeListCursor(bytes, count);
      if (cursor !== undefined) assert.ok(cursor.finished.count <= count);
      listCursorOfSingle(bytes, count);
    }
  }));
});

test("decodeListCursor finds what encodeListCursor wrote", () => {
  const partitions = fc.uniqueArray(fc.nat(8_191), { maxLength: 60 });
  fc.assert(fc.property(counts, partitions, partitions, partitions, (count, done, begun, away) => {
    const cursor = newListCursor(count);
    for (const partition of done) cursor.finished.add(partition % count);
    for (const partition of away) cursor.elsewhere.add(partition % count);
    for (const partition of begun) {
      if (cursor.finished.has(partition % count)) continue;
      cursor.begun.set(partition % count, new Uint8Array(16).fill(partition));
    }
    const decoded = decodeListCursor(encodeListCursor(cursor), count);
    assert.equal(decoded, cursor);
  }));
});

test.run();
