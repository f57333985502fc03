/** Documents of the governed plane: one spelling, no unknown members, and every readable version. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeBase64 } from "../../../../src/base/base64.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import {
  GOVERNED_JSON_DEPTH_MAX,
  GOVERNED_PAYLOAD_BYTES_MAX,
} from "../../../../src/base/limits.ts";
import {
  contentIdOf,
  NO_PREVIOUS,
  signingMessage,
} from "../../../../src/governance/documents/content_id.ts";
import { readGenesis } from "../../../../src/governance/documents/genesis.ts";
import { canonicalPayload, readPayload } from "../../../../src/governance/documents/payload.ts";
import {
  checkWritable,
  readDocument,
  type SchemaRow,
  upgraded,
} from "../../../../src/governance/documents/schema_gate.ts";
import { readSignature, signatureJson } from "../../../../src/governance/documents/signature.ts";
import { A, B, testGenesis } from "../../../support/governance.ts";
import { refusalOf } from "../../../support/refusal.ts";

const PAYLOAD = {
  schema: "descriptor/1",
  id: "svc-storage@us-east-1",
  kind: "service",
  version: 1,
  prev_hash: NO_PREVIOUS,
  body: { capabilities: ["read"] },
};

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

test("readPayload takes the canonical form, and its content id is the BLAKE3 of that", () => {
  const { bytes, contentId } = canonicalPayload(PAYLOAD);
  assert.equal(readPayload(bytes).payload.body, PAYLOAD.body);
  assert.is(contentId, contentIdOf(bytes));
  // The hash of BLAKE3's own test vector for no input.
  const empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
  assert.is(contentIdOf(new Uint8Array(0)), `b3:${empty}`);
  assert.equal(signingMessage(contentId), bytesOf(`ron:svc-registry:v1\n${contentId}`));
});

test("readPayload refuses every other spelling", () => {
  const text = new TextDecoder().decode(canonicalPayload(PAYLOAD).bytes);
  const wrong = [
    JSON.stringify(PAYLOAD),
    ` ${text}`,
    text.replace('"version":1', '"version":1.0'),
    text.replace('"version":1', '"version":1,"version":1'),
    text.replace("read", "re\\u0061d"),
    `\ufeff${text}`,
    "[]",
  ];
  for (const spelling of wrong) {
    assert.throws(() => readPayload(bytesOf(spelling)), undefined, spelling);
  }
  assert.throws(() => readPayload(Uint8Array.of(0xff)), /UTF-8/);
  const large = new Uint8Array(GOVERNED_PAYLOAD_BYTES_MAX + 1);
  assert.throws(() => readPayload(large), /at most 229376 bytes/);
});

test("canonicalPayload refuses what no payload can be", () => {
  const deep = "[".repeat(GOVERNED_JSON_DEPTH_MAX) + "]".repeat(GOVERNED_JSON_DEPTH_MAX);
  const wrong: [object, RegExp][] = [
    [{ extra: 1 }, /must not have "extra"/],
    [{ kind: "gateway" }, /kind must be one of/],
    [{ id: "" }, /id must be a text/],
    [{ id: "@signers" }, /id must match/],
    [{ id: "a/b" }, /id must match/],
    [{ version: 0 }, /version must be/],
    [{ version: 1.5 }, /version must be/],
    [{ version: 2 }, /for version 1 only/],
    [{ prev_hash: "b3:00" }, /prev_hash must be/],
    [{ prev_hash: `b3:${"1".repeat(64)}` }, /for version 1 only/],
    [{ body: [] }, /body must be an object/],
    [{ schema: "descriptor/2" }, /Version of a document must be 1 to 1/],
    [{ schema: "gateway/1" }, /Schema must be one of/],
    [{ schema: "entry/1" }, /not that of a payload/],
    [{ schema: "deprecation/1", body: { reason: "x" } }, /must publish it/],
    [{ kind: "region_map" }, /must have region_id/],
  ];
  for (const [change, message] of wrong) {
    assert.throws(() => canonicalPayload({ ...PAYLOAD, ...change }), message);
  }
  const text = new TextDecoder().decode(canonicalPayload(PAYLOAD).bytes).replace('["read"]', deep);
  assert.throws(() => readPayload(bytesOf(text)), /levels/);
});

test("bodies of regions, supersessions and freezes have their members and no others", () => {
  const later = { version: 2, prev_hash: `b3:${"1".repeat(64)}` };
  const service = { id: "s", addr: "h:1", tls: true, weight: 1 };
  const region = { region_id: "us-1", services: [service] };
  const map = { kind: "region_map" };
  const freeze = { schema: "freeze/1", kind: "freeze", id: "@freeze" };
  canonicalPayload({ ...PAYLOAD, ...map, body: region });
  const wrong = [
    { ...map, body: { ...region, services: [service, service] } },
    { ...map, body: { ...region, services: [{ ...service, tls: 1 }] } },
    { ...map, body: { ...region, services: [{ ...service, weight: -1 }] } },
    { ...map, body: { ...region, region_id: "" } },
    { ...later, schema: "supersession/1", body: { reason: "Because", body: {} } },
    { ...later, schema: "supersession/1", body: { reason: "Other" } },
    { ...later, ...map, schema: "supersession/1", body: { reason: "Other", body: {} } },
    { ...later, schema: "deprecation/1", body: {} },
    { ...freeze, body: { frozen: 1, reason: "x" } },
    { ...freeze, id: "freeze", body: { frozen: true, reason: "x" } },
  ];
  for (const change of wrong) {
    assert.throws(
      () => canonicalPayload({ ...PAYLOAD, ...change }),
      undefined,
      JSON.stringify(change),
    );
  }
});

test("readSignature reads both spellings, and writes the first", () => {
  const sig = encodeBase64(new Uint8Array(64).fill(3));
  const ts = "2026-01-01T00:00:00Z";
  const first = { signer_id: "org:alpha#key1", alg: "ed25519", sig_bytes: sig, ts };
  const second = { signer_id: "org:alpha#key1", algo: "ed25519", sig, signed_at: ts };
  assert.equal(readSignature(second), readSignature(first));
  assert.equal(signatureJson(readSignature(second)), first);
  const wrong = [
    { ...first, alg: "rsa" },
    { ...first, algo: "ed25519" },
    { ...first, sig_bytes: sig.slice(4) },
    { ...first, sig_bytes: sig.replace("=", "") },
    { ...first, more: 1 },
    { signer_id: "a", alg: "ed25519", sig_bytes: sig },
    [],
  ];
  for (const value of wrong) assert.throws(() => readSignature(value));
  assert.throws(() => readSignature({ ...first, constructor: 1 }), /must not have "constructor"/);
});

test("checkWritable takes the newest schema of the apply version only", () => {
  assert.is(checkWritable("descriptor/1", 1), "descriptor");
  for (const text of ["descriptor/2", "descriptor/0", "descriptor/01", "descriptor", "x/1"]) {
    assert.throws(() => checkWritable(text, 1), /Schema must be/);
  }
  // Replicas whose programs do not have the schema record the same refusal.
  const unknown = (text: string) => refusalOf(() => checkWritable(text, 0)).message;
  assert.is(unknown("deprecation/1"), unknown("nothing/1").replace("nothing", "deprecation"));
});

test("upgraded brings every supported version to the newest, and can be repeated", () => {
  const row: SchemaRow<{ readonly a: number; readonly b?: number }> = {
    oldest: 2,
    writtenSince: [1, 1, 5],
    upgrades: [({ a }) => ({ a: a + 1 }), (document) => ({ ...document, b: 9 })],
  };
  const newest = { version: 4, document: { a: 2, b: 9 } };
  assert.equal(upgraded(row, 2, { a: 1 }), newest);
  assert.equal(upgraded(row, 3, { a: 2 }), newest);
  assert.equal(upgraded(row, newest.version, newest.document), newest);
  for (const version of [1, 5]) assert.throws(() => upgraded(row, version, { a: 1 }), /2 to 4/);
});

test("readDocument refuses a document without a schema", () => {
  const noText = { schema: { toString: 1 } };
  for (const value of [{}, { schema: 1 }, noText, { schema: "descriptor/1x" }, null, "x"]) {
    assert.throws(
      () => readDocument(value, "Payload"),
      (error: unknown) => error instanceof RegistryError,
    );
  }
});

test("readGenesis refuses every other spelling, at any depth alike", () => {
  const { bytes } = testGenesis([A, B], 2);
  const text = new TextDecoder().decode(bytes);
  const levels = 100_000;
  const deep = `{"schema":"genesis/1","signers":${"[".repeat(levels)}${"]".repeat(levels)}}`;
  for (
    const [spelling, message] of [
      [`\ufeff${text}`, /strict JSON/],
      [`${text} `, /canonical/],
      [deep, /levels/],
    ] as const
  ) {
    assert.throws(() => readGenesis(bytesOf(spelling)), message);
  }
  assert.throws(() => readGenesis(Uint8Array.of(...bytes, 0xff)), /UTF-8/);
});

test("a genesis is refused if its threshold or keys could never decide", () => {
  assert.match(testGenesis([A], 1).hash, /^sha256:[0-9a-f]{64}$/);
  assert.throws(() => testGenesis([A], 2), /threshold/);
  assert.throws(() => testGenesis([A], 0), /threshold/);
  assert.throws(() => testGenesis([A, { id: "b", key: A.key }], 1), /listed once/);
});

test.run();
