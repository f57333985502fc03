/** Base64url: one spelling for each sequence of bytes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { base64url } from "jose";
import { decodeBase64url, encodeBase64url } from "../../../src/base/base64url.ts";

test("encodeBase64url: the vectors of RFC 4648 §10, without padding", () => {
  const vectors = { f: "Zg", fo: "Zm8", foo: "Zm9v", foob: "Zm9vYg", fooba: "Zm9vYmE", "": "" };
  for (const [text, encoded] of Object.entries(vectors)) {
    assert.is(encodeBase64url(new TextEncoder().encode(text)), encoded);
    assert.equal(decodeBase64url(encoded), new TextEncoder().encode(text));
  }
});

test("encodeBase64url encodes as jose does, and decodeBase64url reverses it", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const text = encodeBase64url(bytes);
    assert.is(text, base64url.encode(bytes));
    assert.equal(decodeBase64url(text), bytes);
  }));
});

test("decodeBase64url refuses other spellings of the same bytes", () => {
  for (const text of ["Zg==", "Zh", "Zm9", "Zm 8", "Zm8\n", "Z+8", "Z/8", "Z", "Zmñv", "Zm9vY"]) {
    assert.is(decodeBase64url(text), undefined, text);
  }
});

test.run();
