/** Strict DER: encodings that only BER allows are refused. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { contextConstructed, DER_TAG, DerError, DerReader } from "../../../../identity/pki/der.ts";
import { fromHex, toHex } from "../../../../src/base/bytes.ts";
import { derBits, derElement, derOid, derTime, derUnsigned } from "../../../support/der_writer.ts";

/** Reads bytes, given in hexadecimal, as a whole. */
function read<T>(hex: string, take: (reader: DerReader) => T): T {
  const reader = new DerReader(fromHex(hex.replaceAll(" ", ""))!);
  const value = take(reader);
  reader.finish();
  return value;
}

const refuses = (hex: string, take: (reader: DerReader) => unknown) =>
  assert.throws(() => read(hex, take), (error: unknown) => error instanceof DerError, hex);

test("DerReader takes lengths in their shortest definite form alone", () => {
  const octets = (reader: DerReader) => reader.content(DER_TAG.octetString);
  assert.is(read("04 00", octets).length, 0);
  assert.is(read("04 7f" + "00".repeat(127), octets).length, 127);
  assert.is(read("04 81 80" + "00".repeat(128), octets).length, 128);
  assert.is(read("04 82 0100" + "00".repeat(256), octets).length, 256);
  const refused = [
    "04 80 00 00",
    "04 81 7f" + "00".repeat(127),
    "04 82 00 80" + "00".repeat(128),
    "04 84 00000001 00",
    "04 ff",
    "04 01",
    "04 82 01",
    "04",
    "",
    "04 01 00 00",
    "05 01 00",
    "1f 81 01 00",
  ];
  for (const hex of refused) refuses(hex, octets);
  refuses("1f 81 01 00", (reader) => reader.any());
});

test("DerReader never reads beyond the element that it is in", () => {
  refuses("30 02 04 05 00 00 00 00 00", (reader) => reader.inside(0x30).content(4));
  refuses("30 03 04 01", (reader) => reader.inside(0x30));
});

test("DerReader takes booleans, integers and bits in one form each", () => {
  const boolean = (reader: DerReader) => reader.boolean();
  assert.is(read("01 01 ff", boolean), true);
  assert.is(read("01 01 00", boolean), false);
  for (const hex of ["01 01 01", "01 00", "01 02 ff ff"]) refuses(hex, boolean);

  const integer = (reader: DerReader) => reader.unsigned(2 ** 47);
  assert.is(read("02 01 00", integer), 0);
  assert.is(read("02 02 00 80", integer), 128);
  assert.is(read("02 06 7f ff ff ff ff ff", (reader) => reader.unsigned(2 ** 48)), 2 ** 47 - 1);
  for (const hex of ["02 00", "02 01 80", "02 02 00 7f", "02 08 01 00 00 00 00 00 00 00"]) {
    refuses(hex, integer);
  }
  refuses("02 01 05", (reader) => reader.unsigned(4));

  const bits = (reader: DerReader) => reader.namedBits();
  assert.is(read("03 02 07 80", bits), 1);
  assert.is(read("03 02 01 06", bits), 0b110_0000);
  assert.is(read("03 03 07 00 80", bits), 1 << 8);
  for (const hex of ["03 01 00", "03 02 00 80", "03 02 08 80", "03 02 07 81", "03 00"]) {
    refuses(hex, bits);
  }
  refuses("03 02 01 80", (reader) => reader.bitStringBytes());
});

test("DerReader takes object identifiers in their shortest form", () => {
  const oid = (reader: DerReader) => reader.oid();
  assert.is(read("06 03 2b 65 70", oid), "1.3.101.112");
  assert.is(read("06 03 88 37 03", oid), "2.999.3");
  assert.is(read("06 01 00", oid), "0.0");
  for (
    const hex of ["06 00", "06 02 2b 80", "06 03 2b 80 01", "06 01 80", "06 29" + "2b".repeat(41)]
  ) {
    refuses(hex, oid);
  }
});

test("DerReader reads object identifiers to their last digit, the arcs of UUIDs too", () => {
  const list = ["0.0", "1.3.101.112", "2.5.29.19", "2.999.3", `2.25.${2n ** 128n - 1n}`];
  for (const dotted of list) {
    assert.is(new DerReader(derOid(dotted)).oid(), dotted);
  }
});

test("DerReader takes times to the second, UTC, in the form of their year", () => {
  const time = (reader: DerReader) => reader.time();
  const hexOf = (tag: string, text: string) =>
    tag + text.length.toString(16).padStart(2, "0") + toHex(new TextEncoder().encode(text));
  const iso = (tag: string, text: string) => new Date(read(hexOf(tag, text), time)).toISOString();
  assert.is(iso("17", "260601120000Z"), "2026-06-01T12:00:00.000Z");
  assert.is(iso("17", "500101000000Z"), "1950-01-01T00:00:00.000Z");
  assert.is(iso("17", "491231235959Z"), "2049-12-31T23:59:59.000Z");
  assert.is(iso("18", "20500101000000Z"), "2050-01-01T00:00:00.000Z");
  const refused: [string, string][] = [
    ["17", "2606011200Z"],
    ["17", "260601120000+0000"],
    ["17", "260230120000Z"],
    ["17", "261301120000Z"],
    ["17", "260601240000Z"],
    ["17", "260601120060Z"],
    ["17", "26060112000 Z"],
    ["18", "20260601120000Z"],
    ["18", "20500101000000.5Z"],
    ["18", "500101000000Z"],
    ["04", "260601120000Z"],
  ];
  for (const [tag, text] of refused) refuses(hexOf(tag, text), time);
});

test("DerReader reads what is written", () => {
  for (const value of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 47 - 1]) {
    assert.is(new DerReader(derUnsigned(value)).unsigned(2 ** 48), value);
  }
  for (let value = 1; value < 256; value++) {
    assert.is(new DerReader(derBits(value)).namedBits(), value);
  }
  for (const text of ["1999-12-31T23:59:59Z", "2026-06-01T00:00:00Z", "2050-01-01T00:00:00Z"]) {
    assert.is(new DerReader(derTime(Date.parse(text))).time(), Date.parse(text));
  }
  for (const length of [0, 127, 128, 255, 256, 65_535]) {
    const content = new Uint8Array(length).fill(7);
    assert.equal(new DerReader(derElement(contextConstructed(3), content)).content(0xa3), content);
  }
  assert.throws(() => derElement(4, new Uint8Array(65_536)), /below 64 KiB/);
});

test.run();
