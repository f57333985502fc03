/** Base64 with padding: the values of RFC 4648 §10, and one spelling each. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeBase64, encodeBase64 } from "../../../src/base/base64.ts";

const VALUES = [
  ["", ""],
  ["f", "Zg=="],
  ["fo", "Zm8="],
  ["foo", "Zm9v"],
  ["foob", "Zm9vYg=="],
  ["fooba", "Zm9vYmE="],
  ["foobar", "Zm9vYmFy"],
] as const;

test("encodeBase64 and decodeBase64 agree with the RFC", () => {
  for (const [text, encoded] of VALUES) {
    const bytes = new TextEncoder().encode(text);
    assert.is(encodeBase64(bytes), encoded);
    assert.equal(decodeBase64(encoded), bytes);
  }
  assert.is(encodeBase64(Uint8Array.of(0xfb, 0xff, 0xfe)), "+//+");
});

test("decodeBase64 refuses every other spelling", () => {
  for (
    const text of ["Zg", "Zg=", "Zg===", "Zh==", "Zm9v=", "-_8=", "Z g=", "Zg==\n", "=", "===="]
  ) {
    assert.is(decodeBase64(text), undefined, text);
  }
});

test.run();
