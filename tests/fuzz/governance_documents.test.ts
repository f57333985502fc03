/** Junk as documents, commands and bundles of the governed plane: a coded refusal, and nothing changed. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../src/base/errors.ts";
import { readEntry } from "../../src/governance/documents/entry.ts";
import { canonicalPayload, readPayload } from "../../src/governance/documents/payload.ts";
import { readSignature } from "../../src/governance/documents/signature.ts";
import { encodePropose } from "../../src/governance/governance_codec.ts";
import { readCheckpoint } from "../../src/governance/tree/checkpoint.ts";
import { verifyBundle } from "../../src/governance/verification/verify_bundle.ts";
import { canonicalJson } from "../../src/signing/canonical_json.ts";
import { cases } from "../support/cases.ts";
import { A, B, GovernanceHarness } from "../support/governance.ts";

const HARNESS = new GovernanceHarness();
HARNESS.decide(HARNESS.next({ id: "x" }));

/** A valid document with some members replaced by any JSON. */
function damaged(document: object): fc.Arbitrary<unknown> {
  const names = Object.keys(document);
  return fc.dictionary(fc.constantFrom(...names, "other"), fc.jsonValue(), { maxKeys: 2 })
    .map((changes) => ({ ...document, ...changes }));
}

/** Runs `read`, which may refuse by a code and in no other way. */
function isCoded(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return true;
    throw error;
  }
}

const PAYLOAD = JSON.parse(new TextDecoder().decode(HARNESS.next({ id: "x" }).bytes));

test("a payload of any JSON is read or refused by a code", () => {
  fc.assert(fc.property(damaged(PAYLOAD), (value) => isCoded(() => canonicalPayload(value))));
  fc.assert(fc.property(fc.jsonValue(), (value) => isCoded(() => canonicalPayload(value))));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => isCoded(() => readPayload(bytes))),
  );
});

test("a payload that is read is read again from its canonical form", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 }), (body) => {
    let read;
    try {
      read = canonicalPayload({ ...PAYLOAD, body });
    } catch {
      return;
    }
    assert.equal(readPayload(read.bytes).bytes, read.bytes);
  }));
});

test("entries, signatures and checkpoints of junk are refused by a code", () => {
  const leaf = JSON.parse(new TextDecoder().decode(HARNESS.plane.log.at(1)!.leaf));
  fc.assert(
    fc.property(
      damaged(leaf),
      (value) => isCoded(() => readEntry(new TextEncoder().encode(canonicalJson(value as object)))),
    ),
  );
  fc.assert(
    fc.property(damaged(leaf.approvals[0]), (value) => isCoded(() => readSignature(value))),
  );
  fc.assert(
    fc.property(
      fc.string({ maxLength: 300, unit: "binary" }),
      (text) => readCheckpoint(text) === undefined,
    ),
  );
});

test("a bundle with any member replaced never gives another descriptor", () => {
  const { hash: genesis } = HARNESS.genesis;
  fc.assert(
    fc.property(damaged(HARNESS.bundle("x")), (value) => {
      const verdict = verifyBundle(JSON.stringify(value), { genesis, id: "x" });
      if (verdict.ok) assert.equal(verdict.verified.descriptor?.body, { n: 1 });
    }),
    { numRuns: cases(60) },
  );
});

test("commands of any bytes are refused, and change nothing", () => {
  const valid = encodePropose(HARNESS.header, {
    payload: HARNESS.next({ id: "x" }).bytes,
    signatures: [],
    caller: "x",
    region: "",
  });
  fc.assert(
    fc.property(fc.nat(valid.length - 1), fc.nat(255), (at, byte) => {
      const harness = new GovernanceHarness();
      harness.decide(harness.next({ id: "x" }), [A, B]);
      const data = valid.slice();
      data[at] = byte;
      let code: string;
      try {
        ({ code } = harness.apply(data));
      } catch (error) {
        // A kind that only a later program knows stops a replica.
        assert.ok(error instanceof RegistryError && error.code === "unsupported_version");
        return;
      }
      assert.is(harness.store.version, 1);
      assert.ok(code !== "internal");
    }),
    { numRuns: cases(60) },
  );
});

test.run();
