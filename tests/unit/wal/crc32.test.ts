/** CRC-32 against the published check value, zlib, and a bit-by-bit model. */
import { crc32 as zlibCrc32 } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { crc32 } from "../../../src/wal/crc32.ts";

function crcOf(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return crc32(bytes, view, start, end, before);
}

/** Computes the CRC by its definition, one bit at a time. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0xedb8_8320 : 0);
  }
  return ~crc >>> 0;
}

test("crc32 has the check value of CRC-32/ISO-HDLC", () => {
  assert.is(crcOf(new TextEncoder().encode("123456789")), 0xcbf4_3926);
});

test("crc32 equals the bitwise definition and zlib for every length up to 100", () => {
  const bytes = new Uint8Array(100);
  new SeededEntropy(1).fill(bytes);
  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length);
    assert.is(crcOf(part), slowCrc(part));
    assert.is(crcOf(part), zlibCrc32(part));
  }
});

test("crc32 reads the range it is given, at any offset", () => {
  const bytes = new Uint8Array(80);
  new SeededEntropy(2).fill(bytes);
  for (let start = 0; start < 20; start++) {
    assert.is(crcOf(bytes, start, 70), zlibCrc32(bytes.subarray(start, 70)));
  }
});

test("crc32 goes on from the CRC of what came before", () => {
  const bytes = new Uint8Array(75);
  new SeededEntropy(3).fill(bytes);
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.is(crcOf(bytes, cut, bytes.length, crcOf(bytes, 0, cut)), zlibCrc32(bytes));
  }
});

test.run();
