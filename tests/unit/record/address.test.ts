/** Addresses: text to 16 bytes and back. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../src/base/bytes.ts";
import { formatAddress, parseAddress } from "../../../src/record/address.ts";

test("parseAddress maps IPv4 into IPv6", () => {
  assert.is(toHex(parseAddress("12.34.56.78")), "00000000000000000000ffff0c22384e");
  assert.is(formatAddress(parseAddress("12.34.56.78")), "12.34.56.78");
  assert.is(formatAddress(parseAddress("::ffff:1.2.3.4")), "1.2.3.4");
  assert.is(formatAddress(parseAddress("::FFFF:102:304")), "1.2.3.4");
});

test("formatAddress is RFC 5952: shortest, lower case, the first longest run of zeros", () => {
  const pairs: [string, string][] = [
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::1", "::1"],
    ["fe80::", "fe80::"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["1::2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ];
  for (const [text, canonical] of pairs) assert.is(formatAddress(parseAddress(text)), canonical);
});

test("address: none is empty text, and sixteen zeros when stored", () => {
  assert.is(formatAddress(parseAddress("")), "");
  assert.is(formatAddress(parseAddress("::")), "");
});

test("parseAddress refuses what is no address", () => {
  const wrong = [
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.4 ",
    "a.b.c.d",
    "host",
    "1:2:3",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "::1::",
    ":1:2:3:4:5:6:7",
    ":::",
    "12345::",
    "1.2.3.4::",
    "fe80::1%eth0",
    "[::1]",
    "::1.2.3.4:5",
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseAddress(text),
      (error: Error & { code?: string }) => error.code === "invalid_argument",
      text,
    );
  }
});

test.run();
