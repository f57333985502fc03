/** SipHash-2-4 against the authors' vectors, and the partition of a key against frozen ones. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, toHex } from "../../../src/base/bytes.ts";
import { defined } from "../../../src/base/assert.ts";
import { SipHash } from "../../../src/ring/siphash.ts";
import { Partitioner } from "../../../src/ring/partition.ts";
import siphashVectors from "../../vectors/siphash.json" with { type: "json" };
import partitionVectors from "../../vectors/partition.json" with { type: "json" };

function hex(text: string): Uint8Array {
  return defined(fromHex(text), "Vector is hexadecimal");
}

function digest(hash: SipHash): string {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, hash.low, true);
  view.setUint32(4, hash.high, true);
  return toHex(bytes);
}

test("SipHash gives the published results for all 64 messages", () => {
  const hash = new SipHash(hex(siphashVectors.key));
  assert.is(siphashVectors.hashes.length, 64);
  siphashVectors.hashes.forEach((expected, length) => {
    const message = Uint8Array.from({ length }, (_, index) => index);
    hash.hash(-1, message, 0, length);
    assert.is(digest(hash), expected, `length ${length}`);
  });
});

test("SipHash takes a prefix byte and a range as one message", () => {
  const hash = new SipHash(hex(siphashVectors.key));
  siphashVectors.hashes.forEach((expected, length) => {
    if (length === 0) return;
    // The message 0, 1, 2, … with its first byte as prefix, in the middle of a larger array.
    const padded = Uint8Array.from({ length: length + 9 }, (_, index) => index - 4);
    hash.hash(0, padded, 5, 5 + length - 1);
    assert.is(digest(hash), expected, `length ${length}`);
  });
});

test("SipHash refuses a key that is not 16 bytes", () => {
  assert.throws(() => new SipHash(new Uint8Array(15)), /must have 16 bytes/);
});

test("Partitioner gives the frozen partitions", () => {
  const of1024 = new Partitioner(hex(partitionVectors.hashKey), 1024);
  const of8192 = new Partitioner(hex(partitionVectors.hashKey), 8192);
  for (const vector of partitionVectors.keys) {
    const key = hex(vector.key);
    assert.is(of1024.partitionOf(vector.kind, key, 0, key.length), vector.of1024, vector.key);
    assert.is(of8192.partitionOf(vector.kind, key, 0, key.length), vector.of8192, vector.key);
    const whole = Uint8Array.of(vector.kind, ...key);
    assert.is(of1024.partitionOfKey(whole), vector.of1024, vector.key);
  }
});

test("Partitioner refuses a partition count that is no power of two in its bounds", () => {
  for (const count of [0, 3, 16_384, 1.5, Number.NaN]) {
    assert.throws(() => new Partitioner(new Uint8Array(16), count), /power of two/);
  }
  assert.is(new Partitioner(new Uint8Array(16), 1).partitionOfKey(Uint8Array.of(1, 2)), 0);
});

test.run();
