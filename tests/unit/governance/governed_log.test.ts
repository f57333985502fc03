/** Entries that were loaded, whose documents are read and checked when somebody asks for them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { encodePropose } from "../../../src/governance/governance_codec.ts";
import { GovernanceStore } from "../../../src/governance/governance_store.ts";
import { GovernanceHarness } from "../../support/governance.ts";
import { refusalOf } from "../../support/refusal.ts";

/**
 * Returns a store of three descriptors, loaded from an image in which `text` of the first one's record is
 * overwritten, and a command that needs the first one.
 */
function spoiled(text: string, by: string) {
  const harness = new GovernanceHarness();
  for (const id of ["one", "two", "three"]) harness.decide(harness.next({ id }));
  const next = harness.next({ id: "one", schema: "deprecation/1", body: { reason: "drill" } });
  const image = [...harness.store.writeImage()].map((chunk) => chunk.slice());
  const record = image[5]!;
  const at = new TextDecoder("latin1").decode(record).indexOf(text);
  assert.ok(at > 0, `${text} is in the record`);
  record.set(new TextEncoder().encode(by), at);
  const store = new GovernanceStore();
  store.loadImage(image);
  const body = { payload: next.bytes, signatures: [], caller: "x", region: "" };
  return { store, data: encodePropose(harness.header, body) };
}

const CASES: readonly (readonly [text: string, by: string, code: ErrorCode])[] = [
  ['"n":1', '"n":2', "corrupt"],
  ['"n":1', '"n"x1', "corrupt"],
  ['"kind":"service","prev', '"kind":"sorvice","prev', "corrupt"],
  ['"schema":"descriptor/1"', '"schema":"descriptor/7"', "unsupported_version"],
];

for (const [text, by, code] of CASES) {
  test(`a loaded payload with ${by} stops the replica that needs it`, () => {
    const { store, data } = spoiled(text, by);
    const first = store.plane!.log.at(1)!;
    assert.is(refusalOf(() => first.read).code, code);
    assert.is(store.plane!.log.at(2)!.read.payload.id, "two");
    // Others have another state: it must not pass for a refusal in which all agree.
    const index = store.appliedIndex + 1;
    assert.is(refusalOf(() => store.apply({ index, data })).code, code);
  });
}

test("a loaded entry must have its hash, even where only signatures differ", () => {
  for (const [text, by] of [['"ts":"2026', '"ts":"2027'], ['"ts":', '"tx":']] as const) {
    const first = spoiled(text, by).store.plane!.log.at(1)!;
    assert.is(refusalOf(() => first.entry).code, "corrupt");
  }
});

test.run();
