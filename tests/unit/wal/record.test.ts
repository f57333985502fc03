/** The bytes of records: frozen vectors, the frame's fields, and the `capnp` program as the oracle. */
import { crc32 as zlibCrc32 } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../src/base/bytes.ts";
import { Batch } from "../../../src/wal/batch.ts";
import {
  checksumHolds,
  inspectRecord,
  OP,
  RECORD_INCOMPLETE,
  RECORD_INVALID,
  RECORD_OVERHEAD_BYTES,
} from "../../../src/wal/record.ts";
import { CAPNP, testWith } from "../../support/requirement.ts";
import { SAMPLE_LOG_ID, walSamples } from "../../support/wal_samples.ts";

const root = new URL("../../../", import.meta.url);
const frozen: Record<string, string> = JSON.parse(
  Deno.readTextFileSync(new URL("tests/vectors/wal/records.json", root)),
);
const samples = walSamples();

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

test("records have the frozen bytes, each op", () => {
  assert.equal(Object.fromEntries(samples.map(({ name, bytes }) => [name, toHex(bytes)])), frozen);
});

test("record is CA FE, version, op, big-endian length, payload, big-endian CRC of all before", () => {
  const ops = [1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18];
  samples.forEach(({ bytes }, at) => {
    const view = viewOf(bytes);
    assert.equal([...bytes.subarray(0, 4)], [0xca, 0xfe, 1, ops[at]!]);
    assert.is(view.getUint32(4), bytes.length - RECORD_OVERHEAD_BYTES);
    assert.is(view.getUint32(bytes.length - 4), zlibCrc32(bytes.subarray(0, -4)));
  });
});

test("inspectRecord wants more for every proper prefix, and refuses every wrong header byte", () => {
  for (const { bytes } of samples) {
    const view = viewOf(bytes);
    assert.is(inspectRecord(view, 0, bytes.length), bytes.length);
    for (let end = 0; end < bytes.length; end++) {
      assert.is(inspectRecord(view, 0, end), RECORD_INCOMPLETE);
    }
    for (const at of [0, 1, 2]) {
      const wrong = bytes.slice();
      wrong[at]! ^= 1;
      assert.is(inspectRecord(viewOf(wrong), 0, wrong.length), RECORD_INVALID);
    }
  }
});

test("inspectRecord refuses a length that no payload has, before it asks for more bytes", () => {
  for (const length of [0, 4, 9, 8 * 1024 * 1024 + 8, 0xffff_fff8]) {
    const header = Uint8Array.from([0xca, 0xfe, 1, 1, 0, 0, 0, 0]);
    viewOf(header).setUint32(4, length);
    assert.is(inspectRecord(viewOf(header), 0, header.length), RECORD_INVALID);
  }
});

test("checksumHolds notices every flipped bit of a record", () => {
  for (const { bytes } of samples) {
    assert.ok(checksumHolds(bytes, viewOf(bytes), 0, bytes.length));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const wrong = bytes.slice();
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      assert.not(checksumHolds(wrong, viewOf(wrong), 0, wrong.length));
    }
  }
});

test("Batch.seal numbers and places its records one after another and pads with zeros", () => {
  const batch = new Batch();
  const sizes = [
    batch.watermark(),
    batch.hardState({ groupId: 1, term: 2, vote: 3, commit: 4 }),
    batch.watermark(),
  ];
  const bytes = batch.seal({ logId: SAMPLE_LOG_ID, sequence: 7, position: 8192, watermark: 4096 });
  assert.is(bytes.length, 4096);
  const view = viewOf(bytes);
  let at = 0;
  sizes.forEach((size, ordinal) => {
    assert.is(inspectRecord(view, at, bytes.length), size);
    assert.ok(checksumHolds(bytes, view, at, size));
    // Root pointer, then log id, sequence, position, watermark.
    assert.equal(bytes.slice(at + 16, at + 32), SAMPLE_LOG_ID);
    assert.is(Number(view.getBigUint64(at + 32, true)), 7 + ordinal);
    assert.is(Number(view.getBigUint64(at + 40, true)), 8192 + at);
    assert.is(Number(view.getBigUint64(at + 48, true)), 4096);
    at += size;
  });
  assert.ok(bytes.subarray(at).every((byte) => byte === 0));
});

test("Batch takes an append up to the payload limit and refuses a larger one, keeping the rest", () => {
  const batch = new Batch();
  const before = batch.watermark();
  const tooLarge = [{ term: 1, kind: 0, data: new Uint8Array(9 * 1024 * 1024) }];
  assert.throws(() => batch.append(1, 1, tooLarge), /at most/);
  assert.is(batch.byteCount, before);
  assert.is(batch.recordCount, 1);
  batch.append(1, 1, [{ term: 1, kind: 0, data: new Uint8Array(6 * 1024 * 1024) }]);
  assert.is(batch.recordCount, 2);
});

testWith(CAPNP)("capnp decode reads the payload of every op", () => {
  for (const { name, schema, struct, bytes } of samples) {
    const file = Deno.makeTempFileSync();
    Deno.writeFileSync(file, bytes.subarray(8, -4));
    const { success, stdout, stderr } = new Deno.Command("sh", {
      args: ["-c", `capnp decode --flat ${schema} ${struct} < ${file}`],
      cwd: root,
    }).outputSync();
    Deno.removeSync(file);
    const text = new TextDecoder().decode(success ? stdout : stderr);
    assert.ok(success, `${name}: ${text}`);
    if (name === "append") {
      assert.match(text, /sequence = 1000,\s+position = 8589938688,\s+watermark = 4096/);
      assert.match(text, /firstIndex = 42/);
      assert.match(text, /term = 8,\s+kind = 513/);
    }
  }
});

test("OP numbers are format", () => {
  assert.equal(OP, {
    append: 1,
    relocate: 2,
    hardState: 3,
    segmentHeader: 4,
    imageMark: 5,
    watermark: 6,
    forget: 7,
    imageInstall: 8,
    imageHeader: 16,
    imageChunk: 17,
    imageEnd: 18,
  });
});

test.run();
