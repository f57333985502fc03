/** Strict JSON: what `JSON.parse` accepts and a signed document must not have. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BUNDLE_BYTES_MAX } from "../../../src/base/limits.ts";
import { readStrictJson } from "../../../src/signing/strict_json.ts";

const DEPTH = 8;

function isRefused(text: string): boolean {
  return "fault" in readStrictJson(text, DEPTH);
}

test("readStrictJson reads every JSON value as JSON.parse does", () => {
  fc.assert(fc.property(fc.json({ maxDepth: DEPTH - 2 }), fc.nat(4), (text, indent) => {
    const written = JSON.stringify(JSON.parse(text), undefined, indent);
    assert.equal(readStrictJson(written, DEPTH), { value: JSON.parse(text) });
  }));
});

test("readStrictJson refuses a name that occurs twice in one object, however it is spelt", () => {
  assert.is(isRefused('{"a":1,"a":1}'), true);
  assert.is(isRefused('{"a":1,"b":{"c":1},"\\u0061":2}'), true);
  assert.is(isRefused('[{"x":[{"a":"{","a":1}]}]'), true);
  assert.is(isRefused('{"__proto__":1,"__proto__":2}'), true);
  assert.is(isRefused('{"a":{"a":{"a":1}},"b":["a","a",":"]}'), false);
  assert.is(isRefused('{"a\\"":":","a":"\\\\"}'), false);
});

test("readStrictJson refuses what has no canonical form", () => {
  assert.is(isRefused('{"a":1e400}'), true);
  assert.is(isRefused('{"a":"\\ud800"}'), true);
});

test("readStrictJson refuses what is no JSON", () => {
  for (const text of ["", "{", "{'a':1}", "[1,]", "01", '"\n"', "nul", "{}{}"]) {
    assert.is(isRefused(text), true, text);
  }
});

test("readStrictJson names a fault without the words of the runtime", () => {
  const read = readStrictJson("{'a':1}", DEPTH);
  assert.ok("fault" in read);
  assert.is(read.fault, "It is not JSON");
  assert.ok(read.detail);
});

test("readStrictJson reads a string as long as the largest document", () => {
  const long = "x".repeat(BUNDLE_BYTES_MAX);
  assert.equal(readStrictJson(JSON.stringify([long]), DEPTH), { value: [long] });
});

test("readStrictJson counts levels", () => {
  assert.is(isRefused("[".repeat(DEPTH) + "]".repeat(DEPTH)), false);
  assert.is(isRefused("[".repeat(DEPTH + 1) + "]".repeat(DEPTH + 1)), true);
  assert.is(isRefused('"[[[[[[[[[[[[[["'), false);
});

test.run();
