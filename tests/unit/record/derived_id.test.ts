/** Ids derived from domains and from the keys of other systems. */
import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { formatUuid } from "../../../src/base/uuid.ts";
import { idOfDomain, idOfForeignKey } from "../../../src/record/derived_id.ts";

function hash(algorithm: string): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => createHash(algorithm).update(bytes).digest();
}

const sha1 = hash("sha1");
const keyed = (...parts: string[]) => formatUuid(idOfForeignKey(parts, hash("sha256")));

test("idOfDomain is UUIDv5 of the canonical domain (RFC 9562, appendix A.4)", () => {
  assert.is(idOfDomain("www.example.com", sha1), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
  assert.is(idOfDomain("WWW.Example.com.", sha1), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
});

test("idOfForeignKey is a UUIDv8 of the parts, and of no others", () => {
  // sha256 of 00 00 00 04 "eu-1" 00 00 00 01 "7", computed with openssl.
  assert.is(keyed("eu-1", "7"), "ecd6ca82-d8ad-8fcc-8832-f0cd24216610");
  assert.match(keyed("eu-1", "7"), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
  const others = [keyed("eu-17"), keyed("eu-1", "7", ""), keyed("eu-", "17"), keyed("7", "eu-1")];
  assert.is(new Set([keyed("eu-1", "7"), ...others]).size, 5);
});

test.run();
